// The families that rxscope exports about packets, from one reading of the kernel's counters.
// Pure: the names, help texts and labels of the contract stand here and nowhere else.

import type { DeviceKey, IrqKey, PacketLatency, Reading } from '../capture/reading.ts';
import { PROTOCOLS } from '../capture/reading.ts';
import type { Probe } from '../probes/probe.ts';
import {
  count,
  emptyHistogram,
  type Histogram,
  merge,
  toClassic,
  toNative,
} from '../stages/histogram.ts';
import type { Exemplar, Family, HistogramSample, Labels, ScalarSample } from './model.ts';
import {
  packetScript,
  type ScriptContext,
  scriptLatencyFamily,
  scriptReceived,
} from './script_families.ts';

/** What turns the kernel's numbers into names, and how much of it is shown. */
export interface FamilyContext {
  readonly probes: readonly Probe[];
  /** By probe id. */
  readonly budgets_ns: Readonly<Record<string, number>>;
  /** A device's label; undefined when the device is gone. */
  deviceLabel(device: DeviceKey): string | undefined;
  /** The label of the network device behind an interrupt, '' when it is none's. */
  irqLabel(irq: IrqKey): string;
  /** Devices that can receive: their series exist from the start. */
  readonly devices: readonly string[];
  /** Those of them that have interrupts of their own. */
  readonly irqDevices: readonly string[];
  exemplars(probe: string, labels: Labels): readonly Exemplar[];
  /** The CPUs that get series of their own; empty when the cpu label is off. */
  readonly cpus: readonly number[];
  /** Most label sets of a histogram family. */
  readonly seriesMax: number;
  /** Label sets dropped so far, by family: kept by the caller, raised here. */
  readonly dropped: Map<string, Set<string>>;
  /** The probes that bpftrace measures. */
  readonly scripts?: ScriptContext;
}

/** With a label for each CPU, a family may have so many label sets: 2,048 classic series. */
const CPU_LABEL_SETS_MAX = 64;

/** Names of dropped label sets that are remembered, so that each is counted once. */
const DROPPED_NAMES_MAX = 10_000;

/** One latency row with its labels. */
interface Row {
  readonly labels: Labels;
  readonly cpu: number;
  readonly histogram: Histogram;
}

/** Latencies, budgets, received packets and the books. */
export function packetFamilies(reading: Reading | undefined, context: FamilyContext): Family[] {
  const { scripts } = context;
  const script = scripts === undefined ? undefined : packetScript(scripts);
  // What bpftrace's scripts cannot know, how many were over budget, is left out and not guessed.
  const exact = context.probes.filter(({ id }) => scripts?.readings.has(id) !== true);
  const rows = new Map(exact.map((probe) => [probe.id, rowsOf(probe, reading, context)]));
  return [
    ...context.probes.map((probe) => probeFamily(probe, rows.get(probe.id) ?? [], context)),
    {
      type: 'counter',
      name: 'rxscope_over_budget_total',
      help: 'Observations longer than the budget of their probe, counted exactly in the kernel.',
      samples: exact.flatMap((probe) => overBudget(probe.id, rows.get(probe.id) ?? [])),
    },
    {
      type: 'gauge',
      name: 'rxscope_budget_seconds',
      help: 'The latency budget of a probe, from the configuration.',
      samples: context.probes.map(({ id }) => ({
        labels: { probe: id },
        value: (context.budgets_ns[id] ?? 0) / 1e9,
      })),
    },
    {
      type: 'counter',
      name: 'rxscope_received_packets_total',
      help: 'Packets that entered netif_receive_skb. Per packet probe: received = observed + unmatched + pending.',
      samples:
        scripts === undefined || script === undefined
          ? receivedSamples(reading, context)
          : scriptReceived(script, context.devices, scripts),
    },
    {
      type: 'counter',
      name: 'rxscope_unmatched_total',
      help: 'What a probe saw and could not use, by the real event behind it.',
      samples: context.probes.flatMap(({ id }) =>
        Object.entries(scripts?.readings.get(id)?.unmatched ?? reading?.unmatched[id] ?? {}).map(
          ([cause, value]) => ({
            labels: { probe: id, cause },
            value,
          }),
        ),
      ),
    },
    {
      type: 'gauge',
      name: 'rxscope_pending_packets',
      help: 'Packets received whose end is still open: on a socket backlog, or in a batch under way.',
      samples: [{ labels: {}, value: (script ?? reading)?.pending ?? 0 }],
    },
    {
      type: 'counter',
      name: 'rxscope_deliveries_without_start_total',
      help: 'Times that a socket was told of data which no packet under way on that CPU explains: queued for another CPU, a further copy, a merged packet.',
      samples: [{ labels: {}, value: (script ?? reading)?.deliveriesWithoutStart ?? 0 }],
    },
  ];
}

/** Label sets that must exist from the start: one for each device and protocol that can occur. */
export function knownLabels(
  probe: Probe,
  context: Pick<FamilyContext, 'devices' | 'irqDevices'>,
): Labels[] {
  if (!probe.labels.includes('protocol')) return context.irqDevices.map((device) => ({ device }));
  return context.devices.flatMap((device) => PROTOCOLS.map((protocol) => ({ device, protocol })));
}

/**
 * May each CPU have a series of its own? Asked once at start: labels that came and went with the
 * traffic would break every query.
 */
export function cpuLabelFits(
  context: Pick<FamilyContext, 'probes' | 'devices' | 'irqDevices'>,
  cpus: number,
): boolean {
  const most = Math.max(0, ...context.probes.map((probe) => knownLabels(probe, context).length));
  return most * cpus <= CPU_LABEL_SETS_MAX;
}

function rowsOf(probe: Probe, reading: Reading | undefined, context: FamilyContext): Row[] {
  const cpus = context.cpus.length > 0 ? context.cpus : [0];
  const zero = knownLabels(probe, context).flatMap((labels) =>
    cpus.map((cpu) => ({ labels, cpu, histogram: emptyHistogram() })),
  );
  if (reading === undefined) return zero;
  const seen = probe.labels.includes('protocol')
    ? reading.packets
        .filter((row) => row.probe === probe.id)
        .flatMap((row) => packetRow(row, context))
    : reading.irqs.map(({ irq, ...row }) => ({
        ...row,
        labels: { device: context.irqLabel(irq) },
      }));
  return [...zero, ...seen];
}

function packetRow(row: PacketLatency, context: FamilyContext): Row[] {
  const device = context.deviceLabel(row.device);
  // The device went between the packet and this read: its series are gone with it.
  if (device === undefined) return [];
  return [{ labels: { device, protocol: row.protocol }, cpu: row.cpu, histogram: row.histogram }];
}

function probeFamily(probe: Probe, rows: readonly Row[], context: FamilyContext): Family {
  const { scripts } = context;
  const reading = scripts?.readings.get(probe.id);
  if (scripts === undefined || reading === undefined) return latencyFamily(probe, rows, context);
  const name = `rxscope_${probe.id}_seconds`;
  const admit = (samples: number, key: string): boolean => admitted(name, samples, key, context);
  return scriptLatencyFamily(probe, reading, knownLabels(probe, context), scripts, admit);
}

/** Is there room for one more label set? What there is none for is counted, once each. */
function admitted(name: string, samples: number, key: string, context: FamilyContext): boolean {
  if (samples < context.seriesMax) return true;
  const dropped = context.dropped.get(name) ?? new Set();
  if (dropped.size < DROPPED_NAMES_MAX) context.dropped.set(name, dropped.add(key));
  return false;
}

function latencyFamily(probe: Probe, rows: readonly Row[], context: FamilyContext): Family {
  const name = `rxscope_${probe.id}_seconds`;
  const groups = group(rows, ({ labels, cpu }) =>
    context.cpus.length > 0 ? { ...labels, cpu: String(cpu) } : labels,
  );
  const samples: HistogramSample[] = [];
  for (const [key, { labels, histogram }] of groups) {
    if (!admitted(name, samples.length, key, context)) continue;
    samples.push({
      labels,
      sum: histogram.sumNs / 1e9,
      count: count(histogram),
      classic: toClassic(histogram),
      native: toNative(histogram),
      exemplars: context.exemplars(probe.id, labels),
    });
  }
  return { type: 'histogram', name, help: probe.help, samples };
}

/** Merges rows of the same labels, in the order of first appearance. */
function group(
  rows: readonly Row[],
  labelsOf: (row: Row) => Labels,
): Map<string, { labels: Labels; histogram: Histogram }> {
  const groups = new Map<string, { labels: Labels; histogram: Histogram }>();
  for (const row of rows) {
    const labels = labelsOf(row);
    const key = Object.values(labels).join('\0');
    const found = groups.get(key);
    if (found !== undefined) {
      merge(found.histogram, row.histogram);
      continue;
    }
    const histogram = emptyHistogram();
    merge(histogram, row.histogram);
    groups.set(key, { labels, histogram });
  }
  return groups;
}

function overBudget(probe: string, rows: readonly Row[]): ScalarSample[] {
  const groups = group(rows, (row) => ({ probe, device: row.labels.device ?? '' }));
  return [...groups.values()].map(({ labels, histogram }) => ({
    labels,
    value: histogram.overBudget,
  }));
}

function receivedSamples(reading: Reading | undefined, context: FamilyContext): ScalarSample[] {
  const packets = new Map<string, number>(context.devices.map((device) => [device, 0]));
  for (const row of reading?.received ?? []) {
    const device = context.deviceLabel(row.device);
    if (device !== undefined) packets.set(device, (packets.get(device) ?? 0) + row.packets);
  }
  return [...packets].map(([device, value]) => ({ labels: { device }, value }));
}
