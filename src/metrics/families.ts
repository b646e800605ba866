// The families that rxscope exports about packets, from one reading.
// Pure: the names, help texts and labels of the contract stand here and nowhere else. How many
// series are left in the end is decided in series_cap.ts.

import { POLL_BOUNDS } from '../capture/reading.ts';
import { PROTOCOLS, VECTORS } from '../capture/slots.ts';
import {
  emptyHistogram,
  type Histogram,
  merge,
  toClassic,
  toNative,
} from '../histogram/histogram.ts';
import { labelsOf, type Probe } from '../probes/probe.ts';
import type { Known, NamedPackets, NamedPolls } from '../readings/named_reading.ts';
import type { Exemplar, Family, HistogramSample, Labels, ScalarSample } from './model.ts';
import { keyOf, SERIES_OF_A_LATENCY } from './samples.ts';
import {
  packetScript,
  receivedSamples,
  type Scripts,
  scriptLatencyFamily,
} from './script_families.ts';

export interface FamilyContext {
  readonly probes: readonly Probe[];
  /** By probe id. */
  readonly budgets_ns: Readonly<Record<string, number>>;
  /** Their series exist from the start. */
  readonly known: KnownDevices;
  exemplars(probe: string, labels: Labels): readonly Exemplar[];
  /** The CPUs that get series of their own; empty when the cpu label is off. */
  readonly cpus: readonly number[];
  /** The probes that bpftrace measures. */
  readonly scripts?: Scripts | undefined;
  /** What the cap on series leaves at most: of rows with 0 no more are made than that. */
  readonly seriesMax?: number;
}

/** Of the cap on series, as much as latencies may take with a label for each CPU. */
const CPU_LABEL_SHARE = 0.6;

/** One latency row with its labels. Without a histogram there was no observation so far. */
interface Row {
  readonly labels: Labels;
  readonly cpu?: number;
  readonly histogram?: Histogram;
}

/** Latencies, budgets, received packets, polls and the books. */
export function packetFamilies(
  packets: NamedPackets | undefined,
  context: FamilyContext,
): Family[] {
  const { scripts, probes } = context;
  const script = scripts === undefined ? undefined : packetScript(scripts);
  // What bpftrace's scripts cannot know, how many were over budget, is left out and not guessed.
  const exact = probes.filter(({ id }) => scripts?.has(id) !== true);
  const rows = new Map(exact.map((probe) => [probe.id, rowsOf(probe, packets, context)]));
  return [
    ...probes.map((probe) => probeFamily(probe, rows.get(probe.id) ?? [], context)),
    ...(probes.some(({ maps }) => maps.includes('polls')) ? pollFamilies(packets) : []),
    {
      type: 'counter',
      name: 'rxscope_over_budget_total',
      help: 'Observations longer than the budget of their probe, counted exactly in the kernel.',
      samples: exact.flatMap((probe) => overBudget(probe, rows.get(probe.id) ?? [], context)),
    },
    {
      type: 'gauge',
      name: 'rxscope_budget_seconds',
      help: 'The latency budget of a probe, from the configuration.',
      samples: probes.map(({ id }) => ({
        labels: { probe: id },
        value: (context.budgets_ns[id] ?? 0) / 1e9,
      })),
    },
    {
      type: 'counter',
      name: 'rxscope_received_packets_total',
      help: 'Packets that entered netif_receive_skb. Per packet probe: received = observed + unmatched + pending. What removed devices had counted goes on as device="(removed)", here and wherever packets are counted by device.',
      samples: receivedSamples(
        (script ?? packets)?.received ?? [],
        context.known.devices.slice(0, zerosMax(context)),
      ),
    },
    {
      type: 'counter',
      name: 'rxscope_unmatched_total',
      help: 'What a probe saw and could not use, by the real event behind it.',
      samples: probes.flatMap(({ id }) =>
        Object.entries(scripts?.get(id)?.unmatched ?? packets?.unmatched[id] ?? {}).map(
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
      samples: [{ labels: {}, value: (script ?? packets)?.pending ?? 0 }],
    },
    {
      type: 'counter',
      name: 'rxscope_deliveries_without_start_total',
      help: 'Times that a socket was told of data which no packet under way on that CPU explains: queued for another CPU, a further copy, a merged packet.',
      samples: [{ labels: {}, value: (script ?? packets)?.deliveriesWithoutStart ?? 0 }],
    },
  ];
}

type KnownDevices = Pick<Known, 'devices' | 'irqDevices'>;

/** Label sets that must exist from the start: one for each that can occur; about `most`, if there are more. */
export function knownLabels(
  { by }: Probe,
  { devices, irqDevices }: KnownDevices,
  most = Number.POSITIVE_INFINITY,
): Labels[] {
  switch (by) {
    case 'irq':
      return irqDevices.slice(0, most).map((device) => ({ device }));
    case 'device':
      return devices.slice(0, most).map((device) => ({ device }));
    case 'protocol':
      return PROTOCOLS.map((protocol) => ({ protocol }));
    case 'device_protocol':
      return devices
        .slice(0, Math.ceil(most / PROTOCOLS.length))
        .flatMap((device) => PROTOCOLS.map((protocol) => ({ device, protocol })));
    case 'vector':
      return VECTORS.map((vector) => ({ vector }));
  }
}

/**
 * May each CPU have a series of its own? Asked once at start: labels that came and went with the
 * traffic would break every query.
 */
export function cpuLabelFits(
  probes: readonly Probe[],
  known: KnownDevices,
  cpus: number,
  seriesMax: number,
): boolean {
  const rows = probes.reduce((sum, probe) => sum + knownLabels(probe, known).length, 0);
  return rows * cpus * SERIES_OF_A_LATENCY <= seriesMax * CPU_LABEL_SHARE;
}

function rowsOf(probe: Probe, packets: NamedPackets | undefined, context: FamilyContext): Row[] {
  const cpus = context.cpus.length > 0 ? context.cpus : [0];
  const zero = zeroLabels(probe, context).flatMap((labels) => cpus.map((cpu) => ({ labels, cpu })));
  const seen = (packets?.latencies ?? []).filter((latency) => latency.probe === probe.id);
  return [...zero, ...seen];
}

function zeroLabels(probe: Probe, context: FamilyContext): Labels[] {
  return knownLabels(probe, context.known, zerosMax(context) / SERIES_OF_A_LATENCY);
}

/** One more than can be shown: then "(other)" says that there are others. */
function zerosMax({ seriesMax = Number.POSITIVE_INFINITY }: FamilyContext): number {
  return seriesMax + SERIES_OF_A_LATENCY;
}

function probeFamily(probe: Probe, rows: readonly Row[], context: FamilyContext): Family {
  const script = context.scripts?.get(probe.id);
  return script === undefined
    ? latencyFamily(probe, rows, context)
    : scriptLatencyFamily(probe, script, zeroLabels(probe, context));
}

function latencyFamily(probe: Probe, rows: readonly Row[], context: FamilyContext): Family {
  const groups = group(rows, ({ labels, cpu = 0 }) =>
    context.cpus.length > 0 ? { ...labels, cpu: String(cpu) } : labels,
  );
  const samples = groups.map(({ labels, histogram }): HistogramSample => {
    const exemplars = context.exemplars(probe.id, labels);
    return { ...(histogram === undefined ? NONE : sampleOf(histogram)), labels, exemplars };
  });
  return { type: 'histogram', name: `rxscope_${probe.id}_seconds`, help: probe.help, samples };
}

function sampleOf(histogram: Histogram): Omit<HistogramSample, 'labels'> {
  const classic = toClassic(histogram);
  // A tenth of the additions that the fine buckets take.
  let total = 0;
  for (let i = 0; i < classic.counts.length; i++) total += classic.counts[i] ?? 0;
  return { sum: histogram.sumNs / 1e9, count: total, classic, native: toNative(histogram) };
}

/** Of the thousands of label sets that were never observed, all have the same buckets. */
const NONE = sampleOf(emptyHistogram());

interface Group {
  readonly labels: Labels;
  histogram: Histogram | undefined;
  /** The histogram is not that of the reading, and can be added to. */
  own: boolean;
}

/** Merges rows of the same labels, in the order of first appearance. */
function group(rows: readonly Row[], labels: (row: Row) => Labels): Group[] {
  const groups = new Map<string, Group>();
  for (const row of rows) {
    const rowLabels = labels(row);
    const key = keyOf(rowLabels);
    const found = groups.get(key);
    if (found === undefined)
      groups.set(key, { labels: rowLabels, histogram: row.histogram, own: false });
    else if (row.histogram !== undefined) add(found, row.histogram);
  }
  return [...groups.values()];
}

function add(group: Group, histogram: Histogram): void {
  if (group.histogram === undefined) {
    group.histogram = histogram;
    return;
  }
  if (!group.own) {
    const copy = emptyHistogram();
    merge(copy, group.histogram);
    group.histogram = copy;
    group.own = true;
  }
  merge(group.histogram, histogram);
}

function overBudget(probe: Probe, rows: readonly Row[], context: FamilyContext): ScalarSample[] {
  const byDevice = labelsOf(probe).includes('device');
  const known =
    probe.by === 'irq' ? context.known.irqDevices : byDevice ? context.known.devices : [''];
  const sums = new Map<string, number>(
    known.slice(0, zerosMax(context)).map((device) => [device, 0]),
  );
  for (const { labels, histogram } of rows) {
    const device = labels.device ?? '';
    sums.set(device, (sums.get(device) ?? 0) + (histogram?.overBudget ?? 0));
  }
  return Array.from(sums, ([device, value]) => ({ labels: { probe: probe.id, device }, value }));
}

function pollFamilies(packets: NamedPackets | undefined): Family[] {
  const polls = (packets?.polls ?? []).map(({ device, ...work }) => ({ labels: { device }, work }));
  return [
    {
      type: 'histogram',
      name: 'rxscope_napi_poll_packets',
      help: 'Packets that a NAPI poll handed over.',
      samples: polls.map(({ labels, work }) => ({ labels, ...pollHistogram(work) })),
    },
    {
      type: 'counter',
      name: 'rxscope_napi_budget_exhausted_total',
      help: 'NAPI polls that used up their budget: more packets may have waited.',
      samples: polls.map(({ labels, work }) => ({ labels, value: work.exhausted })),
    },
  ];
}

function pollHistogram({ polls, packets }: Omit<NamedPolls, 'device'>) {
  const total = polls.reduce((sum, n) => sum + n, 0);
  return { sum: packets, count: total, classic: { bounds: POLL_BOUNDS, counts: polls } };
}
