// The tarball of `npm pack`, installed and run where there is no compiler, no clang and no libbpf.
// Installs through npm, as a user does, so it needs the package registry.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PROBES } from '../../src/probes/index.ts';
import { ROOT } from '../repo/project_files.ts';
import { EmptyRoot } from './empty_root.ts';

const PACKAGE = '/app/node_modules/rxscope';
const PREBUILDS = `${PACKAGE}/prebuilds/${process.platform}-${process.arch}`;
const MAIN = `${PACKAGE}/dist/commands/main.js`;

let folder: string;
let root: EmptyRoot;
let packed: readonly string[];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'rxscope-pack-'));
  root = new EmptyRoot();
  const pack = execFileSync('npm', ['pack', '--json', '--pack-destination', folder], {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const { filename, files } = readPackReport(pack);
  packed = files.map(({ path }) => path).sort();
  root.copy(join(folder, filename), '/app/rxscope.tgz');
  const install = await root.npm([
    ...['install', '--prefix', '/app', '--no-audit', '--no-fund', '--loglevel', 'warn'],
    '/app/rxscope.tgz',
  ]);
  expect(install.code, `npm install in the empty root:\n${install.stderr}`).toBe(0);
}, 300_000);

afterAll(() => {
  root?.remove();
  rmSync(folder, { recursive: true, force: true });
});

test('the empty root has no compiler and no libbpf of its own', () => {
  const tools = ['cc', 'gcc', 'g++', 'clang', 'make', 'python3'].flatMap((tool) =>
    ['/bin', '/usr/bin', '/usr/local/bin'].map((place) => `${place}/${tool}`),
  );
  const libraries = ['libbpf.so.1', 'libelf.so.1', 'libz.so.1'].flatMap((library) =>
    ['/lib', '/usr/lib'].flatMap((place) => [
      `${place}/${library}`,
      `${place}/x86_64-linux-gnu/${library}`,
    ]),
  );
  const found = [...tools, ...libraries].filter((path) => existsSync(join(root.path, path)));
  expect(found).toEqual([]);
});

test('the tarball holds what runs, and neither tests nor what was built from', () => {
  for (const file of [
    'LICENSE',
    'README.md',
    'CHANGELOG.md',
    'bpf/LICENSE',
    'docs/metrics.md',
    'dist/bpf/rxscope.bpf.o',
    'dist/commands/main.js',
    'grafana/dashboards/rxscope-overview.json',
    `prebuilds/${process.platform}-${process.arch}/rxscope.glibc.node`,
  ]) {
    expect(packed).toContain(file);
  }
  const needless =
    /^(src|test|native|build|node_modules|\.ci)\/|^dist\/publish\/dashboards\/|binding\.gyp|\.map$|\.tsbuildinfo|\/\.build/;
  expect(packed.filter((file) => needless.test(file))).toEqual([]);
});

test('each bundled library comes with its licence and where its source is', () => {
  const licences = join(root.path, PREBUILDS, 'licenses');
  const list = readFileSync(join(licences, 'README'), 'utf8');
  for (const [library, name] of [
    ['libbpf.so.1', 'libbpf1'],
    ['libelf.so.1', 'libelf1'],
    ['libz.so.1', 'zlib1g'],
  ]) {
    expect(existsSync(join(root.path, PREBUILDS, library ?? '')), library).toBe(true);
    expect(list).toMatch(
      new RegExp(`^${library}: .+; \\S+ \\S+ \\(Debian source package\\)$`, 'm'),
    );
    const copyright = readFileSync(join(licences, `${name}.copyright`), 'utf8');
    for (const [, text] of copyright.matchAll(/common-licenses\/([\w.-]*\w)/g)) {
      expect(existsSync(join(licences, text ?? '')), `${text}, which ${name} refers to`).toBe(true);
    }
  }
});

test('prints its version when it is called by its command', async () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const { code, stdout, stderr } = await root.run(['/app/node_modules/.bin/rxscope', '--version']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toContain(version);
});

test('loads the addon with the libraries beside it', async () => {
  const load = `require('/app/node_modules/node-gyp-build')('${PACKAGE}')`;
  const { code, stdout, stderr } = await root.node(
    ['-e', `console.log(${load}.libbpfVersion())`],
    // Makes the dynamic loader tell on stderr which files it takes.
    { LD_DEBUG: 'libs' },
  );
  expect(code, stderr.slice(-2000)).toBe(0);
  expect(stdout.trim()).toMatch(/^v?1\.\d+/);
  const loaded = [...stderr.matchAll(/calling init: (\S+)/g)].map((match) => match[1]);
  expect(loaded.filter((path) => /lib(bpf|elf|z)\.so/.test(path ?? '')).sort()).toEqual([
    `${PREBUILDS}/libbpf.so.1`,
    `${PREBUILDS}/libelf.so.1`,
    `${PREBUILDS}/libz.so.1`,
  ]);
});

test('checks a configuration file', async () => {
  const good = await root.node([MAIN, 'check-config', '/dev/null']);
  expect({ code: good.code, stderr: good.stderr }).toEqual({ code: 0, stderr: '' });
  const bad = await root.node([MAIN, 'check-config', `${PACKAGE}/package.json`]);
  expect(bad.code).toBe(2);
});

test('prints the dashboards without the SDK that they were made with', async () => {
  expect(existsSync(join(root.path, '/app/node_modules/@grafana'))).toBe(false);
  const { code, stdout, stderr } = await root.node([MAIN, 'dashboards', '--histograms', 'native']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(JSON.parse(stdout)).toHaveLength(5);
});

test('loads and attaches its programs', async () => {
  const { code, stdout, stderr } = await root.node([MAIN, 'probes', '--json']);
  expect(code, stderr).toBe(0);
  const text = JSON.stringify(JSON.parse(stdout));
  for (const { id } of PROBES) expect(text).toContain(id);
  expect(text).not.toMatch(/No native build|cannot open shared object/);
});

interface PackReport {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

/** npm 12 prints an object by package name where earlier ones print a list. */
function readPackReport(json: string): PackReport {
  const report = JSON.parse(json.slice(json.search(/^[[{]/m))) as
    | readonly PackReport[]
    | Record<string, PackReport>;
  const first = Object.values(report)[0];
  if (first === undefined) throw new Error(`npm pack reported no package: ${json}`);
  return first;
}
