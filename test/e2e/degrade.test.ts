// The agent where something is missing: permission, the kernel's type information, tracefs, the
// BPF object, the addon. It runs, serves what it can, and gives one plain reason for the rest.
// Nowhere is there a tracefs, by which bpftrace could measure instead (bpftrace.test.ts).

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { ProbeStatus } from '../../src/capture/status.ts';
import { PROBES } from '../../src/probes/index.ts';
import type { ProbeSummary } from '../../src/serve/source.ts';
import { ROOT } from '../repo/project_files.ts';
import { runRxscope, startAgent } from './agent_process.ts';
import { ENABLED, LATENCIES, standings } from './catalogue.ts';
import { scratch } from './scratch.ts';
import { after, asNobody, hiding, NO_TRACEFS, replacing } from './surroundings.ts';

const files = scratch();
const OBJECT = join(ROOT, 'dist/bpf/rxscope.bpf.o');
const ERROR = 50;
const FATAL = 60;

/** Interrupts go by the name of their card, and there need not be one. */
const BY_INTERRUPT = PROBES.filter(({ by }) => by === 'irq').map(({ id }) => id);
const HAS_CARD = readdirSync('/sys/class/net').some((name) => name !== 'lo');

function garbage(): string {
  return files.write('garbage.o', 'this is no ELF file\n'.repeat(101));
}

function truncated(): string {
  // Its sections lie beyond the end.
  return files.write('truncated.o', readFileSync(OBJECT).subarray(0, 5003));
}

/** Where the addon is looked for; `npm pack` leaves the second one behind. */
function addonFolders(): string[] {
  return ['build', 'prebuilds'].map((name) => join(ROOT, name)).filter((path) => existsSync(path));
}

/** `collectors`: what else fails for the same reason, told once each. */
const CASES: readonly {
  readonly missing: string;
  readonly command: () => readonly string[];
  readonly reason: RegExp;
  readonly collectors?: readonly string[];
}[] = [
  {
    missing: 'permission',
    command: () => asNobody(files.folder, { mounts: NO_TRACEFS }),
    reason: /EPERM: BPF is not permitted here; run as root or with CAP_BPF and CAP_PERFMON/,
  },
  {
    missing: "the kernel's type information",
    command: () => after([...NO_TRACEFS, hiding('/sys/kernel/btf')]),
    reason: /the kernel's type information \(\/sys\/kernel\/btf\/vmlinux\)/,
  },
  {
    missing: 'the BPF object, garbage in its place',
    command: () => after([...NO_TRACEFS, replacing(OBJECT, garbage())]),
    reason: /dist\/bpf\/rxscope\.bpf\.o/,
  },
  {
    missing: 'most of the BPF object',
    command: () => after([...NO_TRACEFS, replacing(OBJECT, truncated())]),
    reason: /dist\/bpf\/rxscope\.bpf\.o/,
  },
  {
    missing: 'the BPF object',
    command: () => after([...NO_TRACEFS, hiding(join(ROOT, 'dist/bpf'))]),
    reason: /the BPF object/,
  },
  {
    missing: 'the addon',
    command: () => after([...NO_TRACEFS, ...addonFolders().map(hiding)]),
    reason: /^cannot load the native addon: .* `npm run build`/,
    collectors: ['links'],
  },
];

describe.each(CASES)('without $missing', ({ command, reason, collectors = [] }) => {
  test('the agent runs, says once for each probe why it is not up, and serves the rest', async () => {
    const agent = await startAgent([], command());
    const numbers = await agent.numbers();
    expect(numbers.find('rxscope_probe_up')).toHaveLength(ENABLED.length);
    for (const probe of ENABLED) expect(numbers.total('rxscope_probe_up', { probe })).toBe(0);
    for (const probe of LATENCIES) {
      expect(numbers.total('rxscope_budget_seconds', { probe })).toBeGreaterThan(0);
      const counts = numbers.find(`rxscope_${probe}_seconds_count`);
      expect(counts.filter(({ value }) => value !== 0)).toEqual([]);
      if (HAS_CARD || !BY_INTERRUPT.includes(probe)) expect(counts.length).toBeGreaterThan(0);
    }
    expect(numbers.find('rxscope_probe_info')).toEqual([]);
    expect(numbers.total('rxscope_received_packets_total')).toBe(0);
    expect(numbers.total('process_resident_memory_bytes')).toBeGreaterThan(1e6);

    const all = agent.logs().filter(({ level }) => level >= ERROR);
    const failed = all.flatMap((line) => ('collector' in line ? [line.collector] : []));
    expect(failed).toEqual(collectors);
    const errors = all.filter((line) => !('collector' in line));
    expect(errors.map(({ probe }) => probe)).toEqual(ENABLED);
    for (const line of errors) expectPlain(String(line.reason), reason);

    // A second scrape adds nothing to the log, and the API has the same reasons.
    await agent.scrape();
    const { probes } = (await agent.json('/api/v1/probes')) as { probes: ProbeSummary[] };
    const on = probes.filter(({ id }) => ENABLED.includes(id));
    expect(on.map((probe) => probe.reason)).toEqual(errors.map((line) => line.reason));
    expect((await fetch(`${agent.url}/-/ready`)).status).toBe(200);
    expect(await (await fetch(agent.url)).text()).toContain('not up');

    const { code, ms } = await agent.stop();
    expect(code).toBe(0);
    expect(ms).toBeLessThan(2000);
    expect(agent.logs().filter(({ level }) => level >= ERROR)).toHaveLength(all.length);
  });

  test('`rxscope probes` gives the reasons and exits with 1', async () => {
    const table = await runRxscope(['probes'], command());
    expect(table.code).toBe(1);
    const json = await runRxscope(['probes', '--json'], command());
    expect(json.code).toBe(1);
    const statuses = JSON.parse(json.stdout) as ProbeStatus[];
    expect(statuses.map(({ id, up }) => [id, up])).toEqual(standings(ENABLED, false));
    for (const status of statuses) {
      const off = /^switched off by the configuration$/;
      expectPlain(status.reason, ENABLED.includes(status.id) ? reason : off);
      const state = ENABLED.includes(status.id) ? 'not up' : 'off';
      expect(table.stdout).toContain(`${status.id}  ${state}: ${status.reason}\n`);
    }
  });

  test('--strict makes `rxscope run` exit with 1', async () => {
    const args = ['run', '--strict', '--web.listen-address', '127.0.0.1:0', '--log.format', 'json'];
    const { code, stderr } = await runRxscope(args, command());
    expect(code).toBe(1);
    const lines = stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { level: number; msg: string });
    expect(lines.filter(({ level }) => level === ERROR)).toHaveLength(
      ENABLED.length + collectors.length,
    );
    expect(lines.at(-1)).toMatchObject({ level: FATAL, msg: expect.stringMatching(/^strict: /) });
  });

  test('`rxscope record` gives the reasons and exits with 1', async () => {
    const { code, stdout } = await runRxscope(['record', '--duration', '100ms'], command());
    expect(code).toBe(1);
    expect(stdout.match(/^ {2}not up: .+$/gm)).toHaveLength(LATENCIES.length);
    for (const [line] of stdout.matchAll(/not up: .+/g)) expect(line).toMatch(/\w{3}/);
  });
});

test('without tracefs and debugfs everything is up: no program needs them here', async () => {
  const agent = await startAgent(['--strict'], after(NO_TRACEFS));
  const numbers = await agent.numbers();
  expect(numbers.total('rxscope_probe_up')).toBe(ENABLED.length);
  for (const { labels } of numbers.find('rxscope_probe_info')) {
    expect(labels).toMatchObject({ backend: 'libbpf', attach: 'tp_btf' });
  }
  expect(agent.logs().filter(({ level }) => level > 30)).toEqual([]);
});

test('without the addon `rxscope --help` and `rxscope check-config` work as ever', async () => {
  const command = after([...addonFolders(), join(ROOT, 'dist/bpf')].map(hiding));
  expect((await runRxscope(['--help'], command)).code).toBe(0);
  const file = files.write('good.yaml', 'profile: web\n');
  const { code, stdout } = await runRxscope(['check-config', file], command);
  expect(code).toBe(0);
  expect(stdout).toContain(`${file}: ok`);
});

/** One line that a person can read, without a stack trace or the verifier's whole log. */
function expectPlain(text: string, pattern: RegExp): void {
  expect(text).toMatch(pattern);
  expect(text).not.toMatch(/\n|\bat .*:\d+:\d+/);
  expect(text.length).toBeLessThan(400);
}
