// What one read of the kernel's counters yields, and how it is put together from the raw memory of
// all CPUs. Pure: works on bytes that somebody else copied.

import type { StructLayout } from '../addon/addon.ts';
import { type Histogram, readU64 } from '../histogram/histogram.ts';
import { PROBES } from '../probes/index.ts';
import type { By } from '../probes/probe.ts';
import { FATES, FLAWS } from './books.ts';
import {
  DEVICE_FIRST,
  DEVICE_OTHER_NETNS,
  DEVICE_OVERFLOW,
  deviceSlots,
  hasMap,
  histogramPlaces,
  histogramsPerCpu,
  IRQ_FIRST,
  IRQ_OVERFLOW,
  IRQ_SLOTS,
  PROTOCOLS,
  type Protocol,
  REASON_FIRST,
  REASON_OVERFLOW,
  REASON_SLOTS,
  REMOVED_KEY,
  type Shape,
  VECTORS,
} from './slots.ts';

/**
 * Whose packets: a device of the agent's network namespace by ifindex, one of three sums, or what no
 * device is known of. `removed`: of all that are gone.
 */
export type DeviceKey = number | 'overflow' | 'other_netns' | 'removed' | 'none';
/** Which interrupt: its number, or the sum of those that found no slot. */
export type IrqKey = number | 'overflow';

/** What a histogram is of: the members that its probe's histograms are by. */
export interface LatencyOf {
  readonly device?: DeviceKey;
  readonly protocol?: Protocol;
  readonly irq?: IrqKey;
  readonly vector?: string;
}

export interface Latency extends LatencyOf {
  readonly probe: string;
  /** Absent when those of all CPUs are in it. */
  readonly cpu?: number;
  readonly histogram: Histogram;
}

/** Packets that were dropped on the receive path. */
export interface DropCount {
  /** The kernel's number, or what stands for it before 5.17; OTHER_REASON: of those without a slot. */
  readonly reason: number;
  readonly device: DeviceKey;
  readonly packets: number;
}

export const OTHER_REASON = -1;

/** What the polls of a NAPI handed over. */
export interface PollWork {
  readonly device: DeviceKey;
  /** Polls by their packets, not cumulated: upper bounds POLL_BOUNDS, and more. */
  readonly polls: readonly number[];
  readonly packets: number;
  /** Polls that used up their budget. */
  readonly exhausted: number;
}

/** As poll_bucket() in bpf/ counts. */
export const POLL_BOUNDS = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256] as const;

/** What is counted by device, too. A histogram that never got an observation is absent. */
export interface DeviceRows {
  readonly latencies: readonly Latency[];
  readonly received: readonly { readonly device: DeviceKey; readonly packets: number }[];
  readonly drops: readonly DropCount[];
  readonly polls: readonly PollWork[];
}

export interface Events {
  readonly sent: number;
  readonly lost: number;
}

/** Counters since the programs were attached. */
export interface Reading extends DeviceRows {
  /** Packets that were freed undelivered elsewhere than on the receive path. */
  readonly transmitDrops: number;
  /** By probe id and cause, every cause that can occur, also those with 0. */
  readonly unmatched: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Sockets told of something that is no packet under way on that CPU. */
  readonly deliveriesWithoutStart: number;
  /** Packets whose fate is still open. */
  readonly pending: number;
  /** Outliers, in exact mode observations, and drops that were to be sent to user space: by id. */
  readonly events: Readonly<Record<string, Events>>;
}

/** Copies on request; see KernelCapture. */
export interface Memory {
  /** State of one CPU (`struct cpu_state`). */
  cpuState(cpu: number): Uint32Array;
  /** The histograms (`struct histogram`) with these numbers in their map, added up; undefined: empty. */
  histogram(indices: readonly number[]): Histogram | undefined;
  /** Drops of one device slot of one CPU (`struct drop_row`), by the slot of their reason. */
  drops(cpu: number, deviceSlot: number): Uint32Array;
  /** Polls of one device slot of one CPU (`struct poll_work`). */
  polls(cpu: number, deviceSlot: number): Uint32Array;
}

/** Packets of TCP that left no trace, and those still open; computed by the caller (tcp_table.h). */
export interface TcpTable {
  readonly lost: number;
  readonly open: number;
}

/** `perCpu`: a latency for each CPU; otherwise one for all. */
export function assemble(
  memory: Memory,
  layout: StructLayout,
  shape: Shape,
  tcp: TcpTable,
  perCpu: boolean,
): Reading {
  const word = wordOf(layout);
  const at = {
    fates: word('fates'),
    flaws: word('flaws'),
    withoutStart: word('deliveries_without_start'),
    events: word('events'),
    eventsLost: word('events_lost'),
    received: word('received'),
    deviceKeys: word('device_keys'),
    irqKeys: word('irq_keys'),
    reasonKeys: word('reason_keys'),
    transmitDrops: word('transmit_drops'),
    dropEvents: word('drop_events'),
    dropEventsLost: word('drop_events_lost'),
    ringHead: word('ring_head'),
    ringTail: word('ring_tail'),
  };
  const places = histogramPlaces(shape);
  const wanted = PROBES.filter(({ id }) => places.has(id));
  const groups = new Map(wanted.map(({ id }) => [id, new Map<string, Group>()]));
  const received = new Map<DeviceKey, number>();
  const drops = new Map<string, DropCount>();
  const polls = new Map<DeviceKey, PollWork>();
  const fates = FATES.map(() => 0);
  const flaws = PROBES.map(() => Array.from({ length: FLAWS }, () => 0));
  const events = PROBES.map(() => 0);
  const eventsLost = PROBES.map(() => 0);
  const sums = {
    withoutStart: 0,
    transmitDrops: 0,
    dropEvents: 0,
    dropEventsLost: 0,
  };
  let pending = tcp.open;

  for (let cpu = 0; cpu < shape.cpus; cpu++) {
    const state = memory.cpuState(cpu);
    const devices: { slot: number; device: DeviceKey }[] = [];
    for (let slot = 0; slot < deviceSlots(shape); slot++) {
      const device = deviceKey(slot, shape, state[at.deviceKeys + slot - DEVICE_FIRST] ?? 0);
      if (device !== undefined) devices.push({ slot, device });
    }
    const owners = ownersOf(devices, irqOwners(state, at.irqKeys), perCpu ? cpu : undefined);
    for (const { id, by } of wanted) {
      const first = cpu * histogramsPerCpu(shape) + (places.get(id) ?? 0);
      const groupsOf = groups.get(id);
      for (const { slot, key, of } of owners[by]) {
        const group = groupsOf?.get(key);
        if (group !== undefined) group.indices.push(first + slot);
        else groupsOf?.set(key, { of, indices: [first + slot] });
      }
    }
    const reasons = reasonsOf(state, at.reasonKeys);
    for (const { slot, device } of devices) {
      // There is no packet without a device.
      const count = device === 'none' ? 0 : readU64(state, at.received + slot * 2);
      // This CPU may have delivered for a process what others received: the device has a slot here,
      // which is to be freed when the device goes.
      if (count > 0 || typeof device === 'number')
        received.set(device, (received.get(device) ?? 0) + count);
      if (reasons.length > 0) addDrops(drops, device, memory.drops(cpu, slot), reasons);
      if (hasMap(shape, 'polls')) addPolls(polls, device, memory.polls(cpu, slot));
    }
    accumulate(fates, state, at.fates);
    for (const [i, counts] of flaws.entries()) accumulate(counts, state, at.flaws + i * FLAWS * 2);
    accumulate(events, state, at.events);
    accumulate(eventsLost, state, at.eventsLost);
    for (const name of Object.keys(sums) as (keyof typeof sums)[])
      sums[name] += readU64(state, at[name]);
    pending += ((state[at.ringTail] ?? 0) - (state[at.ringHead] ?? 0)) >>> 0;
  }

  const latencies: Latency[] = [];
  for (const [probe, groupsOf] of groups) {
    for (const { of, indices } of groupsOf.values()) {
      const histogram = memory.histogram(indices);
      if (histogram !== undefined) latencies.push({ probe, ...of, histogram });
    }
  }
  const fate = Object.fromEntries(FATES.map((name, i) => [name, fates[i] ?? 0]));
  fate.not_queued = (fate.not_queued ?? 0) + tcp.lost;
  const unmatched = PROBES.map(
    ({ id, causes, everyPacket }, i): [string, Record<string, number>] => [
      id,
      {
        ...(everyPacket ? fate : {}),
        ...Object.fromEntries(['clock', ...causes].map((cause, j) => [cause, flaws[i]?.[j] ?? 0])),
      },
    ],
  );
  return {
    latencies,
    received: [...received].map(([device, packets]) => ({ device, packets })),
    drops: [...drops.values()],
    transmitDrops: sums.transmitDrops,
    polls: [...polls.values()],
    unmatched: Object.fromEntries(unmatched),
    deliveriesWithoutStart: sums.withoutStart,
    pending,
    events: {
      ...Object.fromEntries(
        PROBES.map(({ id }, i) => [id, { sent: events[i] ?? 0, lost: eventsLost[i] ?? 0 }]),
      ),
      drops: { sent: sums.dropEvents, lost: sums.dropEventsLost },
    },
  };
}

/** What one CPU has counted in one device slot, as that of devices that are gone. */
export function rowsOfSlot(
  memory: Memory,
  layout: StructLayout,
  shape: Shape,
  cpu: number,
  slot: number,
): DeviceRows {
  const word = wordOf(layout);
  const device = 'removed';
  const owners = ownersOf([{ slot, device }], [], cpu);
  const latencies = PROBES.flatMap(({ id, by }): Latency[] => {
    const place = histogramPlaces(shape).get(id);
    if (place === undefined || (by !== 'device' && by !== 'device_protocol')) return [];
    const first = cpu * histogramsPerCpu(shape) + place;
    return owners[by].flatMap(({ slot: index, of }) => {
      const histogram = memory.histogram([first + index]);
      return histogram === undefined ? [] : [{ probe: id, ...of, histogram }];
    });
  });
  const state = memory.cpuState(cpu);
  const packets = readU64(state, word('received') + slot * 2);
  const drops = new Map<string, DropCount>();
  const reasons = reasonsOf(state, word('reason_keys'));
  if (reasons.length > 0) addDrops(drops, device, memory.drops(cpu, slot), reasons);
  const polls = new Map<DeviceKey, PollWork>();
  if (hasMap(shape, 'polls')) addPolls(polls, device, memory.polls(cpu, slot));
  return {
    latencies,
    received: [{ device, packets }],
    drops: [...drops.values()],
    polls: [...polls.values()],
  };
}

function wordOf(layout: StructLayout): (field: string) => number {
  return (field) => {
    const place = layout.fields[field];
    if (place === undefined) throw new Error(`struct cpu_state has no member ${field}`);
    return place.offset / 4;
  };
}

/** Histograms of the same labels, and where they are. */
interface Group {
  readonly of: LatencyOf & { readonly cpu?: number };
  readonly indices: number[];
}

interface Owner {
  readonly slot: number;
  /** The same for the same labels. */
  readonly key: string;
  readonly of: Group['of'];
}

/** Whose each histogram of a probe is on one CPU, by what the probe's histograms are by. */
function ownersOf(
  devices: readonly { slot: number; device: DeviceKey }[],
  irqs: readonly { slot: number; irq: IrqKey }[],
  cpu: number | undefined,
): Readonly<Record<By, readonly Owner[]>> {
  const owner = (slot: number, key: string, of: LatencyOf): Owner =>
    cpu === undefined ? { slot, key, of } : { slot, key: `${key},${cpu}`, of: { ...of, cpu } };
  return {
    irq: irqs.map(({ slot, irq }) => owner(slot, String(irq), { irq })),
    device: devices.map(({ slot, device }) => owner(slot, String(device), { device })),
    protocol: PROTOCOLS.map((protocol, slot) => owner(slot, protocol, { protocol })),
    device_protocol: devices.flatMap(({ slot, device }) =>
      PROTOCOLS.map((protocol, p) =>
        owner(slot * PROTOCOLS.length + p, `${device},${protocol}`, { device, protocol }),
      ),
    ),
    vector: VECTORS.map((vector, slot) => owner(slot, vector, { vector })),
  };
}

function deviceKey(slot: number, shape: Shape, owner: number): DeviceKey | undefined {
  if (slot === DEVICE_OVERFLOW) return 'overflow';
  if (slot === DEVICE_OTHER_NETNS) return 'other_netns';
  if (slot === deviceSlots(shape) - 1) return 'none';
  if (owner === REMOVED_KEY) return 'removed';
  return owner === 0 ? undefined : owner;
}

function irqOwners(state: Uint32Array, keys: number): { slot: number; irq: IrqKey }[] {
  const owners: { slot: number; irq: IrqKey }[] = [{ slot: IRQ_OVERFLOW, irq: 'overflow' }];
  for (let slot = IRQ_FIRST; slot < IRQ_SLOTS; slot++) {
    const owner = state[keys + slot - IRQ_FIRST] ?? 0;
    if (owner !== 0) owners.push({ slot, irq: owner - 1 });
  }
  return owners;
}

/** The slots that reasons have on one CPU; none when it dropped nothing. */
function reasonsOf(state: Uint32Array, keys: number): { slot: number; reason: number }[] {
  const reasons: { slot: number; reason: number }[] = [];
  for (let slot = REASON_FIRST; slot < REASON_SLOTS; slot++) {
    const key = readU64(state, keys + slot * 2);
    if (key !== 0) reasons.push({ slot, reason: key - 1 });
  }
  // Only where all places near a reason are taken, it has none.
  return reasons.length === 0 ? [] : [{ slot: REASON_OVERFLOW, reason: OTHER_REASON }, ...reasons];
}

function addDrops(
  into: Map<string, DropCount>,
  device: DeviceKey,
  row: Uint32Array,
  reasons: readonly { slot: number; reason: number }[],
): void {
  for (const { slot, reason } of reasons) {
    const packets = readU64(row, slot * 2);
    if (packets === 0) continue;
    const key = `${reason},${device}`;
    into.set(key, { reason, device, packets: packets + (into.get(key)?.packets ?? 0) });
  }
}

function addPolls(into: Map<DeviceKey, PollWork>, device: DeviceKey, words: Uint32Array): void {
  const buckets = POLL_BOUNDS.length + 1;
  const packets = readU64(words, buckets * 2);
  const exhausted = readU64(words, buckets * 2 + 2);
  const before = into.get(device);
  const polls = Array.from(
    { length: buckets },
    (_, i) => readU64(words, i * 2) + (before?.polls[i] ?? 0),
  );
  if (polls.every((n) => n === 0)) return;
  into.set(device, {
    device,
    polls,
    packets: packets + (before?.packets ?? 0),
    exhausted: exhausted + (before?.exhausted ?? 0),
  });
}

function accumulate(into: number[], words: Uint32Array, wordOffset: number): void {
  for (let i = 0; i < into.length; i++)
    into[i] = (into[i] ?? 0) + readU64(words, wordOffset + i * 2);
}
