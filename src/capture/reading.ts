// What one read of the kernel's counters yields, and how it is put together from the raw memory of
// all CPUs. Pure: works on bytes that somebody else copied.

import { addCounts, emptyHistogram, type Histogram, readU64 } from '../stages/histogram.ts';
import type { StructLayout } from './addon.ts';

/** Whose packets: a device of the agent's network namespace by ifindex, or one of the two sums. */
export type DeviceKey = number | 'overflow' | 'other_netns';
/** Which interrupt: its number, or the sum of those that found no slot. */
export type IrqKey = number | 'overflow';

export const PROTOCOLS = ['tcp', 'udp', 'other'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

export interface PacketLatency {
  readonly probe: 'softirq_to_socket' | 'receive_to_socket';
  readonly device: DeviceKey;
  readonly protocol: Protocol;
  readonly cpu: number;
  readonly histogram: Histogram;
}

export interface IrqLatency {
  readonly irq: IrqKey;
  readonly cpu: number;
  readonly histogram: Histogram;
}

/** Counters since the programs were attached. A histogram that never got an observation is absent. */
export interface Reading {
  readonly packets: readonly PacketLatency[];
  readonly irqs: readonly IrqLatency[];
  readonly received: readonly { readonly device: DeviceKey; readonly packets: number }[];
  /** By probe id and cause, every cause that can occur, also those with 0. */
  readonly unmatched: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Sockets told of something that is no packet under way on that CPU. */
  readonly deliveriesWithoutStart: number;
  /** Packets whose fate is still open. */
  readonly pending: number;
  readonly events: readonly number[];
  readonly eventsLost: readonly number[];
}

/** In the order of enum fate in bpf/state.h. Each is a packet that both packet probes received. */
export const FATES = [
  'dropped',
  'no_socket',
  'no_payload',
  'tcp_not_ready',
  'out_of_order',
  'fragment',
  'other_protocol',
  'not_queued',
  'queued_by_other_cpu',
  'table_full',
] as const;

/** In the order of enum flaw in bpf/state.h: the first, then one for each of enum origin. */
const FLAWS = [
  'clock',
  'outside_softirq',
  'socket_backlog',
  'threaded_napi',
  'busy_poll',
  'attached_midway',
] as const;
/** FLAWS of bpf/state.h: room for the next power of two of origins. */
const FLAWS_ALL = 9;

/** In the order of enum probe_index in bpf/state.h. */
export const PROBE_INDEX = ['irq_to_softirq', 'softirq_to_socket', 'receive_to_socket'] as const;

const DEVICE_FIRST = 2;
const IRQ_FIRST = 1;
export const IRQ_SLOTS = 17;

/** How the histograms of one CPU follow each other; as in bpf/observe.h. */
export interface Shape {
  readonly devices: number;
  readonly cpus: number;
}

export function histogramsPerCpu(shape: Shape): number {
  return (DEVICE_FIRST + shape.devices) * 2 * PROTOCOLS.length + IRQ_SLOTS;
}

/** Copies `count` bytes-worth of histograms or CPU state on request; see KernelCapture. */
export interface Memory {
  /** State of one CPU (`struct cpu_state`). */
  cpuState(cpu: number): Uint32Array;
  /** One histogram (`struct histogram`), by its number in the map. */
  histogram(index: number): Uint32Array;
}

export interface Layouts {
  readonly cpuState: StructLayout;
  readonly histogram: StructLayout;
}

/** Packets of TCP that left no trace, and those still open; computed by the caller (tcp_table.h). */
export interface TcpTable {
  readonly lost: number;
  readonly open: number;
}

export function assemble(memory: Memory, layouts: Layouts, shape: Shape, tcp: TcpTable): Reading {
  const word = (field: string): number => {
    const place = layouts.cpuState.fields[field];
    if (place === undefined) throw new Error(`struct cpu_state has no member ${field}`);
    return place.offset / 4;
  };
  const at = {
    fates: word('fates'),
    flaws: word('flaws'),
    alreadyRaised: word('already_raised'),
    withoutStart: word('deliveries_without_start'),
    events: word('events'),
    eventsLost: word('events_lost'),
    received: word('received'),
    deviceKeys: word('device_keys'),
    irqKeys: word('irq_keys'),
    ringHead: word('ring_head'),
    ringTail: word('ring_tail'),
  };
  const sumWord = (layouts.histogram.fields.sum_ns?.offset ?? 0) / 4;
  const overWord = (layouts.histogram.fields.over_budget?.offset ?? 0) / 4;
  const decode = (index: number): Histogram | undefined => {
    const words = memory.histogram(index);
    const h = emptyHistogram();
    addCounts(h, words, 0);
    h.sumNs = readU64(words, sumWord);
    h.overBudget = readU64(words, overWord);
    return h.counts.some((n) => n > 0) ? h : undefined;
  };

  const packets: PacketLatency[] = [];
  const irqs: IrqLatency[] = [];
  const received = new Map<DeviceKey, number>();
  const fates = FATES.map(() => 0);
  const flaws = PROBE_INDEX.map(() => FLAWS.map(() => 0));
  const events = PROBE_INDEX.map(() => 0);
  const eventsLost = PROBE_INDEX.map(() => 0);
  let alreadyRaised = 0;
  let deliveriesWithoutStart = 0;
  let pending = tcp.open;

  for (let cpu = 0; cpu < shape.cpus; cpu++) {
    const state = memory.cpuState(cpu);
    const first = cpu * histogramsPerCpu(shape);
    for (let slot = 0; slot < DEVICE_FIRST + shape.devices; slot++) {
      const device = deviceKey(slot, state[at.deviceKeys + slot - DEVICE_FIRST] ?? 0);
      if (device === undefined) continue;
      const count = readU64(state, at.received + slot * 2);
      // This CPU may have delivered for a process what others received: the device has a slot here,
      // which is to be freed when the device goes.
      if (count > 0 || typeof device === 'number')
        received.set(device, (received.get(device) ?? 0) + count);
      for (const [kind, probe] of (['softirq_to_socket', 'receive_to_socket'] as const).entries()) {
        for (const [p, protocol] of PROTOCOLS.entries()) {
          const histogram = decode(first + (slot * 2 + kind) * PROTOCOLS.length + p);
          if (histogram) packets.push({ probe, device, protocol, cpu, histogram });
        }
      }
    }
    const firstIrq = first + (DEVICE_FIRST + shape.devices) * 2 * PROTOCOLS.length;
    for (let slot = 0; slot < IRQ_SLOTS; slot++) {
      const owner = state[at.irqKeys + slot - IRQ_FIRST] ?? 0;
      const irq = slot < IRQ_FIRST ? 'overflow' : owner === 0 ? undefined : owner - 1;
      if (irq === undefined) continue;
      const histogram = decode(firstIrq + slot);
      if (histogram) irqs.push({ irq, cpu, histogram });
    }
    accumulate(fates, state, at.fates);
    for (const [i, counts] of flaws.entries())
      accumulate(counts, state, at.flaws + i * FLAWS_ALL * 2);
    accumulate(events, state, at.events);
    accumulate(eventsLost, state, at.eventsLost);
    alreadyRaised += readU64(state, at.alreadyRaised);
    deliveriesWithoutStart += readU64(state, at.withoutStart);
    pending += ((state[at.ringTail] ?? 0) - (state[at.ringHead] ?? 0)) >>> 0;
  }

  const fate: Record<string, number> = {};
  for (const [i, name] of FATES.entries()) fate[name] = fates[i] ?? 0;
  fate.not_queued = (fate.not_queued ?? 0) + tcp.lost;
  const flaw = (probe: number, name: (typeof FLAWS)[number]): number =>
    flaws[probe]?.[FLAWS.indexOf(name)] ?? 0;
  return {
    packets,
    irqs,
    received: [...received].map(([device, packets]) => ({ device, packets })),
    unmatched: {
      irq_to_softirq: { already_raised: alreadyRaised, clock: flaw(0, 'clock') },
      softirq_to_socket: {
        ...fate,
        ...Object.fromEntries(FLAWS.map((name) => [name, flaw(1, name)])),
      },
      receive_to_socket: { ...fate, clock: flaw(2, 'clock') },
    },
    deliveriesWithoutStart,
    pending,
    events,
    eventsLost,
  };
}

function deviceKey(slot: number, owner: number): DeviceKey | undefined {
  if (slot === 0) return 'overflow';
  if (slot === 1) return 'other_netns';
  return owner === 0 ? undefined : owner;
}

function accumulate(into: number[], words: Uint32Array, wordOffset: number): void {
  for (let i = 0; i < into.length; i++)
    into[i] = (into[i] ?? 0) + readU64(words, wordOffset + i * 2);
}
