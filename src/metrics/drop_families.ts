// The families about dropped packets: the kernel's own drops by reason, a total that counts each
// packet once, and what the protocols count. Pure. Which counter sees which drop, and where they
// overlap, stands in grafana/drops.md.

import { PROTOCOL_COUNTERS } from '../host/protocol_counters.ts';
import type { Known, NamedPackets } from '../readings/named_reading.ts';
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

export interface DropInput {
  /** Are drops to be counted? What is off has no rows: 0 would say that nothing was dropped. */
  readonly counted: boolean;
  /** Undefined: they could not be (no permission); the rows exist with 0, and the probe is not up. */
  readonly packets: Pick<NamedPackets, 'drops' | 'transmitDrops'> | undefined;
  /** Their series exist from the start. */
  readonly known: Pick<Known, 'devices' | 'dropReasons'>;
  /** What the cap on series leaves at most: of rows with 0 no more are made. */
  readonly seriesMax?: number;
  readonly host:
    | {
        readonly links: readonly DropLink[];
        /** As readProtocolCounters of src/host/protocol_counters.ts gives them. */
        readonly protocols: ReadonlyMap<string, ReadonlyMap<string, number>>;
      }
    | undefined;
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
      samples: byProtocol(input.host?.protocols ?? new Map()),
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
      samples: [{ labels: {}, value: input.packets?.transmitDrops ?? 0 }],
    },
  ];
}

function byReason({ packets, known }: DropInput): ScalarSample[] {
  const sums = new Sums();
  for (const { reason, device, packets: n } of packets?.drops ?? [])
    sums.add({ reason, device }, n);
  const expected = EXPECTED_REASONS.filter((name) => known.dropReasons.includes(name));
  for (const device of known.devices.slice(0, ZERO_DEVICES_MAX))
    for (const reason of expected) sums.add({ reason, device }, 0);
  return sums.samples();
}

function total(input: DropInput): ScalarSample[] {
  const sums = new Sums();
  for (const { name, stats } of cards(input.host?.links ?? []))
    sums.add({ where: 'device', device: name }, stats.rx_missed_errors);
  if (!input.counted) return sums.samples();
  for (const device of input.known.devices.slice(0, input.seriesMax))
    sums.add({ where: 'kernel', device }, 0);
  for (const { device, packets } of input.packets?.drops ?? [])
    sums.add({ where: 'kernel', device }, packets);
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

function byProtocol(protocols: NonNullable<DropInput['host']>['protocols']): ScalarSample[] {
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
