// What rxscope's programs cost for a received packet, beside a bpftrace script that measures the
// same latencies and beside programs that do nothing. All are attached at the same time, so each
// packet pays for all of them under the same conditions; the kernel's BPF statistics tell them
// apart. Those read the clock around each run, which adds the same to everybody.

import { fileURLToPath } from 'node:url';
import { loadAddon } from '../../src/addon/addon.ts';
import { captureOptions } from '../../src/agent/capture_options.ts';
import { openKernelCapture } from '../../src/capture/kernel_capture.ts';
import { effectiveConfig } from '../../src/config/load.ts';
import { PROBES } from '../../src/probes/index.ts';
import { Lab, RECEIVER } from '../kernel/lab.ts';
import { USUAL_PROBES } from '../kernel/options.ts';
import { openProgram } from './bpf_program.ts';
import { startBpftrace } from './bpftrace.ts';
import { formatSpread, markdownTable, spreadOf } from './statistics.ts';

export interface KernelCostOptions {
  readonly rounds: number;
  /** Packets of a round. */
  readonly packets: number;
}

export interface ProgramCost {
  readonly runTimeNs: number;
  readonly runs: number;
}

/** A set of programs that is measured: totals so far, by tracepoint. */
export interface Contender {
  readonly name: string;
  read(): Map<string, ProgramCost>;
  close(): void | Promise<void>;
}

const OURS = 'rxscope';
const BPFTRACE = 'bpftrace';
const EMPTY = 'empty programs';
/** Of the cost of the bpftrace script, in the worst case. */
const RATIO_REQUIRED = 0.45;
const RATIO_AIM = 0.35;

/** Returns the tables as Markdown. `progress` hears of each round. */
export async function kernelCost(
  options: KernelCostOptions,
  progress: (line: string) => void,
): Promise<string> {
  const closers: (() => void | Promise<void>)[] = [];
  try {
    const statistics = loadAddon().enableStats();
    closers.push(() => statistics.close());
    const lab = new Lab();
    closers.push(() => lab.close());
    const contenders: Contender[] = [];
    const starters = [
      startOurs,
      startEmpty,
      () => startBpftrace(BPFTRACE, fileURLToPath(new URL('baseline.bt', import.meta.url))),
    ];
    for (const start of starters) {
      const contender = await start();
      closers.push(() => contender.close());
      contenders.push(contender);
    }
    const measured: { scenario: Scenario; rounds: Round[] }[] = [];
    for (const scenario of SCENARIOS) {
      scenario.prepare?.(lab);
      const rounds: Round[] = [];
      // The first round warms the caches and is not counted.
      for (let i = 0; i <= options.rounds; i++) {
        const round = await measureRound(lab, scenario, contenders, options.packets);
        if (i > 0) rounds.push(round);
        progress(`${scenario.name}: round ${i} of ${options.rounds}`);
      }
      measured.push({ scenario, rounds });
    }
    return report(measured);
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

interface Scenario {
  readonly name: string;
  prepare?(lab: Lab): void;
  send(lab: Lab, packets: number): Promise<unknown>;
}

const PORT = 7001;
/** For all datagrams of a round, so that none is dropped. */
const BUFFER_BYTES = 1 << 29;

/** Sender on one CPU, receiver on the other. */
async function flood(lab: Lab, protocol: 'udp' | 'tcp', packets: number): Promise<void> {
  const receiver = lab.receive(protocol, RECEIVER, PORT, packets, { cpu: 1, buffer: BUFFER_BYTES });
  await receiver.ready;
  await lab.send(protocol, RECEIVER, PORT, packets, { cpu: 0 });
  await receiver.result;
}

const SCENARIOS: readonly Scenario[] = [
  {
    // veth raises NET_RX for each packet, and the sender's CPU serves it before the next one.
    name: 'UDP, one packet a softirq (worst case)',
    send: (lab, packets) => flood(lab, 'udp', packets),
  },
  {
    name: 'TCP, one segment a softirq',
    send: (lab, packets) => flood(lab, 'tcp', packets),
  },
  {
    // The other CPU takes the packets over, and finds several at once when it comes to them.
    name: 'UDP with RPS, several packets a softirq',
    prepare: (lab) =>
      lab.exec(lab.receiver, 'sh', '-c', 'echo 2 > /sys/class/net/vb/queues/rx-0/rps_cpus'),
    send: (lab, packets) => flood(lab, 'udp', packets),
  },
];

/** One round: each contender's programs, and the packets that the machine received meanwhile. */
interface Round {
  readonly packets: number;
  readonly costs: ReadonlyMap<string, ReadonlyMap<string, ProgramCost>>;
}

async function measureRound(
  lab: Lab,
  scenario: Scenario,
  contenders: readonly Contender[],
  packets: number,
): Promise<Round> {
  const before = contenders.map((contender) => contender.read());
  await scenario.send(lab, packets);
  const after = contenders.map((contender) => contender.read());
  const costs = new Map(
    contenders.map(({ name }, i) => [name, difference(before[i], after[i])] as const),
  );
  // Programs on this hook run once for each packet, whoever received it.
  const received = costs.get(EMPTY)?.get('netif_receive_skb')?.runs ?? 0;
  return { packets: received, costs };
}

function difference(
  before: Map<string, ProgramCost> = new Map(),
  after: Map<string, ProgramCost> = new Map(),
): Map<string, ProgramCost> {
  const none = { runTimeNs: 0, runs: 0 };
  return new Map(
    [...after].map(([hook, cost]) => {
      const { runTimeNs, runs } = before.get(hook) ?? none;
      return [hook, { runTimeNs: cost.runTimeNs - runTimeNs, runs: cost.runs - runs }];
    }),
  );
}

/** The programs of the latencies that the bpftrace script measures, otherwise as `rxscope run` loads them. */
function startOurs(): Contender {
  const capture = openKernelCapture(loadAddon(), {
    ...captureOptions(effectiveConfig(), false),
    probes: USUAL_PROBES,
  });
  capture.startRecords({ outlier: () => {}, observation: () => {}, drop: () => {} });
  const needed = new Set(
    PROBES.filter(({ id }) => USUAL_PROBES.some((usual) => usual === id)).flatMap(
      ({ hooks, hooksOptional }) => [...hooks, ...hooksOptional],
    ),
  );
  const missing = capture.states.filter(({ hook, rung }) => !rung && needed.has(hook));
  if (missing.length > 0) {
    capture.close();
    throw new Error(`cannot attach: ${JSON.stringify(missing)}`);
  }
  const hooks = new Map(capture.states.map(({ rung }) => [rung?.program, hookOf(rung?.target)]));
  return {
    name: OURS,
    read: () =>
      new Map(capture.programStats().map((one) => [hooks.get(one.program) ?? one.program, one])),
    close: () => capture.close(),
  };
}

/** A classic tracepoint's target names its group, too. */
function hookOf(target = ''): string {
  return target.replace(/^.*:/, '');
}

function startEmpty(): Contender {
  const object = openProgram('empty.bpf.c');
  object.load();
  const programs = object.programs().map(({ name }) => name);
  for (const program of programs) object.attach(program);
  return {
    name: EMPTY,
    read: () =>
      new Map(programs.map((name) => [name.replace('empty_', ''), object.programStats(name)])),
    close: () => object.close(),
  };
}

function report(measured: readonly { scenario: Scenario; rounds: readonly Round[] }[]): string {
  const costs = markdownTable(
    ['ns a packet: median (quartiles)', OURS, BPFTRACE, EMPTY, `${OURS} / ${BPFTRACE}`],
    measured.map(({ scenario, rounds }) => [
      scenario.name,
      ...[OURS, BPFTRACE, EMPTY].map((name) => formatSpread(perPacket(rounds, name), 0)),
      formatSpread(ratios(rounds), 3),
    ]),
  );
  const programs = measured.map(
    ({ scenario, rounds }) => `${scenario.name}, by program:\n\n${programTable(rounds)}`,
  );
  return [costs, verdict(measured[0]?.rounds ?? []), ...programs].join('\n');
}

function verdict(worstCase: readonly Round[]): string {
  const { median } = spreadOf(ratios(worstCase));
  const required = median <= RATIO_REQUIRED ? 'met' : 'NOT met';
  const aim = median <= RATIO_AIM ? 'met' : 'not met';
  return (
    `Worst case: ${median.toFixed(3)} × the bpftrace script. ` +
    `Required ${RATIO_REQUIRED}: ${required}. Aim ${RATIO_AIM}: ${aim}.\n`
  );
}

function perPacket(rounds: readonly Round[], name: string): number[] {
  return rounds.map(({ packets, costs }) => {
    const all = [...(costs.get(name)?.values() ?? [])];
    return all.reduce((sum, { runTimeNs }) => sum + runTimeNs, 0) / packets;
  });
}

/** Round by round, so that what slows a whole round down cancels out. */
function ratios(rounds: readonly Round[]): number[] {
  const baseline = perPacket(rounds, BPFTRACE);
  return perPacket(rounds, OURS).map((ns, i) => ns / (baseline[i] ?? NaN));
}

/** Time of a run and runs per packet, for each hook that ran. */
function programTable(rounds: readonly Round[]): string {
  const names = [OURS, BPFTRACE, EMPTY];
  const hooks = [...(rounds[0]?.costs.get(OURS)?.keys() ?? [])];
  const cell = (hook: string, name: string): string => {
    const ran = rounds.flatMap(({ packets, costs }) => {
      const cost = costs.get(name)?.get(hook);
      return cost === undefined ? [] : [{ ...cost, packets }];
    });
    // The bpftrace script has no program on this hook.
    if (ran.length === 0) return '';
    const runs = spreadOf(ran.map((one) => one.runs / one.packets)).median;
    const nsPerRun = spreadOf(ran.map((one) => one.runTimeNs / one.runs)).median;
    return `${nsPerRun.toFixed(0)} × ${runs.toFixed(2)}`;
  };
  const rows = hooks
    .map((hook) => [hook, ...names.map((name) => cell(hook, name))])
    .filter((row) => !row[1]?.startsWith('NaN'));
  return markdownTable(['ns a run × runs a packet', ...names], rows);
}
