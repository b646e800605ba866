// The Debian package through its life in a machine whose process 1 is not systemd, as in a container:
// installed, run, upgraded, removed, purged. What systemd does with it is systemd.test.ts'.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { effectiveConfig } from '../../src/config/load.ts';
import { ENABLED } from '../e2e/catalogue.ts';
import { scratch } from '../e2e/scratch.ts';
import { ROOT } from '../repo/project_files.ts';
import { Machine } from './machine.ts';
import { buildPackage } from './package_file.ts';

const CONFIG = '/etc/rxscope/rxscope.yaml';
const files = scratch();
let machine: Machine;
let deb: string;

beforeAll(async () => {
  deb = buildPackage(files.folder);
  machine = await Machine.start('sleep');
  machine.copy(deb, '/tmp/rxscope.deb');
}, 900_000);
afterAll(() => machine?.close());

test('the same sources make the same files, byte for byte', () => {
  const again = buildPackage(files.folder, '--version', '0.0.1');
  const sum = (file: string): string =>
    execFileSync('sh', ['-c', 'dpkg-deb --fsys-tarfile "$1" | sha256sum', 'sh', file], {
      encoding: 'utf8',
    });
  expect(sum(again)).toBe(sum(deb));
});

test('the configuration file shows every setting with its default', () => {
  const text = readFileSync(join(ROOT, 'deploy/debian/rxscope.yaml'), 'utf8');
  const lines = text.split('\n').filter((line) => line !== '');
  expect(lines.filter((line) => !line.startsWith('# '))).toEqual([]);
  const settings = lines
    .slice(lines.findIndex((line) => line.startsWith('# probes:')))
    .map((line) => line.slice(2))
    .join('\n');
  const shown = files.write('shown.yaml', settings);
  expect(effectiveConfig({ configFile: shown })).toEqual(effectiveConfig());
  // What has no default cannot be shown as one, but is mentioned.
  const optional = ['profile', 'config_file'];
  const named = (value: unknown, path = ''): string[] =>
    typeof value !== 'object' || value === null
      ? [path]
      : Object.entries(value).flatMap(([key, below]) => named(below, `${path}/${key}`));
  const known = named(parse(settings)).map((path) => path.replace('/budget', '/budget_ns'));
  const missing = named(withAddress(effectiveConfig())).filter((path) => !known.includes(path));
  expect(missing.filter((path) => !optional.some((name) => path.endsWith(`/${name}`)))).toEqual([
    '/probes/drops/budget_ns',
  ]);
  for (const name of optional) expect(text).toContain(`# ${name}`);
});

test('it is installed by dpkg alone, with what Debian itself has', async () => {
  await machine.must('dpkg', '--install', '/tmp/rxscope.deb');
  expect(await machine.must('dpkg', '--status', 'rxscope')).toContain(
    'Status: install ok installed',
  );
  expect(await machine.must('dpkg', '--verify', 'rxscope')).toBe('');
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  expect(await machine.must('rxscope', '--version')).toBe(`rxscope ${version}`);
});

test('it makes a user that cannot log in and owns nothing, and enables the service', async () => {
  const user = (await machine.must('getent', 'passwd', 'rxscope')).split(':');
  expect(user.slice(5)).toEqual(['/nonexistent', '/usr/sbin/nologin']);
  expect(await machine.must('find', '/', '-xdev', '-user', 'rxscope')).toBe('');
  expect(await machine.must('systemctl', 'is-enabled', 'rxscope')).toBe('enabled');
});

test('without systemd it is started by what the unit says, and serves a scrape', async () => {
  const unit = machine.read('/usr/lib/systemd/system/rxscope.service');
  const setting = (name: string): string => new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1] ?? '';
  const words = setting('ExecStart').split(' ');
  const caps = setting('AmbientCapabilities')
    .split(' ')
    .map((name) => `+${name.slice(4).toLowerCase()}`);
  const sets = `-all,${caps.join()}`;
  const script = `
    setpriv --reuid "$1" --regid "$2" --clear-groups --no-new-privs --bounding-set="$3" \
      --inh-caps="$3" --ambient-caps="$3" "$0" "\${@:4}" 2>/tmp/log &
    for try in {1..200}; do grep -q '"metrics"' /tmp/log && break; sleep 0.1; done
    node -e 'fetch("http://127.0.0.1:10750/metrics").then(async (a) => console.log(await a.text()))'
    kill %1; wait`;
  const [program = '', ...rest] = words;
  const user = [setting('User'), setting('Group'), sets];
  const told = await machine.must('bash', '-c', script, program, ...user, ...rest);
  const up = [...told.matchAll(/^rxscope_probe_up\{probe="([^"]+)"\} 1$/gm)].map(([, id]) => id);
  expect(up).toEqual(ENABLED);
});

test('an upgrade keeps the configuration that was changed, and asks nothing', async () => {
  const mine = 'series_max: 3001\n';
  machine.write(CONFIG, mine);
  const newer = buildPackage(files.folder, '--version', '99.0.0');
  machine.copy(newer, '/tmp/newer.deb');
  await machine.must('dpkg', '--install', '/tmp/newer.deb');
  expect(machine.read(CONFIG)).toBe(mine);
  expect(await machine.must('dpkg', '--status', 'rxscope')).toContain('Version: 99.0.0');
});

test('a service that the administrator disabled stays so at an upgrade', async () => {
  await machine.must('systemctl', 'disable', 'rxscope');
  await machine.must('dpkg', '--install', '/tmp/newer.deb');
  expect((await machine.run('systemctl', 'is-enabled', 'rxscope')).stdout.trim()).toBe('disabled');
});

test('removed, only the configuration stays; purged, nothing does', async () => {
  await machine.must('dpkg', '--remove', 'rxscope');
  expect(existsSync(machine.path('/usr/bin/rxscope'))).toBe(false);
  expect(existsSync(machine.path('/usr/lib/rxscope'))).toBe(false);
  expect(machine.read(CONFIG)).toContain('3001');
  await machine.must('dpkg', '--purge', 'rxscope');
  expect(existsSync(machine.path('/etc/rxscope'))).toBe(false);
  expect((await machine.run('getent', 'passwd', 'rxscope')).code).not.toBe(0);
  const left = await machine.must(
    ...['find', '/etc', '/usr', '/var', '-name', '*rxscope*', '-not', '-path', '/var/log/*'],
  );
  expect(left).toBe('');
});

/** The address as the file has it. */
function withAddress(config: ReturnType<typeof effectiveConfig>): unknown {
  const { host, port } = config.web.listen_address;
  return { ...config, web: { ...config.web, listen_address: `${host}:${port}` } };
}
