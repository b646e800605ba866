// The systemd unit: what systemd's own tools say of it, and the packaged agent under it, with a real
// systemd as process 1 of a small Debian on this machine's kernel.

import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { ENABLED } from '../e2e/catalogue.ts';
import { heldBpf, stillThere } from '../e2e/held_bpf.ts';
import { Numbers } from '../e2e/numbers.ts';
import { scratch } from '../e2e/scratch.ts';
import { parseText } from '../metrics/decode.ts';
import { ROOT } from '../repo/project_files.ts';
import { Machine, SOON } from './machine.ts';
import { buildPackage } from './package_file.ts';

const UNIT = join(ROOT, 'deploy/systemd/rxscope.service');
/** systemd-analyze's scale goes from 0 to 10; above 5 it says "exposed". */
const EXPOSURE_MAX = 2.5;

const files = scratch();

describe('by the systemd of this machine', () => {
  test('the unit is verified without a word', () => {
    // It looks whether the programs are there, so it gets a root of its own.
    const root = join(files.folder, 'root');
    const units = '/usr/lib/systemd/system';
    mkdirSync(join(root, 'usr/bin'), { recursive: true });
    cpSync(units, join(root, units), { recursive: true, verbatimSymlinks: true });
    cpSync(UNIT, join(root, units, 'rxscope.service'));
    mkdirSync(join(root, 'bin'));
    for (const program of ['bin/sh', 'usr/bin/rxscope']) {
      writeFileSync(join(root, program), '#!/bin/sh\n', { mode: 0o755 });
    }
    const analyze = ['--man=no', `--root=${root}`, 'verify', 'rxscope.service'];
    const told = execFileSync('sh', ['-c', 'exec systemd-analyze "$@" 2>&1', 'sh', ...analyze]);
    expect(told.toString()).toBe('');
  });

  test(`its exposure is at most ${EXPOSURE_MAX}`, () => {
    const analyze = ['security', '--offline=true', '--no-pager', UNIT];
    const told = execFileSync('systemd-analyze', analyze, { encoding: 'utf8' });
    const exposure = Number(/Overall exposure level for rxscope.service: ([\d.]+)/.exec(told)?.[1]);
    console.log(`exposure: ${exposure}`);
    expect(exposure).toBeLessThanOrEqual(EXPOSURE_MAX);
  });
});

describe('under a real systemd', () => {
  let machine: Machine;
  beforeAll(async () => {
    machine = await Machine.start('systemd');
    machine.copy(buildPackage(files.folder), '/tmp/rxscope.deb');
    await machine.must('dpkg', '--install', '/tmp/rxscope.deb');
    const version = await machine.must('systemctl', '--version');
    console.log(`process 1 is ${version.split('\n')[0]}`);
  }, 900_000);
  afterAll(() => machine?.close());

  test('its own systemd-analyze has nothing against the unit, either', async () => {
    const { code, stdout, stderr } = await machine.run(
      ...['systemd-analyze', '--man=no', 'verify', 'rxscope.service'],
    );
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '', stderr: '' });
    await machine.must('systemd-analyze', 'security', '--threshold=25', 'rxscope.service');
  });

  test('it is running when the installation ends, and says what it measures', async () => {
    expect(await show(machine, 'ActiveState', 'SubState', 'UnitFileState')).toEqual({
      ActiveState: 'active',
      SubState: 'running',
      UnitFileState: 'enabled',
    });
    const { StatusText } = await show(machine, 'StatusText');
    const all = ENABLED.length;
    expect(StatusText).toBe(`${all} of ${all} probes are up; http://127.0.0.1:10750/metrics`);
  });

  test('it is a user of its own, filtered, and holds no capability any more', async () => {
    const status = machine.read(`/proc/${await mainPid(machine)}/status`);
    const field = (name: string): string =>
      new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '';
    const user = await machine.must('id', '--user', 'rxscope');
    expect(field('Uid').split('\t')).toEqual([user, user, user, user]);
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) expect(field(set)).toMatch(/^0+$/);
    // CAP_PERFMON is 38, CAP_BPF 39. Lowering this one would take CAP_SETPCAP.
    expect(BigInt(`0x${field('CapBnd')}`)).toBe((1n << 38n) | (1n << 39n));
    expect({ filters: field('Seccomp'), locked: field('NoNewPrivs') }).toEqual({
      filters: '2',
      locked: '1',
    });
  });

  test('each probe is up, each collector succeeds, and packets are measured', async () => {
    const numbers = await scrape(machine);
    const up = numbers.find('rxscope_probe_up');
    expect(up.map(({ value }) => value)).toEqual(ENABLED.map(() => 1));
    const failed = numbers.find('rxscope_collector_success').filter(({ value }) => value !== 1);
    expect(failed).toEqual([]);
    const observed = numbers.total('rxscope_receive_to_socket_seconds_count');
    // A scrape is packets over loopback.
    expect(
      (await scrape(machine)).total('rxscope_receive_to_socket_seconds_count'),
    ).toBeGreaterThan(observed);
  });

  test('`systemctl reload` reads the configuration again, in the same process', async () => {
    const pid = await mainPid(machine);
    const config = machine.read('/etc/rxscope/rxscope.yaml');
    machine.write(
      '/etc/rxscope/rxscope.yaml',
      `${config}\nprobes: { receive_to_socket: { budget: 7ms } }\n`,
    );
    await machine.must('systemctl', 'reload', 'rxscope');
    const budget = { probe: 'receive_to_socket' };
    await vi.waitFor(async () => {
      expect((await scrape(machine)).total('rxscope_budget_seconds', budget)).toBe(0.007);
    }, SOON);
    await vi.waitFor(async () => {
      expect(await show(machine, 'ActiveState', 'SubState')).toEqual({
        ActiveState: 'active',
        SubState: 'running',
      });
    }, SOON);
    expect(await mainPid(machine)).toBe(pid);
    machine.write('/etc/rxscope/rxscope.yaml', config);
  });

  test('an agent that no longer answers is killed and started again, and not before', async () => {
    // A busy machine may stop a healthy agent for a second or two.
    await override(machine, 'WatchdogSec=6s\nRestartSec=0');
    await machine.must('systemctl', 'restart', 'rxscope');
    const first = await mainPid(machine);
    // It lives on by what it says: systemd has heard it long after the limit.
    const since = await lastHeard(machine);
    await vi.waitFor(
      async () => expect(await lastHeard(machine)).toBeGreaterThan(since + 9e6),
      SOON,
    );
    expect(await show(machine, 'NRestarts', 'MainPID')).toEqual({
      NRestarts: '0',
      MainPID: `${first}`,
    });
    process.kill(machine.pidOutside(first), 'SIGSTOP');
    await vi.waitFor(async () => {
      expect(await show(machine, 'NRestarts', 'ActiveState')).toEqual({
        NRestarts: '1',
        ActiveState: 'active',
      });
    }, SOON);
    expect(await mainPid(machine)).not.toBe(first);
    const journal = await machine.must('journalctl', '--no-pager', '--unit', 'rxscope');
    expect(journal).toContain('Watchdog timeout');
    await override(machine, '');
  });

  test('stopped, it ends well and leaves nothing in the kernel', async () => {
    await machine.must('systemctl', 'restart', 'rxscope');
    const held = heldBpf(machine.pidOutside(await mainPid(machine)));
    expect(held.programs.size).toBeGreaterThan(0);
    await machine.must('systemctl', 'stop', 'rxscope');
    expect(await show(machine, 'Result', 'ExecMainStatus', 'ActiveState')).toEqual({
      Result: 'success',
      ExecMainStatus: '0',
      ActiveState: 'inactive',
    });
    await vi.waitFor(() => expect(stillThere(held)).toEqual([]), SOON);
  });

  test('a wrong configuration is told, and not tried again', async () => {
    const config = machine.read('/etc/rxscope/rxscope.yaml');
    machine.write('/etc/rxscope/rxscope.yaml', 'series_maximum: 1\n');
    expect((await machine.run('systemctl', 'start', 'rxscope')).code).not.toBe(0);
    expect(await show(machine, 'ExecMainStatus', 'ActiveState', 'NRestarts')).toEqual({
      ExecMainStatus: '2',
      ActiveState: 'failed',
      NRestarts: '0',
    });
    machine.write('/etc/rxscope/rxscope.yaml', config);
    await machine.must('systemctl', 'start', 'rxscope');
  });

  test('stopped on purpose it stays so at an upgrade; removed and installed again it runs', async () => {
    const state = async (): Promise<string | undefined> =>
      (await show(machine, 'ActiveState')).ActiveState;
    // systemd allows five starts in ten seconds, and the tests before this one have had theirs.
    await machine.must('systemctl', 'reset-failed', 'rxscope');
    await machine.must('systemctl', 'restart', 'rxscope');
    await machine.must('dpkg', '--install', '/tmp/rxscope.deb');
    expect(await state()).toBe('active');
    await machine.must('systemctl', 'stop', 'rxscope');
    await machine.must('dpkg', '--install', '/tmp/rxscope.deb');
    expect(await state()).toBe('inactive');
    await machine.must('dpkg', '--remove', 'rxscope');
    await machine.must('dpkg', '--install', '/tmp/rxscope.deb');
    expect(await state()).toBe('active');
  });
});

async function show(
  machine: Machine,
  ...properties: readonly string[]
): Promise<Record<string, string>> {
  const wanted = properties.map((name) => `--property=${name}`);
  const told = await machine.must('systemctl', 'show', 'rxscope', ...wanted);
  return Object.fromEntries(
    told
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
}

async function mainPid(machine: Machine): Promise<number> {
  return Number((await show(machine, 'MainPID')).MainPID);
}

/** When it last gave a sign of life, in microseconds of the monotonic clock. */
async function lastHeard(machine: Machine): Promise<number> {
  return Number((await show(machine, 'WatchdogTimestampMonotonic')).WatchdogTimestampMonotonic);
}

async function scrape(machine: Machine): Promise<Numbers> {
  const text = await machine.fetch('http://127.0.0.1:10750/metrics');
  return new Numbers(parseText(Buffer.from(`${text}\n`), 'text').series);
}

/** As `systemctl edit` does it. */
async function override(machine: Machine, settings: string): Promise<void> {
  const folder = '/run/systemd/system/rxscope.service.d';
  await machine.must('mkdir', '-p', folder);
  machine.write(`${folder}/override.conf`, `[Service]\n${settings}\n`);
  await machine.must('systemctl', 'daemon-reload');
}
