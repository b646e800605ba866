// What each probe costs beside the three that are the mission, and what the default set costs. In each
// round the three alone and the three with something else are attached at the same time, so that both
// see the same packets; the kernel's BPF statistics tell them apart.

import { loadAddon } from '../../src/addon/addon.ts';
import { captureOptions } from '../../src/agent/capture_options.ts';
import { type KernelCapture, openKernelCapture } from '../../src/capture/kernel_capture.ts';
import { effectiveConfig } from '../../src/config/load.ts';
import { CATALOGUE } from '../../src/probes/index.ts';
import { Lab, RECEIVER } from '../kernel/lab.ts';
import { formatSpread, markdownTable } from './statistics.ts';

export interface ProbeCostOptions {
  readonly rounds: number;
  /** Packets of a round. */
  readonly packets: number;
}

const MISSION = ['irq_to_softirq', 'softirq_to_socket', 'receive_to_socket'];
/** Of the three alone: what the default set may cost. */
const RATIO_MAX = 1.3;
const PORT = 7001;
/** For all datagrams of a round, so that none is dropped. */
const BUFFER_BYTES = 1 << 29;

interface Set {
  readonly name: string;
  readonly probes: readonly string[];
}

interface Round {
  readonly aloneNs: number;
  readonly togetherNs: number;
}

/** Returns the table as Markdown. `progress` hears of each round. */
export async function probeCost(
  options: ProbeCostOptions,
  progress: (line: string) => void,
): Promise<string> {
  const closers: (() => void)[] = [];
  try {
    const statistics = loadAddon().enableStats();
    closers.push(() => statistics.close());
    const lab = new Lab();
    closers.push(() => lab.close());
    const rows: string[][] = [];
    for (const protocol of ['udp', 'tcp'] as const) {
      for (const set of sets()) {
        const rounds: Round[] = [];
        // The first round warms the caches and is not counted.
        for (let i = 0; i <= options.rounds; i++) {
          const round = await measureRound(lab, protocol, set, options.packets);
          if (i > 0) rounds.push(round);
          progress(`${protocol}, ${set.name}: round ${i} of ${options.rounds}`);
        }
        rows.push(rowOf(protocol, set, rounds));
      }
    }
    const columns = ['the three alone', 'with it', 'more', 'with it / alone'];
    return markdownTable(['ns a packet: median (quartiles)', ...columns], rows);
  } finally {
    for (const close of closers.reverse()) close();
  }
}

function sets(): Set[] {
  const others = CATALOGUE.map(({ id }) => id).filter((id) => !MISSION.includes(id));
  const defaults = CATALOGUE.filter(({ enabled }) => enabled).map(({ id }) => id);
  return [
    ...others.map((id) => ({ name: `\`${id}\``, probes: [...MISSION, id] })),
    { name: `default set (at most ${RATIO_MAX})`, probes: defaults },
    { name: 'everything', probes: [...MISSION, ...others] },
  ];
}

async function measureRound(
  lab: Lab,
  protocol: 'udp' | 'tcp',
  set: Set,
  packets: number,
): Promise<Round> {
  const captures = [MISSION, set.probes].map(open);
  try {
    const receiver = lab.receive(protocol, RECEIVER, PORT, packets, {
      cpu: 1,
      buffer: BUFFER_BYTES,
    });
    await receiver.ready;
    const before = captures.map(ranNs);
    await lab.send(protocol, RECEIVER, PORT, packets, { cpu: 0 });
    await receiver.result;
    const received = captures.map((capture) =>
      (capture.read()?.received ?? []).reduce((sum, row) => sum + row.packets, 0),
    );
    const [aloneNs = NaN, togetherNs = NaN] = captures.map(
      (capture, i) => (ranNs(capture) - (before[i] ?? 0)) / (received[i] ?? NaN),
    );
    return { aloneNs, togetherNs };
  } finally {
    for (const capture of captures) capture.close();
  }
}

function open(probes: readonly string[]): KernelCapture {
  return openKernelCapture(loadAddon(), { ...captureOptions(effectiveConfig(), false), probes });
}

function ranNs(capture: KernelCapture): number {
  return capture.programStats().reduce((sum, { runTimeNs }) => sum + runTimeNs, 0);
}

function rowOf(protocol: string, { name }: Set, rounds: readonly Round[]): string[] {
  return [
    `${protocol.toUpperCase()}: ${name}`,
    formatSpread(
      rounds.map(({ aloneNs }) => aloneNs),
      0,
    ),
    formatSpread(
      rounds.map(({ togetherNs }) => togetherNs),
      0,
    ),
    formatSpread(
      rounds.map(({ aloneNs, togetherNs }) => togetherNs - aloneNs),
      0,
    ),
    formatSpread(
      rounds.map(({ aloneNs, togetherNs }) => togetherNs / aloneNs),
      3,
    ),
  ];
}
