// What was captured of a probe, taken apart by its labels: by device and protocol, or by softirq vector. Pure
// but for the names of devices.

import type { Latency, Reading } from '../../capture/reading.ts';
import {
  count,
  emptyHistogram,
  type Histogram,
  merge,
  quantile,
} from '../../histogram/histogram.ts';
import { labelsOf, type Probe } from '../../probes/probe.ts';
import { type DeviceLabels, labelOf, REMOVED } from '../../readings/names.ts';

/** One label set of a probe, from its histogram. */
export interface RecordPart {
  readonly labels: Readonly<Record<string, string>>;
  readonly count: number;
  readonly p50_seconds: number;
  readonly p99_seconds: number;
}

/** Those that were observed, the most first. */
export function recordParts(
  probe: Probe,
  reading: Reading | undefined,
  names: DeviceLabels,
): RecordPart[] {
  const groups = new Map<string, { labels: Record<string, string>; histogram: Histogram }>();
  for (const latency of reading?.latencies ?? []) {
    if (latency.probe !== probe.id) continue;
    const labels = namedLabels(probe, latency, names);
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

function namedLabels(probe: Probe, latency: Latency, names: DeviceLabels): Record<string, string> {
  const { protocol, vector } = latency;
  const values = { device: labelOf(probe.id, latency, names) ?? REMOVED, protocol, vector };
  return Object.fromEntries(labelsOf(probe).map((label) => [label, values[label] ?? '']));
}
