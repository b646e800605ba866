// A reading with the kernel's numbers turned into names, for whoever looks: metrics today, other views to
// come. What two numbers share a name is one row. Pure; what was counted is neither kept nor changed.

import type {
  ScriptDevice,
  ScriptLatency,
  ScriptReading,
} from '../capture/bpftrace/script_reading.ts';
import type { ProgramStats } from '../capture/kernel_capture.ts';
import type { DeviceKey, DropCount, Latency, PollWork, Reading } from '../capture/reading.ts';
import type { ProbeStatus } from '../capture/status.ts';
import { type CoarseHistogram, emptyCoarse, mergeCoarse } from '../histogram/coarse_histogram.ts';
import { emptyHistogram, type Histogram, merge } from '../histogram/histogram.ts';
import type { HostReading } from '../host/host_reading.ts';
import { PROBES } from '../probes/index.ts';
import { labelsOf } from '../probes/probe.ts';
import type { CollectorRun } from './collectors.ts';
import { type DeviceLabels, type HostNames, labelOf, REMOVED } from './names.ts';

/** Label names and values in the order in which they are printed. */
export type Labels = Readonly<Record<string, string>>;

/** Everything at one moment. Nothing in it changes any more; counters are since the agent's start. */
export interface NamedReading {
  /** Of the monotonic clock: for rates between two readings. */
  readonly atNs: bigint;
  /** Undefined where there are no counters: nothing could be attached, or bpftrace measures all. */
  readonly packets: NamedPackets | undefined;
  /** By probe; undefined where no script was started. */
  readonly scripts: ReadonlyMap<string, NamedScript> | undefined;
  /** What can be observed, before anything is. */
  readonly known: Known;
  /** Undefined in a reading of the counters alone. */
  readonly host: HostReading | undefined;
  /** Of what is switched on. */
  readonly probes: readonly ProbeStatus[];
  readonly collectors: readonly CollectorRun[];
  /** Present while BPF statistics are on. */
  readonly programs: readonly ProgramStats[] | undefined;
}

export interface Known {
  /** Devices that can receive, and that of all other network namespaces. */
  readonly devices: readonly string[];
  /** Devices that have interrupts of their own. */
  readonly irqDevices: readonly string[];
  /** The kernel's names of its drop reasons; empty before Linux 5.17. */
  readonly dropReasons: readonly string[];
}

/** What of a Reading has no names of devices in it stays as it is. */
export interface NamedPackets extends Omit<Reading, 'latencies' | 'received' | 'drops' | 'polls'> {
  readonly latencies: readonly NamedLatency<Histogram>[];
  readonly received: readonly NamedCount[];
  readonly drops: readonly (NamedCount & { readonly reason: string })[];
  readonly polls: readonly NamedPolls[];
}

export interface NamedScript
  extends Pick<ScriptReading, 'unmatched' | 'deliveriesWithoutStart' | 'pending'> {
  readonly latencies: readonly NamedLatency<CoarseHistogram>[];
  readonly received: readonly NamedCount[];
}

export interface NamedLatency<Counts> {
  readonly probe: string;
  /** As labelsOf() of the probe names them. */
  readonly labels: Labels;
  /** Absent when those of all CPUs are in it. */
  readonly cpu?: number;
  readonly histogram: Counts;
}

export interface NamedCount {
  readonly device: string;
  readonly packets: number;
}

export interface NamedPolls extends Omit<PollWork, 'device'> {
  readonly device: string;
}

/** `reasonName`: of the numbers in DropCount. */
export function namePackets(
  reading: Reading,
  names: DeviceLabels,
  reasonName: (reason: number) => string,
): NamedPackets {
  const { latencies, received, drops, polls, ...rest } = reading;
  return {
    ...rest,
    latencies: nameLatencies(latencies, names),
    received: countByDevice(received, (device) => deviceOf(device, names)),
    drops: nameDrops(drops, names, reasonName),
    polls: namePolls(polls, names),
  };
}

export function nameScript(
  probe: string,
  { latencies, received, ...rest }: ScriptReading,
  names: Pick<HostNames, 'scriptDevice' | 'irqLabel'>,
): NamedScript {
  const deviceName = (device: ScriptDevice): string => names.scriptDevice(device) ?? REMOVED;
  const labels = ({ irq, device, protocol }: Omit<ScriptLatency, 'histogram'>): Labels => {
    if (irq !== undefined) return { device: names.irqLabel(irq) };
    return { device: device === undefined ? '' : deviceName(device), protocol: protocol ?? '' };
  };
  const groups = new Groups(emptyCoarse, mergeCoarse);
  for (const { histogram, ...of } of latencies)
    groups.add({ probe, labels: labels(of), histogram });
  return { ...rest, latencies: groups.rows(), received: countByDevice(received, deviceName) };
}

function nameLatencies(
  latencies: readonly Latency[],
  names: DeviceLabels,
): NamedLatency<Histogram>[] {
  const labelsByProbe = new Map(PROBES.map((probe) => [probe.id, labelsOf(probe)]));
  const groups = new Groups(emptyHistogram, merge);
  for (const latency of latencies) {
    const { probe, protocol = '', vector = '', cpu, histogram } = latency;
    const values = { device: labelOf(probe, latency, names) ?? REMOVED, protocol, vector };
    const wanted = labelsByProbe.get(probe) ?? [];
    const labels = Object.fromEntries(wanted.map((label) => [label, values[label]]));
    groups.add({ probe, labels, histogram, ...(cpu === undefined ? {} : { cpu }) });
  }
  return groups.rows();
}

function deviceOf(device: DeviceKey, names: DeviceLabels): string {
  return names.deviceLabel(device) ?? REMOVED;
}

function countByDevice<Key>(
  rows: readonly { readonly device: Key; readonly packets: number }[],
  nameOf: (device: Key) => string,
): NamedCount[] {
  const sums = new Map<string, number>();
  for (const { device, packets } of rows) {
    const name = nameOf(device);
    sums.set(name, (sums.get(name) ?? 0) + packets);
  }
  return Array.from(sums, ([device, packets]) => ({ device, packets }));
}

function nameDrops(
  drops: readonly DropCount[],
  names: DeviceLabels,
  reasonName: (reason: number) => string,
): NamedPackets['drops'] {
  const sums = new Map<string, NamedPackets['drops'][number]>();
  for (const { device: key, reason: number, packets } of drops) {
    const device = deviceOf(key, names);
    const reason = reasonName(number);
    const at = `${reason}\0${device}`;
    sums.set(at, { reason, device, packets: packets + (sums.get(at)?.packets ?? 0) });
  }
  return [...sums.values()];
}

/** The probe that has the polls. */
const POLLING = PROBES.find(({ maps }) => maps.includes('polls'))?.id ?? '';

function namePolls(polls: readonly PollWork[], names: DeviceLabels): NamedPolls[] {
  const sums = new Map<string, NamedPolls>();
  for (const work of polls) {
    const device = labelOf(POLLING, work, names) ?? REMOVED;
    const before = sums.get(device);
    sums.set(device, {
      device,
      polls: work.polls.map((n, i) => n + (before?.polls[i] ?? 0)),
      packets: work.packets + (before?.packets ?? 0),
      exhausted: work.exhausted + (before?.exhausted ?? 0),
    });
  }
  return [...sums.values()];
}

/** Adds up histograms of equal labels, in the order of first appearance. */
class Groups<Counts> {
  readonly #empty: () => Counts;
  readonly #merge: (into: Counts, from: Counts) => void;
  /** `own`: the histogram is not that of the reading, and can be added to. */
  readonly #groups = new Map<string, { row: NamedLatency<Counts>; own: boolean }>();

  constructor(empty: () => Counts, merge: (into: Counts, from: Counts) => void) {
    this.#empty = empty;
    this.#merge = merge;
  }

  add(row: NamedLatency<Counts>): void {
    const key = `${row.probe}\0${row.cpu}\0${Object.values(row.labels).join('\0')}`;
    const group = this.#groups.get(key);
    if (group === undefined) {
      this.#groups.set(key, { row, own: false });
      return;
    }
    if (!group.own) {
      const histogram = this.#empty();
      this.#merge(histogram, group.row.histogram);
      group.row = { ...group.row, histogram };
      group.own = true;
    }
    this.#merge(group.row.histogram, row.histogram);
  }

  rows(): NamedLatency<Counts>[] {
    return Array.from(this.#groups.values(), ({ row }) => row);
  }
}
