// What was captured of a probe, taken apart by its labels: by device and protocol, or by softirq vector. Pure.

import {
  count,
  emptyHistogram,
  type Histogram,
  merge,
  quantile,
} from '../../histogram/histogram.ts';
import type { Labels, NamedPackets } from '../../readings/named_reading.ts';

/** One label set of a probe, from its histogram. */
export interface RecordPart {
  readonly labels: Labels;
  readonly count: number;
  readonly p50_seconds: number;
  readonly p99_seconds: number;
}

/** Those that were observed, all CPUs together, the most first. */
export function recordParts(probe: string, packets: NamedPackets | undefined): RecordPart[] {
  const groups = new Map<string, { labels: Labels; histogram: Histogram }>();
  for (const latency of packets?.latencies ?? []) {
    if (latency.probe !== probe) continue;
    const { labels } = latency;
    const key = Object.values(labels).join('\0');
    const group = groups.get(key) ?? { labels, histogram: emptyHistogram() };
    merge(group.histogram, latency.histogram);
    groups.set(key, group);
  }
  return [...groups.values()]
    .map(({ labels, histogram }) => ({
      labels,
      count: count(histogram),
      p50_seconds: quantile(histogram, 0.5),
      p99_seconds: quantile(histogram, 0.99),
    }))
    .sort((a, b) => b.count - a.count);
}
