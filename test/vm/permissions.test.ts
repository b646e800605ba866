// What each set of capabilities allows on kernels that have every way of attaching, as Debian ships
// them: with a perf_event_paranoid of 3, which upstream does not know.

import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { PROBES } from '../../src/probes/index.ts';
import type { LogLine } from '../e2e/agent_process.ts';
import {
  ACTIONS,
  expected,
  ROWS,
  type Row,
  TRIAL,
  type Trial,
  trialCommand,
  worked,
} from '../e2e/permissions.ts';
import { scratch } from '../e2e/scratch.ts';
import { asNobody } from '../e2e/surroundings.ts';
import { ROOT } from '../repo/project_files.ts';
import { GUEST_TIMEOUT_MS, runInGuest } from './guest.ts';
import { chosenKernels } from './kernels.ts';

interface Task {
  readonly name: string;
  readonly command: readonly string[];
  readonly paranoid?: number;
  readonly until?: string;
}

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const files = scratch();
const ENOUGH = ['CAP_BPF', 'CAP_PERFMON'];
/** Those that `rxscope record` measures without a configuration. */
const LATENCIES = PROBES.filter(({ enabled }) => enabled).map(({ id }) => id);
const MEASURING = 'rxscope is measuring';

/** Runs the tasks in one guest; afterwards tells how each ended. */
function guestWith(series: string, tasks: readonly Task[]): (name: string) => Ended {
  let lines: Readonly<Record<string, unknown>>[] = [];
  beforeAll(async () => {
    const args = tasks.map((task) => JSON.stringify(task));
    lines = await runInGuest({ series, script: 'permissions_guest.mjs', args });
  }, GUEST_TIMEOUT_MS);
  return (name) => {
    const line = lines.find((candidate) => candidate.name === name);
    if (line === undefined) throw new Error(`the guest did not report ${name}`);
    return line as unknown as Ended;
  };
}

function trialOf({ status, stdout, stderr }: Ended): Trial {
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return JSON.parse(stdout) as Trial;
}

function nodeCommand(script: string, ...args: string[]): readonly string[] {
  return [process.execPath, join(ROOT, script), ...args];
}

function restartCommand(needs: 'types' | 'tracepoints'): readonly string[] {
  return nodeCommand('test/e2e/bpftrace_after_drop.mjs', 'kept', needs);
}

function agentCommand(capabilities: readonly string[]): readonly string[] {
  const args = ['run', '--web.listen-address', '127.0.0.1:0', '--log.format', 'json'];
  return [...asNobody(files.folder, { capabilities }), ...args];
}

function recordCommand(...more: string[]): readonly string[] {
  const args = ['record', '--json', '--duration', '100ms', ...more];
  return [...asNobody(files.folder, { capabilities: ENOUGH }), ...args];
}

function titleOf({ capabilities }: Row): string {
  return capabilities.join(', ') || 'nothing';
}

describe('on a 6.12-cloud kernel', () => {
  const RELAXED = ROWS.filter(({ works }) => Object.values(works).includes('perf'));
  const ended = guestWith('6.12-cloud', [
    { name: 'root', command: nodeCommand(TRIAL) },
    ...ROWS.map((row) => ({
      name: `3: ${titleOf(row)}`,
      command: trialCommand(files.folder, row.capabilities),
      paranoid: 3,
    })),
    { name: 'agent', command: agentCommand(ENOUGH), until: MEASURING },
    { name: 'record', command: recordCommand() },
    { name: 'record --exact', command: recordCommand('--exact') },
    { name: 'bpftrace', command: restartCommand('types') },
    ...RELAXED.map((row) => ({
      name: `2: ${titleOf(row)}`,
      command: trialCommand(files.folder, row.capabilities),
      paranoid: 2,
    })),
  ]);

  test('root can do everything there', () => {
    const { told } = trialOf(ended('root'));
    expect(told).toEqual(Object.fromEntries(ACTIONS.map((action) => [action, ''])));
  });

  test.each([
    ...ROWS.map((row) => ({ row, paranoid: 3, title: titleOf(row) })),
    ...RELAXED.map((row) => ({ row, paranoid: 2, title: titleOf(row) })),
  ])('perf_event_paranoid $paranoid: $title', ({ row, paranoid, title }) => {
    const trial = trialOf(ended(`${paranoid}: ${title}`));
    const why = JSON.stringify(trial.told, null, 2);
    expect(worked(trial), why).toEqual(expected(row, trialOf(ended('root')), paranoid));
  });

  test('what a paranoid kernel denies is explained by the sysctl and the capability', () => {
    const { told } = trialOf(ended(`3: ${ENOUGH.join(', ')}`));
    for (const why of [told.kprobe, told.tracepoint, told.outliers]) {
      expect(why).toMatch(/EACCES: kernel\.perf_event_paranoid is 3, .*CAP_SYS_ADMIN.*set it to 2/);
    }
  });

  test('the agent measures all there with CAP_BPF and CAP_PERFMON, and says what it cannot show', () => {
    const { status, stderr } = ended('agent');
    expect(status).toBe(0);
    const lines = stderr.trim().split('\n');
    const logs = lines.map((line) => JSON.parse(line) as LogLine);
    const complaints = logs.filter(({ level }) => level > 30);
    expect(complaints).toEqual([
      expect.objectContaining({ level: 40, msg: 'outliers are counted, but not shown' }),
    ]);
    expect(logs.map(({ msg }) => msg)).toContain('dropped all capabilities');
  });

  test('`rxscope record` counts there; only --exact takes perf events, and says so', () => {
    const record = ended('record');
    expect({ status: record.status, stderr: record.stderr }).toEqual({ status: 0, stderr: '' });
    const { probes } = JSON.parse(record.stdout) as { probes: { id: string; up: boolean }[] };
    expect(probes.map(({ id, up }) => [id, up])).toEqual(LATENCIES.map((id) => [id, true]));
    const exact = ended('record --exact');
    expect(exact.status).toBe(1);
    expect(exact.stdout).toMatch(/kernel\.perf_event_paranoid is 3/);
  });

  test('what is kept for bpftrace is enough to start it again', () => {
    const told = JSON.parse(ended('bpftrace').stdout) as { kept: string[]; status: number };
    expect(told).toMatchObject({ status: 0 });
    expect(told.kept).toContain('CAP_SYS_ADMIN');
  });
});

/** Only where it is among the kernels of this run: `npm run test:vm`. */
const CHARGING = chosenKernels().filter(({ series }) => series?.endsWith(':5.10-cloud'));

describe.each(CHARGING)('on a $name kernel, which charges maps to a limit', ({ series = '' }) => {
  const ended = guestWith(series, [
    { name: 'limited', command: agentCommand(ENOUGH), until: 'rxscope is running' },
    {
      name: 'CAP_SYS_RESOURCE',
      command: agentCommand([...ENOUGH, 'CAP_SYS_RESOURCE']),
      until: MEASURING,
    },
    {
      name: 'raised',
      command: ['prlimit', '--memlock=unlimited', '--', ...agentCommand(ENOUGH)],
      until: MEASURING,
    },
    // Debian's bpftrace cannot read this kernel's types, as root either.
    { name: 'bpftrace', command: restartCommand('tracepoints') },
  ]);

  test('too low a limit is what the log says', () => {
    expect(ended('limited').stderr).toMatch(/RLIMIT_MEMLOCK.*LimitMEMLOCK.*CAP_SYS_RESOURCE/);
  });

  test.each(['CAP_SYS_RESOURCE', 'raised'])('with it %s every probe is up', (name) => {
    const { status, stderr } = ended(name);
    expect(status, stderr).toBe(0);
    expect(stderr).not.toContain('probe is not up');
  });

  test('what is kept for bpftrace is enough to start it again', () => {
    expect(JSON.parse(ended('bpftrace').stdout)).toMatchObject({ status: 0 });
  });
});
