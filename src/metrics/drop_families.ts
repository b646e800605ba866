// The families about dropped packets: the kernel's own drops by reason, a total that counts each
// packet once, and what the protocols count. Pure. Which counter sees which drop, and where they
// overlap, stands in grafana/drops.md.

import type { DropReasons } from '../capture/drop_reasons.ts';
import { type DropCount, OTHER_REASON } from '../capture/reading.ts';
import type { SymbolNames } from '../capture/symbols.ts';
import { type DeviceLabels, OTHER } from '../readings/names.ts';
import type { Family, Labels, ScalarSample } from './model.ts';

/** The part of a link that matters here; a Link of src/host/links.ts is one. */
export interface DropLink {
  readonly ifindex: number;
  readonly name: string;
  /** As rtnetlink names it: absent for most hardware. */
  readonly kind?: string | undefined;
  /** The hardware that it sits on; present where the kernel tells. */
  readonly parentDevice?: string | undefined;
  /** Ifindex of the device that this one is enslaved to. */
  readonly master?: number | undefined;
  readonly stats: { readonly rx_missed_errors: number };
}

export interface DropInput extends Pick<DeviceLabels, 'deviceLabel'> {
  /** Are drops to be counted? What is off has no rows: 0 would say that nothing was dropped. */
  readonly counted: boolean;
  /** Undefined: they could not be (no permission); the rows exist with 0, and the probe is not up. */
  readonly drops: readonly DropCount[] | undefined;
  /** Freed undelivered elsewhere than on the receive path. */
  readonly transmitDrops: number;
  readonly reasons: DropReasons;
  readonly symbols: SymbolNames;
  /** Labels of devices that can receive: their series exist from the start. */
  readonly devices: readonly string[];
  /** What the cap on series leaves at most: of rows with 0 no more are made. */
  readonly seriesMax?: number;
  readonly links: readonly DropLink[];
  /** As readProtocolCounters of src/host/protocol_counters.ts gives them. */
  readonly protocols: ReadonlyMap<string, ReadonlyMap<string, number>>;
}

/** Reasons that matter in practice: their series exist from the start, where the kernel has them. */
const EXPECTED_REASONS = [
  'NOT_SPECIFIED',
  'NO_SOCKET',
  'SOCKET_RCVBUFF',
  'NETFILTER_DROP',
  'CPU_BACKLOG',
  'UDP_CSUM',
  'TCP_CSUM',
  'IP_CSUM',
  'PROTO_MEM',
] as const;

/** Devices that get rows with 0. A host of containers has hundreds, most of which never drop. */
const ZERO_DEVICES_MAX = 64;

/** A code location that no function is known for. Addresses are no labels: they would tell KASLR's. */
const NO_NAME = '(unknown)';

/**
 * Counters of /proc/net/snmp, snmp6 and netstat that rise when something received is given up, by
 * protocol as the kernel names it: both together are the name that nstat prints. Some contain others:
 * InErrors of UDP the three behind it, InErrs of TCP InCsumErrors, ListenDrops both ListenOverflows
 * and TCPReqQFullDrop.
 */
const BY_PROTOCOL: readonly (readonly [protocol: string, ...counters: string[]])[] = [
  ['Ip', 'InHdrErrors', 'InAddrErrors', 'InUnknownProtos', 'InDiscards', 'ReasmFails'],
  ['IpExt', 'InNoRoutes', 'InTruncatedPkts', 'InCsumErrors'],
  ['Ip6', 'InHdrErrors', 'InNoRoutes', 'InAddrErrors', 'InUnknownProtos'],
  ['Ip6', 'InTruncatedPkts', 'InDiscards', 'ReasmFails'],
  ['Udp', 'InErrors', 'RcvbufErrors', 'InCsumErrors', 'MemErrors'],
  ['Udp', 'NoPorts'],
  ['Udp6', 'InErrors', 'RcvbufErrors', 'InCsumErrors', 'MemErrors'],
  ['Udp6', 'NoPorts'],
  ['Tcp', 'InErrs', 'InCsumErrors'],
  ['TcpExt', 'ListenDrops', 'ListenOverflows'],
  ['TcpExt', 'TCPReqQFullDrop', 'TCPDeferAcceptDrop', 'TCPBacklogDrop', 'TCPRcvQDrop'],
  ['TcpExt', 'TCPOFODrop', 'TCPZeroWindowDrop', 'TCPMinTTLDrop', 'PFMemallocDrop'],
  ['TcpExt', 'RcvPruned', 'OfoPruned', 'LockDroppedIcmps', 'IPReversePathFilter'],
];

/** The same as pairs of protocol and counter. */
export const PROTOCOL_COUNTERS: readonly (readonly [protocol: string, counter: string])[] =
  BY_PROTOCOL.flatMap(([protocol, ...counters]) =>
    counters.map((counter) => [protocol, counter] as const),
  );

export function dropFamilies(input: DropInput): Family[] {
  return [
    ...(input.counted ? kernelFamilies(input) : []),
    {
      type: 'counter',
      name: 'rxscope_packets_dropped_total',
      help: 'Received packets dropped, each counted once: by the card before the kernel saw them (where="device", rx_missed_errors), or by the kernel (where="kernel", the sum of rxscope_drops_total).',
      samples: total(input),
    },
    {
      type: 'counter',
      name: 'rxscope_protocol_drops_total',
      help: "Counters of protocols that rise when something received is given up; protocol and counter together are nstat's name. They overlap each other and rxscope_drops_total: compare, do not add.",
      samples: byProtocol(input.protocols),
    },
  ];
}

function kernelFamilies(input: DropInput): Family[] {
  return [
    {
      type: 'counter',
      name: 'rxscope_drops_total',
      help: 'Packets that the kernel freed undelivered on the receive path, by its own reason; before Linux 5.17 by the function that freed them.',
      samples: byReason(input),
    },
    {
      type: 'counter',
      name: 'rxscope_transmit_drops_total',
      help: 'Packets that the kernel freed undelivered elsewhere than on the receive path.',
      samples: [{ labels: {}, value: input.transmitDrops }],
    },
  ];
}

function byReason(input: DropInput): ScalarSample[] {
  const sums = new Sums();
  for (const { reason, device, packets } of input.drops ?? []) {
    const label = input.deviceLabel(device);
    if (label !== undefined)
      sums.add(
        { reason: reasonLabel(reason, input.reasons, input.symbols), device: label },
        packets,
      );
  }
  const expected = EXPECTED_REASONS.filter((name) => input.reasons.numberOf(name) !== undefined);
  for (const device of input.devices.slice(0, ZERO_DEVICES_MAX))
    for (const reason of expected) sums.add({ reason, device }, 0);
  return sums.samples();
}

/** The reason's label: the kernel's name for it, before Linux 5.17 that of the function. */
export function reasonLabel(reason: number, reasons: DropReasons, symbols: SymbolNames): string {
  if (reason === OTHER_REASON) return OTHER;
  return reasons.known ? reasons.name(reason) : (symbols.nameOfLow(reason) ?? NO_NAME);
}

function total(input: DropInput): ScalarSample[] {
  const sums = new Sums();
  for (const { name, stats } of cards(input.links))
    sums.add({ where: 'device', device: name }, stats.rx_missed_errors);
  if (!input.counted) return sums.samples();
  for (const device of input.devices.slice(0, input.seriesMax))
    sums.add({ where: 'kernel', device }, 0);
  for (const { device, packets } of input.drops ?? []) {
    const label = input.deviceLabel(device);
    if (label !== undefined) sums.add({ where: 'kernel', device: label }, packets);
  }
  return sums.samples();
}

/**
 * Links with a card behind them. A bond or a failover pair reports the sum of its members' counters
 * (bond_get_stats, net_failover_get_stats), which would count a missed packet twice.
 */
function cards(links: readonly DropLink[]): DropLink[] {
  const masters = new Set(links.map(({ master }) => master));
  const isCard = ({ kind, parentDevice }: DropLink): boolean =>
    kind === undefined || parentDevice !== undefined;
  return links.filter((link) => isCard(link) && !masters.has(link.ifindex));
}

function byProtocol(protocols: DropInput['protocols']): ScalarSample[] {
  return PROTOCOL_COUNTERS.flatMap(([protocol, counter]) => {
    // A kernel without IPv6, or older than the counter.
    const value = protocols.get(protocol)?.get(counter);
    return value === undefined ? [] : [{ labels: { protocol, counter }, value }];
  });
}

/** Adds up values of equal labels, in the order of first appearance. */
class Sums {
  readonly #rows = new Map<string, { readonly labels: Labels; value: number }>();

  add(labels: Labels, value: number): void {
    const key = Object.values(labels).join('\0');
    const row = this.#rows.get(key);
    if (row === undefined) this.#rows.set(key, { labels, value });
    else row.value += value;
  }

  samples(): ScalarSample[] {
    return [...this.#rows.values()];
  }
}
