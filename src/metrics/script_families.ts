// The families of probes that bpftrace measures: the same names, with what its scripts can know.
// Classic histograms only, with the bounds that bpftrace counts by. Pure, like families.ts.

import {
  COARSE_BOUNDS,
  type CoarseHistogram,
  coarseCount,
  emptyCoarse,
} from '../histogram/coarse_histogram.ts';
import { PROBES } from '../probes/index.ts';
import type { Probe } from '../probes/probe.ts';
import type { NamedScript } from '../readings/named_reading.ts';
import type { HistogramFamily, HistogramSample, Labels, ScalarSample } from './model.ts';
import { keyOf } from './samples.ts';

/** By probe id; a probe that is not here is measured by libbpf. */
export type Scripts = ReadonlyMap<string, NamedScript>;

/** `known` are the label sets that exist from the start. */
export function scriptLatencyFamily(
  probe: Probe,
  { latencies }: NamedScript,
  known: readonly Labels[],
): HistogramFamily {
  const rows = new Map<string, { labels: Labels; histogram: CoarseHistogram }>();
  for (const labels of known) rows.set(keyOf(labels), { labels, histogram: emptyCoarse() });
  for (const { labels, histogram } of latencies) rows.set(keyOf(labels), { labels, histogram });
  const samples: HistogramSample[] = [];
  for (const { labels, histogram } of rows.values()) {
    samples.push({
      labels,
      sum: histogram.sumNs / 1e9,
      count: coarseCount(histogram),
      classic: { bounds: COARSE_BOUNDS, counts: histogram.counts },
    });
  }
  return { type: 'histogram', name: `rxscope_${probe.id}_seconds`, help: probe.help, samples };
}

/**
 * The reading that stands for received packets, for what is pending and for deliveries without a
 * start, where bpftrace measures the packet probes. Both scripts count them alike.
 */
export function packetScript(scripts: Scripts): NamedScript | undefined {
  const probe = PROBES.findLast(({ id, everyPacket }) => everyPacket && scripts.has(id));
  return scripts.get(probe?.id ?? '');
}

export function receivedSamples(
  received: NamedScript['received'],
  devices: readonly string[],
): ScalarSample[] {
  const packets = new Map<string, number>(devices.map((device) => [device, 0]));
  for (const row of received) packets.set(row.device, row.packets);
  return [...packets].map(([device, value]) => ({ labels: { device }, value }));
}
