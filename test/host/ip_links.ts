// What `ip -s -s -d -j link` says of links, in the terms of src/host/links.ts, so that both can be
// compared whole.

import { LINK_STATISTICS, type Link } from '../../src/host/links.ts';

type Counters = Readonly<Record<string, number>>;

export interface IpLink {
  readonly ifindex: number;
  readonly ifname: string;
  readonly address?: string;
  readonly flags: readonly string[];
  readonly mtu: number;
  readonly master?: string;
  readonly link?: string | null;
  readonly link_index?: number;
  readonly link_netnsid?: number;
  readonly operstate: string;
  readonly linkinfo?: { readonly info_kind?: string };
  readonly num_tx_queues: number;
  readonly num_rx_queues: number;
  readonly parentbus?: string;
  readonly parentdev?: string;
  readonly stats64: { readonly rx: Counters; readonly tx: Counters };
}

/** Less the flags' number, which `ip` tells by names, and the counters that it does not tell. */
export type Comparable = Omit<Link, 'flags' | 'stats'> & { readonly stats: Counters };

/** By the kernel's names, those of `ip`, where they differ in more than the direction. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  multicast: 'rx multicast',
  collisions: 'tx collisions',
  rx_otherhost_dropped: 'rx otherhost',
};

export function comparable(link: Link, told: IpLink): Comparable {
  const { flags: _, address, stats, ...rest } = link;
  const known = Object.keys(statsOf(told));
  // Captures leave addresses out.
  const mac = told.address === undefined || address === undefined ? {} : { address };
  return {
    ...rest,
    ...mac,
    stats: Object.fromEntries(known.map((name) => [name, stats[name as never]])),
  };
}

export function fromIp(told: IpLink, all: readonly IpLink[]): Comparable {
  const indexOf = (name: string | null | undefined) =>
    all.find((one) => one.ifname === name)?.ifindex;
  const kind = told.linkinfo?.info_kind;
  const master = indexOf(told.master);
  const link = told.link_index ?? indexOf(told.link);
  return {
    ifindex: told.ifindex,
    name: told.ifname,
    ...(told.address === undefined ? {} : { address: told.address }),
    up: told.flags.includes('UP'),
    loopback: told.flags.includes('LOOPBACK'),
    operationalState: told.operstate.toLowerCase() as Link['operationalState'],
    ...(kind === undefined ? {} : { kind }),
    ...(master === undefined ? {} : { master }),
    ...(link === undefined ? {} : { link }),
    linkElsewhere: told.link_netnsid !== undefined,
    mtu: told.mtu,
    rxQueues: told.num_rx_queues,
    txQueues: told.num_tx_queues,
    carrierChanges: told.stats64.tx.carrier_changes ?? 0,
    ...(told.parentbus === undefined ? {} : { parentBus: told.parentbus }),
    ...(told.parentdev === undefined ? {} : { parentDevice: told.parentdev }),
    stats: statsOf(told),
  };
}

function statsOf({ stats64 }: IpLink): Counters {
  const found: Record<string, number> = {};
  for (const name of LINK_STATISTICS) {
    const [, direction = '', rest = ''] = /^(rx|tx)[_ ](.*)$/.exec(OTHER_NAMES[name] ?? name) ?? [];
    const value = stats64[direction as 'rx' | 'tx']?.[rest];
    if (value !== undefined) found[name] = value;
  }
  return found;
}
