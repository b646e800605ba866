// What tests of the probes beside the mission's three share: reading their histograms, the kernel's own
// counts of the same events, and how much longer a probe says that things take. Judges nothing.

import { type Captured, captureOnce } from '../../src/capture/capture_once.ts';
import type { Latency } from '../../src/capture/reading.ts';
import type { Protocol } from '../../src/capture/slots.ts';
import { count, emptyHistogram, merge } from '../../src/histogram/histogram.ts';
import { readInterrupts } from '../../src/host/interrupts.ts';
import { readSoftirqs } from '../../src/host/softirqs.ts';
import { readSoftnet } from '../../src/host/softnet.ts';
import { PROBES } from '../../src/probes/index.ts';
import { captureAll } from './options.ts';

export const ALL_PROBES: readonly string[] = PROBES.map(({ id }) => id);

/** The kernel's own counts, of all CPUs together. */
export interface KernelCounts {
  /** Runs by vector. */
  readonly softirqs: ReadonlyMap<string, number>;
  /** By interrupt number. */
  readonly interrupts: ReadonlyMap<number, number>;
  /** Packets that were handed to the protocols, of softnet_stat. */
  readonly processed: number;
}

export function kernelCounts(): KernelCounts {
  const sum = (numbers: Iterable<number>): number => [...numbers].reduce((a, b) => a + b, 0);
  const softirqs = [...readSoftirqs()].map(([vector, cpus]): [string, number] => [
    vector,
    sum(cpus.values()),
  ]);
  const interrupts = readInterrupts().rows.flatMap(({ irq, counts }): [number, number][] =>
    typeof irq === 'number' ? [[irq, sum(counts)]] : [],
  );
  return {
    softirqs: new Map(softirqs),
    interrupts: new Map(interrupts),
    processed: sum([...readSoftnet().values()].map(({ processed }) => processed)),
  };
}

/** A measurement between counts that were taken just outside it and just inside. */
export interface Framed {
  readonly captured: Captured;
  /** What happened while everything was attached: as much, at least, must have been seen. */
  readonly least: (of: (counts: KernelCounts) => number | undefined) => number;
  /** What happened while anything was attached: no more can have been seen. */
  readonly most: (of: (counts: KernelCounts) => number | undefined) => number;
}

export async function measureFramed(
  probes: readonly string[],
  during: () => Promise<unknown>,
): Promise<Framed> {
  const outside = [kernelCounts()];
  const inside: KernelCounts[] = [];
  const captured = await captureOnce(captureAll({ probes }), async () => {
    inside.push(kernelCounts());
    await during();
    inside.push(kernelCounts());
  });
  outside.push(kernelCounts());
  const between =
    ([before, after]: readonly KernelCounts[]) =>
    (of: (counts: KernelCounts) => number | undefined): number =>
      before === undefined || after === undefined
        ? Number.NaN
        : (of(after) ?? 0) - (of(before) ?? 0);
  return { captured, least: between(inside), most: between(outside) };
}

/** Observations of a probe, by the value of one of its labels. */
export function countsBy(
  { reading }: Captured,
  probe: string,
  label: 'vector' | 'irq' | 'device' | 'protocol',
): Map<string | number, number> {
  const counts = new Map<string | number, number>();
  for (const row of reading?.latencies ?? []) {
    const value = row[label];
    if (row.probe !== probe || value === undefined) continue;
    counts.set(value, (counts.get(value) ?? 0) + count(row.histogram));
  }
  return counts;
}

export function flawsOf({ reading }: Captured, probe: string): Readonly<Record<string, number>> {
  return reading?.unmatched[probe] ?? {};
}

/** So few are chance: another process of this machine that had its own traffic. */
const SAMPLES_MIN = 20;

/**
 * Mean of each probe, in nanoseconds, of what a test's traffic is about: of the vectors NET_RX alone, and
 * of the protocols its own. 0 where next to nothing was observed.
 */
export function meansOf({ reading }: Captured, protocol: Protocol): Map<string, number> {
  const isOurs = (row: Latency): boolean =>
    (row.vector ?? 'NET_RX') === 'NET_RX' && (row.protocol ?? protocol) === protocol;
  return new Map(
    ALL_PROBES.map((probe) => {
      const sum = emptyHistogram();
      for (const row of reading?.latencies ?? [])
        if (row.probe === probe && isOurs(row)) merge(sum, row.histogram);
      return [probe, count(sum) < SAMPLES_MIN ? 0 : sum.sumNs / count(sum)];
    }),
  );
}

/** By how many nanoseconds each probe's mean has grown, the largest first. */
export function growth(
  before: Captured,
  after: Captured,
  protocol: Protocol,
): [probe: string, ns: number][] {
  const earlier = meansOf(before, protocol);
  return [...meansOf(after, protocol)]
    .map(([probe, ns]): [string, number] => [probe, Math.round(ns - (earlier.get(probe) ?? 0))])
    .sort((a, b) => b[1] - a[1]);
}
