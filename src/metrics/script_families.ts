// The families of probes that bpftrace measures: the same names, with what its scripts can know.
// Classic histograms only, with the bounds that bpftrace counts by. Pure, like families.ts.

import type {
  ScriptDevice,
  ScriptLatency,
  ScriptReading,
} from '../capture/bpftrace/script_reading.ts';
import type { IrqKey } from '../capture/reading.ts';
import {
  COARSE_BOUNDS,
  type CoarseHistogram,
  coarseCount,
  emptyCoarse,
  mergeCoarse,
} from '../histogram/coarse_histogram.ts';
import { PROBES } from '../probes/index.ts';
import type { Probe } from '../probes/probe.ts';
import type { HistogramFamily, HistogramSample, Labels, ScalarSample } from './model.ts';

/** Probes that bpftrace measures, and how their devices are labelled. */
export interface ScriptContext {
  /** By probe id; a probe that is not here is measured by libbpf. */
  readonly readings: ReadonlyMap<string, ScriptReading>;
  /** A device's label; undefined when the device is gone. */
  deviceLabel(device: ScriptDevice): string | undefined;
  irqLabel(irq: IrqKey): string;
}

/** `known` are the label sets that exist from the start. */
export function scriptLatencyFamily(
  probe: Probe,
  reading: ScriptReading,
  known: readonly Labels[],
  context: ScriptContext,
): HistogramFamily {
  const groups = new Map<string, { labels: Labels; histogram: CoarseHistogram }>();
  const add = (labels: Labels, histogram: CoarseHistogram): void => {
    const key = Object.values(labels).join('\0');
    const group = groups.get(key) ?? { labels, histogram: emptyCoarse() };
    mergeCoarse(group.histogram, histogram);
    groups.set(key, group);
  };
  for (const labels of known) add(labels, emptyCoarse());
  for (const latency of reading.latencies) {
    const labels = labelsOf(latency, context);
    if (labels !== undefined) add(labels, latency.histogram);
  }
  const samples: HistogramSample[] = [];
  for (const { labels, histogram } of groups.values()) {
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
export function packetScript({ readings }: ScriptContext): ScriptReading | undefined {
  const probe = PROBES.findLast(({ id, everyPacket }) => everyPacket && readings.has(id));
  return readings.get(probe?.id ?? '');
}

export function scriptReceived(
  reading: ScriptReading,
  devices: readonly string[],
  context: ScriptContext,
): ScalarSample[] {
  const packets = new Map<string, number>(devices.map((device) => [device, 0]));
  for (const row of reading.received) {
    const device = context.deviceLabel(row.device);
    if (device !== undefined) packets.set(device, (packets.get(device) ?? 0) + row.packets);
  }
  return [...packets].map(([device, value]) => ({ labels: { device }, value }));
}

function labelsOf(latency: ScriptLatency, context: ScriptContext): Labels | undefined {
  if (latency.irq !== undefined) return { device: context.irqLabel(latency.irq) };
  if (latency.device === undefined || latency.protocol === undefined) return undefined;
  const device = context.deviceLabel(latency.device);
  // The device went between the packet and this read: its series are gone with it.
  return device === undefined ? undefined : { device, protocol: latency.protocol };
}
