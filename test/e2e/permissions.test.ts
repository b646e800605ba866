// The agent with few capabilities, and without any once it measures. Each row of the README's table
// is tried on this kernel; test/vm/permissions.test.ts does so on others.

import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { permissions } from '../../src/capture/capabilities.ts';
import { ROOT, textOf } from '../repo/project_files.ts';
import { type AgentProcess, logLine, RXSCOPE, runRxscope, startAgent } from './agent_process.ts';
import { ENABLED, LATENCIES, SCRIPTED } from './catalogue.ts';
import { heldBpf, stillThere } from './held_bpf.ts';
import { sendOverLoopback } from './loopback.ts';
import {
  expected,
  permissionsTable,
  ROWS,
  runTrial,
  TRIAL,
  type Trial,
  trialCommand,
  worked,
} from './permissions.ts';
import { scratch } from './scratch.ts';
import { after, asNobody, hiding, TRACEFS } from './surroundings.ts';

const files = scratch();
const ENOUGH = ['CAP_BPF', 'CAP_PERFMON'];
const NOBODY = 65534;
const WARN = 40;
const SOON = { timeout: 20_000, interval: 50 };

describe('the table of capabilities', () => {
  let root: Trial;
  beforeAll(async () => {
    root = await runTrial(after(TRACEFS, [process.execPath, join(ROOT, TRIAL)]));
  });

  test('is in docs/permissions.md as it is tested', () => {
    const table = permissionsTable();
    expect(textOf('docs/permissions.md').includes(table), `put this table there:\n${table}`).toBe(
      true,
    );
  });

  test('this kernel lets root do what each row is compared with', () => {
    const { tp_btf, raw_tp, tracepoint, outliers, bpf_stats, names } = root.told;
    const all = { tp_btf, raw_tp, tracepoint, outliers, bpf_stats, names };
    expect(Object.entries(all).filter(([, why]) => why !== '')).toEqual([]);
  });

  test.each(ROWS.map((row) => ({ ...row, title: row.capabilities.join(', ') || 'nothing' })))(
    '$title',
    async (row) => {
      const trial = await runTrial(trialCommand(files.folder, row.capabilities));
      const { perfEventParanoid = 2 } = permissions();
      const why = JSON.stringify(trial.told, null, 2);
      expect(worked(trial), why).toEqual(expected(row, root, perfEventParanoid));
    },
  );
});

describe('nobody with CAP_BPF and CAP_PERFMON', () => {
  let agent: AgentProcess;
  let file: string;
  beforeAll(async () => {
    file = files.write('nobody.yaml', 'profile: web\n');
    const command = asNobody(files.folder, { capabilities: ENOUGH });
    agent = await startAgent(['--strict', '--config.file', file], command);
  });

  test('measures everything that root measures', async () => {
    const before = await agent.numbers();
    for (const probe of ENABLED) expect(before.total('rxscope_probe_up', { probe })).toBe(1);
    const labels = { device: 'lo', protocol: 'udp' };
    const observed = 'rxscope_softirq_to_socket_seconds_count';
    await sendOverLoopback(307);
    const after = await agent.numbers();
    expect(after.total(observed, labels) - before.total(observed, labels)).toBeGreaterThanOrEqual(
      307,
    );
    expect(agent.logs().filter(({ level }) => level >= WARN)).toEqual([]);
  });

  test('has no capability left in any thread, whatever it has done since', async () => {
    expect(capabilitiesOf(agent)).toEqual(['0']);
    // Compression takes threads of libuv's pool, which may not have been there before.
    for (let i = 0; i < 7; i++) {
      const answer = await fetch(`${agent.url}/metrics`, {
        headers: { 'accept-encoding': 'gzip' },
      });
      expect((await answer.text()).length).toBeGreaterThan(1000);
    }
    expect(capabilitiesOf(agent)).toEqual(['0']);
    expect(agent.logs()).toContainEqual(
      expect.objectContaining({ msg: 'dropped all capabilities', threads: expect.any(Number) }),
    );
  });

  test('goes on: SIGHUP, new devices, SIGTERM, and nothing stays in the kernel', async () => {
    files.write('nobody.yaml', 'probes: { receive_to_socket: { budget: 7ms } }\n');
    agent.child.kill('SIGHUP');
    await vi.waitFor(async () => {
      const budget = (await agent.numbers()).total('rxscope_budget_seconds', {
        probe: 'receive_to_socket',
      });
      expect(budget).toBe(0.007);
    }, SOON);
    await withNewDevice(async (device) => {
      await vi.waitFor(async () => {
        const found = (await agent.numbers()).find('rxscope_received_packets_total', { device });
        expect(found).toHaveLength(1);
      }, SOON);
    });
    const held = heldBpf(agent.pid);
    expect(held.programs.size).toBeGreaterThan(0);
    const { code, ms } = await agent.stop();
    expect(code).toBe(0);
    expect(ms).toBeLessThan(2000);
    await vi.waitFor(() => expect(stillThere(held)).toEqual([]), SOON);
  });
});

test.each([
  ['CAP_BPF', /without CAP_PERFMON; add it/],
  ['CAP_PERFMON', /without CAP_BPF; add it/],
])('nobody with %s alone: the agent serves, and says which one is missing', async (one, reason) => {
  const command = asNobody(files.folder, { capabilities: [one] });
  const agent = await startAgent(['--backend', 'libbpf'], command);
  const numbers = await agent.numbers();
  expect(numbers.total('rxscope_probe_up')).toBe(0);
  expect(numbers.total('process_resident_memory_bytes')).toBeGreaterThan(1e6);
  const reasons = agent.logs().flatMap((line) => ('probe' in line ? [line.reason] : []));
  expect(reasons).toHaveLength(ENABLED.length);
  for (const one of reasons) expect(one).toMatch(reason);
  expect(capabilitiesOf(agent)).toEqual(['0']);
  expect((await agent.stop()).code).toBe(0);
});

test('without CAP_SYS_ADMIN --bpf-stats is refused by name, and all else works', async () => {
  const agent = await startAgent(['--bpf-stats'], asNobody(files.folder, { capabilities: ENOUGH }));
  const numbers = await agent.numbers();
  expect(numbers.total('rxscope_probe_up')).toBe(ENABLED.length);
  expect(numbers.names(/program_run/)).toEqual([]);
  const warnings = agent.logs().filter(({ level }) => level >= WARN);
  expect(warnings).toHaveLength(1);
  expect(warnings[0]?.reason).toMatch(/takes CAP_SYS_ADMIN/);
});

test('too little memory may be locked for the rings: outliers are not shown, all is counted', async () => {
  const [program = '', ...words] = asNobody(files.folder, { capabilities: ENOUGH });
  const file = files.write('large.yaml', 'events: { pages_per_cpu: 1024 }\n');
  const limited = ['prlimit', '--memlock=65536', '--', program, ...words];
  const agent = await startAgent(['--config.file', file], limited);
  expect((await agent.numbers()).total('rxscope_probe_up')).toBe(ENABLED.length);
  const warnings = agent.logs().filter(({ level }) => level >= WARN);
  expect(warnings).toEqual([
    expect.objectContaining({
      msg: 'outliers are counted, but not shown',
      reason: expect.stringMatching(/^EPERM: .*RLIMIT_MEMLOCK.*CAP_IPC_LOCK$/),
    }),
  ]);
});

describe('root', () => {
  test('gives up all capabilities, and still reads a file that only root may read', async () => {
    const file = files.write('root.yaml', 'profile: web\n');
    chmodSync(file, 0o600);
    const agent = await startAgent(['--strict', '--config.file', file]);
    expect(capabilitiesOf(agent)).toEqual(['0']);
    await expectReload(agent, file);
    expect((await agent.stop()).code).toBe(0);
  });

  test("keeps what it takes to read a file in somebody's closed folder again", async () => {
    const folder = join(files.folder, 'closed');
    mkdirSync(folder, { mode: 0o700 });
    const file = files.write('closed/mine.yaml', 'profile: web\n');
    chownSync(folder, NOBODY, NOBODY);
    const agent = await startAgent(['--config.file', file]);
    expect(capabilitiesOf(agent)).toEqual(['4']);
    expect(agent.logs().find(({ kept }) => kept !== undefined)?.kept).toEqual({
      CAP_DAC_READ_SEARCH: `reads ${file} again at SIGHUP`,
    });
    await expectReload(agent, file);
  });

  test('keeps what it takes to read the run times of its programs', async () => {
    const agent = await startAgent(['--bpf-stats']);
    expect(capabilitiesOf(agent)).toEqual(['8000000000']);
    await sendOverLoopback(101);
    const runs = 'rxscope_program_runs_total';
    await vi.waitFor(
      async () => expect((await agent.numbers()).total(runs)).toBeGreaterThan(0),
      SOON,
    );
  });

  test('keeps what it takes to start bpftrace again, and does so', async () => {
    const agent = await startAgent(['--backend', 'bpftrace', '--strict'], after(TRACEFS));
    // CAP_SYS_RESOURCE too, where this machine lets root have it.
    expect(['c000200000', 'c001200000']).toContainEqual(capabilitiesOf(agent).join());
    const [child] = childrenOf(agent.pid);
    if (child === undefined) throw new Error('there is no bpftrace');
    process.kill(child, 'SIGKILL');
    await logLine(agent, ({ msg }) => msg === 'probe is up again');
    const children = childrenOf(agent.pid);
    expect(children).toHaveLength(SCRIPTED.length);
    expect(children).not.toContain(child);
  });

  test('without the addon it says once that capabilities could not be dropped', async () => {
    const folders = ['build', 'prebuilds'].map((name) => join(ROOT, name)).filter(existsSync);
    const args = ['--backend', 'libbpf'];
    const agent = await startAgent(args, after(folders.map(hiding), RXSCOPE));
    const warnings = agent.logs().filter(({ level }) => level === WARN);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]?.msg).toMatch(/^capabilities could not be dropped/);
    expect((await agent.scrape()).status).toBe(200);
  });
});

test.each([
  { known: 'kept', status: 0 },
  { known: 'dropped', status: 1 },
])('a bpftrace script can be started again only with what is $known', async ({ known, status }) => {
  const script = join(ROOT, 'test/e2e/bpftrace_after_drop.mjs');
  const command = after(TRACEFS, [process.execPath, script, known, 'types']);
  const ended = await runRxscope([], command);
  expect(JSON.parse(ended.stdout), ended.stderr).toMatchObject({ status });
});

test('`rxscope record` needs no more than CAP_BPF and CAP_PERFMON, every observation included', async () => {
  const command = asNobody(files.folder, { capabilities: ENOUGH });
  const args = ['record', '--exact', '--json', '--duration', '200ms'];
  const { code, stdout, stderr } = await runRxscope(args, command);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { probes } = JSON.parse(stdout) as { probes: { id: string; up: boolean }[] };
  expect(probes.map(({ id, up }) => [id, up])).toEqual(LATENCIES.map((id) => [id, true]));
});

/** Each distinct effective and permitted set of its threads, in hexadecimal. */
function capabilitiesOf(agent: AgentProcess): string[] {
  const folder = `/proc/${agent.pid}/task`;
  const sets = readdirSync(folder).flatMap((tid) => {
    let status = '';
    try {
      status = readFileSync(`${folder}/${tid}/status`, 'utf8');
    } catch {
      // The thread ended since it was listed.
    }
    return [...status.matchAll(/^Cap(?:Prm|Eff|Amb|Inh):\s*0*(\w+)$/gm)].map(
      ([, set]) => set ?? '',
    );
  });
  const distinct = new Set(sets);
  // A set that is kept is permitted and in effect; the others may be empty.
  if (distinct.size > 1) distinct.delete('0');
  return [...distinct];
}

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.split(' ').filter(Boolean).map(Number);
}

async function expectReload(agent: AgentProcess, file: string): Promise<void> {
  files.write(
    file.slice(files.folder.length + 1),
    'probes: { receive_to_socket: { budget: 11ms } }\n',
  );
  agent.child.kill('SIGHUP');
  await vi.waitFor(() => {
    expect(agent.logs().at(-1)?.msg).toBe('configuration reloaded');
  }, SOON);
  const probe = 'receive_to_socket';
  expect((await agent.numbers()).total('rxscope_budget_seconds', { probe })).toBe(0.011);
}

/** A veth pair for as long as `work` takes. */
async function withNewDevice(work: (device: string) => Promise<void>): Promise<void> {
  const device = `rxp${process.pid}`;
  execFileSync('ip', ['link', 'add', device, 'type', 'veth', 'peer', 'name', `${device}b`]);
  try {
    for (const one of [device, `${device}b`]) execFileSync('ip', ['link', 'set', one, 'up']);
    await work(device);
  } finally {
    execFileSync('ip', ['link', 'del', device]);
  }
}
