// Which packet each delivery belongs to, by what does not measure it: the numbers that the sockets read, and
// the kernel's own trace of the same packets. Pure; shares nothing with the BPF programs.

import type { Captured } from '../../src/capture/capture_once.ts';
import { type Case, SECOND_FIRST } from './delivery_cases.ts';

/** What deliveries_guest.mjs tells of one case. */
export interface Told {
  readonly ways: readonly Way[];
  readonly tasksOfProcess1: readonly number[];
  readonly events: readonly TraceEvent[];
  readonly got: {
    readonly sockets: readonly (readonly number[])[];
    readonly raw: readonly (readonly number[])[];
    readonly taps: readonly number[];
  };
  readonly rungs: readonly {
    readonly rung: string;
    readonly states: Captured['states'];
    readonly observations: readonly Observed[];
    readonly reading: Captured['reading'];
  }[];
}

interface Way {
  readonly name: string;
  /** The last device on the way, and that of the pair. */
  readonly device: string;
  readonly lower: string;
  readonly ifindex: number;
  readonly lowerIfindex: number;
  /** Of tags that stand before the IP header where the packet is received. */
  readonly headerBytes: number;
  /** The last device receives the packet a second time. */
  readonly receivedAnew: boolean;
}

type TraceEvent = readonly [
  what: 'received' | 'told' | 'dropped' | 'softirq',
  cpu: number,
  ns: number,
  pid: number,
  /** Of the packet, or of the socket. */
  address: string,
  /** Length, family, reason or vector. */
  number: number,
  /** Device, or protocol. */
  more: string | number,
];

export type Observed = readonly [
  probe: string,
  protocol: number,
  latencyNs: number,
  timeNs: number,
  cpu: number,
  key: number,
];

export interface Event {
  readonly what: TraceEvent[0];
  readonly cpu: number;
  readonly ns: number;
  readonly pid: number;
  readonly address: string;
  readonly number: number;
  readonly more: string | number;
  /** Between which times a program that runs at this event reads the clock: those of its neighbours. */
  readonly window: readonly [number, number];
}

/** A packet and what became of it. */
export interface Packet {
  readonly ifindex: number;
  readonly received: Event;
  /** Entry of the softirq in which it was received. */
  readonly softirq: Event | undefined;
  /** Those of its datagrams. */
  readonly numbers: readonly number[];
  /** When UDP sockets were told of it, or of parts or copies of it. */
  readonly tellings: readonly Event[];
  /** When a raw socket was told. */
  readonly rawTold: Event | undefined;
}

const AF_PACKET = 17;
const IPPROTO_UDP = 17;
const NET_RX = 3;
const HEADER_BYTES = { v4: 28, v6: 48 } as const;

/** All packets of a case, in order on each CPU. Throws where the trace and the sockets disagree. */
export function packetsOf(one: Case, told: Told): Packet[] {
  const events = eventsOf(told.events);
  const received = receivedBy(one, told, events);
  const ours = socketsOf(one, told, received, events);
  const isOurs = (event: Event): boolean => event.what !== 'told' || ours.has(event.address);
  const cpus = [...new Set(received.map(({ received: { cpu } }) => cpu))];
  return cpus.flatMap((cpu) => {
    const here = received.filter((packet) => packet.received.cpu === cpu);
    const about = events.filter((event) => event.cpu === cpu && isOurs(event));
    return one.ways.length > 1 ? byMarkers(here, about) : byOrder(one, told, here, about);
  });
}

/** Addresses of sockets that were told as often as a socket of the case was: other programs receive, too. */
function socketsOf(
  one: Case,
  { got }: Told,
  received: readonly Unjudged[],
  events: readonly Event[],
): Set<string> {
  const firsts = new Set(received.map(({ numbers: [first] }) => first));
  const counts = [...got.sockets, ...got.raw].map(
    // A socket that takes large packets is told once of each.
    (numbers) => (one.receive?.gro === 1 ? numbers.filter((n) => firsts.has(n)) : numbers).length,
  );
  const tellings = groupBy(events.filter(isTelling), ({ address }) => address);
  return new Set(
    [...tellings].filter(([, all]) => counts.includes(all.length)).map(([address]) => address),
  );
}

/** In order of time, each with its neighbours on its CPU. */
function eventsOf(events: readonly TraceEvent[]): Event[] {
  const byCpu = groupBy(events, ([, cpu]) => cpu);
  return [...byCpu.values()]
    .flatMap((here) =>
      here.map(([what, cpu, ns, pid, address, number, more], i): Event => {
        const window = [
          here[i - 1]?.[2] ?? 0,
          here[i + 1]?.[2] ?? Number.POSITIVE_INFINITY,
        ] as const;
        return { what, cpu, ns, pid, address, number, more, window };
      }),
    )
    .sort((a, b) => a.ns - b.ns);
}

type Unjudged = Omit<Packet, 'tellings' | 'rawTold'>;

/** What the last device received, with the numbers that are in it: a flow keeps its order. */
function receivedBy(one: Case, { ways }: Told, events: readonly Event[]): Unjudged[] {
  const softirqs = new Map<number, Event>();
  const next = ways.map((_, w) => w * SECOND_FIRST);
  const packets: Unjudged[] = [];
  for (const event of events) {
    if (event.what === 'softirq' && event.number === NET_RX) softirqs.set(event.cpu, event);
    if (event.what !== 'received') continue;
    const w = ways.findIndex((way) => event.more === receivingDevice(way, one).device);
    const way = ways[w];
    if (way === undefined) continue;
    const headers = HEADER_BYTES[one.send.v6 === true ? 'v6' : 'v4'];
    const datagrams = (event.number - headers - way.headerBytes) / one.send.size;
    // What the kernel itself sends meanwhile: reports of multicast listeners.
    if (!Number.isInteger(datagrams)) continue;
    const first = next[w] ?? 0;
    next[w] = first + datagrams;
    packets.push({
      ifindex: receivingDevice(way, one).ifindex,
      received: event,
      softirq: softirqs.get(event.cpu),
      numbers: Array.from({ length: datagrams }, (_, i) => first + i),
    });
  }
  for (const [w, end] of next.entries()) {
    const count = end - w * SECOND_FIRST;
    if (count !== one.count) throw new Error(`the trace has ${count} of ${one.count} datagrams`);
  }
  return packets;
}

function receivingDevice(way: Way, one: Case): { device: string; ifindex: number } {
  // What is for a group goes to each macvlan as a packet of its own.
  const anew = way.receivedAnew || (way.name === 'macvlan' && one.send.group !== undefined);
  return anew
    ? { device: way.device, ifindex: way.ifindex }
    : { device: way.lower, ifindex: way.lowerIfindex };
}

/**
 * A CPU handles packets in the order in which it received them: so the n-th telling is of the n-th packet
 * that a socket has read. A raw socket is told before others are.
 */
function byOrder(
  one: Case,
  told: Told,
  here: readonly Unjudged[],
  about: readonly Event[],
): Packet[] {
  const readers = readersOf(told.got.sockets);
  const rawReaders = readersOf(told.got.raw);
  const all = about.filter(isTelling);
  const addressOf = new Map<string, string>();
  let at = 0;
  const next = (reader: string): Event => {
    const event = all[at++];
    if (event === undefined) throw new Error(`the trace has only ${all.length} tellings`);
    const address = addressOf.get(reader) ?? event.address;
    addressOf.set(reader, address);
    if (address !== event.address)
      throw new Error(`telling ${at} is of another socket than ${reader}`);
    return event;
  };
  const packets = here.map((packet): Packet => {
    const [rawTold] = (rawReaders.get(packet.numbers[0] ?? -1) ?? []).map((i) => next(`raw ${i}`));
    // A socket that takes large packets is told once.
    const parts = one.receive?.gro === 1 ? packet.numbers.slice(0, 1) : packet.numbers;
    const tellings = parts.flatMap((number) => {
      const sockets = readers.get(number) ?? [];
      // Of several sockets that get copies of one packet, the order is the kernel's.
      return sockets.map((socket, i) =>
        next(sockets.length > 1 ? `copy ${i}` : `socket ${socket}`),
      );
    });
    return { ...packet, tellings, rawTold };
  });
  if (at !== all.length) throw new Error(`the trace has ${all.length} tellings, not ${at}`);
  return packets;
}

/**
 * Where two CPUs deliver to one socket, whose filter refuses every second packet: one that was taken is
 * handled between the ends of its two neighbours. From 6.18 on its socket is told there, or by the other CPU.
 */
function byMarkers(here: readonly Unjudged[], about: readonly Event[]): Packet[] {
  const tellings = about.filter(isTelling);
  const drops = groupBy(
    about.filter(({ what }) => what === 'dropped'),
    ({ address }) => address,
  );
  const droppedAt = here.map(({ received }) =>
    drops.get(received.address)?.find(({ ns }) => ns > received.ns),
  );
  return here.map((packet, i): Packet => {
    const number = packet.numbers[0] ?? 0;
    if (number % 2 === 1) {
      if (droppedAt[i] === undefined)
        throw new Error(`the trace has no drop of datagram ${number}`);
      return { ...packet, tellings: [], rawTold: undefined };
    }
    const from = Math.max(packet.received.ns, droppedAt[i - 1]?.ns ?? 0);
    const until = droppedAt[i + 1]?.ns ?? Number.POSITIVE_INFINITY;
    const own = tellings.filter(({ ns }) => ns > from && ns < until);
    return { ...packet, tellings: own, rawTold: undefined };
  });
}

function isTelling({ what, number, more }: Event): boolean {
  return what === 'told' && number !== AF_PACKET && more === IPPROTO_UDP;
}

/** By number, the sockets that have read it. */
function readersOf(sockets: readonly (readonly number[])[]): Map<number, number[]> {
  const readers = new Map<number, number[]>();
  for (const [socket, numbers] of sockets.entries()) {
    for (const number of numbers) readers.set(number, [...(readers.get(number) ?? []), socket]);
  }
  return readers;
}

/** The most packets in a row that were received before anything became of the first. */
export function longestList(packets: readonly Packet[], told: Told): number {
  const mine = new Set(packets.map(({ received }) => received.ns));
  let longest = 0;
  for (const here of groupBy(told.events, ([, cpu]) => cpu).values()) {
    let length = 0;
    for (const [what, , ns] of here) {
      length = what === 'received' && mine.has(ns) ? length + 1 : 0;
      longest = Math.max(longest, length);
    }
  }
  return longest;
}

/**
 * Where a capture's observations differ from the packets that sockets were told of: none is missing, none is
 * of something else, and each has the two ends of its own packet. Ends are told apart by their order on
 * their CPU, which is exact however close they are.
 */
export function differences(
  packets: readonly Packet[],
  observations: readonly Observed[],
  startOf: (packet: Packet) => Event | undefined,
): string[] {
  const wanted = packets.flatMap((packet) => {
    const [start, end] = [startOf(packet), packet.tellings[0]];
    return start === undefined || end === undefined ? [] : [{ start, end, packet }];
  });
  const cpus = [...wanted.map(({ end }) => end.cpu), ...observations.map(([, , , , cpu]) => cpu)];
  return [...new Set(cpus)].flatMap((cpu) => {
    const truth = wanted.filter(({ end }) => end.cpu === cpu);
    const seen = observations.filter((one) => one[4] === cpu);
    if (seen.length !== truth.length)
      return [`CPU ${cpu}: ${seen.length} observed of ${truth.length}`];
    const [wantedInOrder, seenInOrder] = [
      [...truth].sort((a, b) => a.end.ns - b.end.ns),
      [...seen].sort((a, b) => a[3] - b[3]),
    ];
    return wantedInOrder.flatMap(({ start, end, packet }, i) => {
      const [, , latencyNs = 0, endNs = 0, , ifindex = 0] = seenInOrder[i] ?? [];
      const startNs = endNs - latencyNs;
      if (within(startNs, start) && within(endNs, end) && ifindex === packet.ifindex) return [];
      const ends = `${startNs - start.ns} and ${endNs - end.ns} ns`;
      const which = `CPU ${cpu}, datagram ${packet.numbers[0]} on device ${packet.ifindex}`;
      return [`${which}: ends ${ends} off the trace's (${end.ns - start.ns} ns), on ${ifindex}`];
    });
  });
}

function within(ns: number, { window: [least, most] }: Event): boolean {
  return ns >= least && ns <= most;
}

/**
 * Packets that no capture saw, because the CPU's current task was one during which the kernel of some hosts
 * runs no BPF program at all: threads of their process 1. The kernel's own trace has them.
 */
export function unseenByAll(packets: readonly Packet[], told: Told): Packet[] {
  const all = told.rungs.flatMap(({ observations }) => observations);
  return packets.filter((packet) => {
    const {
      received,
      tellings: [end],
    } = packet;
    if (![received, end].some((event) => told.tasksOfProcess1.includes(event?.pid ?? -1)))
      return false;
    return end === undefined || !isObserved(packet, all);
  });
}

/** Whether any of the observations ends where the packet's first telling is. */
export function isObserved(
  { tellings: [end] }: Packet,
  observations: readonly Observed[],
): boolean {
  return end !== undefined && observations.some((one) => one[4] === end.cpu && within(one[3], end));
}

function groupBy<T, K>(all: readonly T[], keyOf: (one: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const one of all) {
    const group = groups.get(keyOf(one));
    if (group === undefined) groups.set(keyOf(one), [one]);
    else group.push(one);
  }
  return groups;
}
