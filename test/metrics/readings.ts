// Readings of the kernel's counters that are made up, what names their numbers, and how a test finds
// its way in the families that come of them.

import type { DeviceKey, Latency, Reading } from '../../src/capture/reading.ts';
import { emptyHistogram, type Histogram } from '../../src/histogram/histogram.ts';
import { type FamilyContext, packetFamilies } from '../../src/metrics/families.ts';
import type { Family, HistogramSample, Labels } from '../../src/metrics/model.ts';
import { PROBES } from '../../src/probes/index.ts';
import { namePackets } from '../../src/readings/named_reading.ts';
import type { DeviceLabels } from '../../src/readings/names.ts';

const NAMES: ReadonlyMap<DeviceKey, string> = new Map<DeviceKey, string>([
  [1, 'lo'],
  [2, 'eth0'],
  ['other_netns', '(other netns)'],
  ['overflow', '(other)'],
  ['none', ''],
]);

/** Three devices, of which one has interrupts; CPUs are not told apart. */
export function context(changes: Partial<FamilyContext> = {}): FamilyContext {
  return {
    probes: PROBES,
    budgets_ns: { irq_to_softirq: 100_000, softirq_to_socket: 500_000, receive_to_socket: 1_000 },
    known: { devices: ['lo', 'eth0', '(other netns)'], irqDevices: ['eth0'] },
    exemplars: () => [],
    cpus: [],
    ...changes,
  };
}

const LABELS: DeviceLabels = {
  deviceLabel: (device) => NAMES.get(device),
  irqLabel: (irq) => (irq === 38 ? 'eth0' : irq === 'overflow' ? '(other)' : ''),
};

/** Of a reading whose numbers `names` knows; drop reasons are called by their number. */
export function familiesOf(
  counted: Reading | undefined,
  context: FamilyContext,
  names: Partial<DeviceLabels> = {},
): Family[] {
  const packets = counted && namePackets(counted, { ...LABELS, ...names }, String);
  return packetFamilies(packets, context);
}

/** Nothing counted yet. */
export function reading(changes: Partial<Reading> = {}): Reading {
  return {
    latencies: [],
    received: [],
    drops: [],
    transmitDrops: 0,
    polls: [],
    unmatched: {},
    deliveriesWithoutStart: 0,
    pending: 0,
    events: {},
    ...changes,
  };
}

/** `n` observations in bucket 64, of 1 µs each, and how many of them are over budget. */
export function histogram(n: number, overBudget = 0): Histogram {
  const h = emptyHistogram();
  h.counts[64] = n;
  h.sumNs = n * 1000;
  h.overBudget = overBudget;
  return h;
}

export function packet(device: DeviceKey, cpu: number, n: number, overBudget = 0): Latency {
  const probe = 'receive_to_socket';
  return { probe, device, protocol: 'udp', cpu, histogram: histogram(n, overBudget) };
}

export function familyOf(families: readonly Family[], name: string): Family {
  const family = families.find((candidate) => candidate.name === name);
  if (family === undefined) throw new Error(`no family ${name}`);
  return family;
}

export function histograms(families: readonly Family[], probe: string): readonly HistogramSample[] {
  const family = familyOf(families, `rxscope_${probe}_seconds`);
  if (family.type !== 'histogram') throw new Error(`${family.name} is a ${family.type}`);
  return family.samples;
}

export function scalars(families: readonly Family[], name: string): [Labels, number][] {
  const family = familyOf(families, name);
  if (family.type === 'histogram') throw new Error(`${name} is a histogram`);
  return family.samples.map(({ labels, value }) => [labels, value]);
}
