// The network links of one network namespace and their counters, as NETLINK_ROUTE tells them. Bytes
// in, data out: the exchange itself is the addon's (native/route_netlink.cc). What a counter means,
// and which counters overlap, is not decided here.
//
// Offsets are those of include/uapi/linux/{netlink,rtnetlink,if_link}.h, which the kernel keeps. All
// numbers are in the host's byte order, which is little-endian wherever rxscope is built.

import { deviceName, shownBytes } from './device_names.ts';

/** The counters of struct rtnl_link_stats64, in the kernel's order and by the kernel's names. */
export const LINK_STATISTICS = [
  'rx_packets',
  'tx_packets',
  'rx_bytes',
  'tx_bytes',
  'rx_errors',
  'tx_errors',
  'rx_dropped',
  'tx_dropped',
  'multicast',
  'collisions',
  'rx_length_errors',
  'rx_over_errors',
  'rx_crc_errors',
  'rx_frame_errors',
  'rx_fifo_errors',
  'rx_missed_errors',
  'tx_aborted_errors',
  'tx_carrier_errors',
  'tx_fifo_errors',
  'tx_heartbeat_errors',
  'tx_window_errors',
  'rx_compressed',
  'tx_compressed',
  'rx_nohandler',
  'rx_otherhost_dropped',
] as const;

export type LinkStatistic = (typeof LINK_STATISTICS)[number];

/** Every kernel from 4.6 on has all but the last, which came with 5.19. Exact up to 2^53. */
export type LinkStats = Readonly<Record<Exclude<LinkStatistic, 'rx_otherhost_dropped'>, number>> & {
  readonly rx_otherhost_dropped?: number;
};

/** RFC 2863, by the names of Documentation/networking/operstates.rst; a number that is none of them as `unknown`. */
export type OperationalState =
  | 'unknown'
  | 'notpresent'
  | 'down'
  | 'lowerlayerdown'
  | 'testing'
  | 'dormant'
  | 'up';

export interface Link {
  readonly ifindex: number;
  /** As device_names.ts shows its bytes. */
  readonly name: string;
  /** Of the hardware; absent where it has none. */
  readonly address?: string;
  /** IFF_ bits of include/uapi/linux/if.h. */
  readonly flags: number;
  /** Administratively up (IFF_UP): such a link can receive. */
  readonly up: boolean;
  readonly loopback: boolean;
  readonly operationalState: OperationalState;
  /** The kind that made it, such as `veth`, `bond`, `bridge`, `vlan`; absent for hardware and loopback. */
  readonly kind?: string;
  /** ifindex of the bond, bridge or VRF that it belongs to. */
  readonly master?: number;
  /** ifindex of the link below (a VLAN's) or at the other end (a veth's). */
  readonly link?: number;
  /** `link` is an ifindex of another network namespace, and means nothing in this one. */
  readonly linkElsewhere: boolean;
  /** Bytes. */
  readonly mtu: number;
  /** Allocated, which may be more than a driver uses: see the channels of ethtool.ts. */
  readonly rxQueues: number;
  readonly txQueues: number;
  /** How often the carrier came or went since the link exists. */
  readonly carrierChanges: number;
  /** Name of the hardware's bus and on it, such as `pci` and `0000:00:03.0`; from kernel 5.13 on. */
  readonly parentBus?: string;
  readonly parentDevice?: string;
  readonly stats: LinkStats;
}

const NLMSG_HEADER_BYTES = 16;
const IFINFO_BYTES = 16;
const ATTRIBUTE_HEADER_BYTES = 4;

const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const NLM_F_REQUEST = 0x1;
const NLM_F_DUMP = 0x300;

const IFF_UP = 0x1;
const IFF_LOOPBACK = 0x8;

/** The upper two bits of an attribute's type are flags (NLA_F_NESTED, NLA_F_NET_BYTEORDER). */
const ATTRIBUTE_TYPE_MASK = 0x3fff;
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_LINK = 5;
const IFLA_MASTER = 10;
const IFLA_OPERSTATE = 16;
const IFLA_LINKINFO = 18;
const IFLA_STATS64 = 23;
const IFLA_NUM_TX_QUEUES = 31;
const IFLA_NUM_RX_QUEUES = 32;
const IFLA_CARRIER_CHANGES = 35;
const IFLA_LINK_NETNSID = 37;
const IFLA_PARENT_DEV_NAME = 56;
const IFLA_PARENT_DEV_BUS_NAME = 57;
const OF_LINK: ReadonlySet<number> = new Set([
  IFLA_ADDRESS,
  IFLA_IFNAME,
  IFLA_MTU,
  IFLA_LINK,
  IFLA_MASTER,
  IFLA_OPERSTATE,
  IFLA_LINKINFO,
  IFLA_STATS64,
  IFLA_NUM_TX_QUEUES,
  IFLA_NUM_RX_QUEUES,
  IFLA_CARRIER_CHANGES,
  IFLA_LINK_NETNSID,
  IFLA_PARENT_DEV_NAME,
  IFLA_PARENT_DEV_BUS_NAME,
]);
/** Inside IFLA_LINKINFO. */
const IFLA_INFO_KIND = 1;
const OF_LINKINFO: ReadonlySet<number> = new Set([IFLA_INFO_KIND]);

/** By the numbers IF_OPER_ of include/uapi/linux/if.h. */
const OPERATIONAL_STATES: readonly OperationalState[] = [
  'unknown',
  'notpresent',
  'down',
  'lowerlayerdown',
  'testing',
  'dormant',
  'up',
];

/** A dump of all links: the bytes for `routeDump` of the addon. */
export function linkRequest(): Uint8Array {
  const request = new Uint8Array(NLMSG_HEADER_BYTES + IFINFO_BYTES);
  const view = new DataView(request.buffer);
  view.setUint32(0, request.length, true);
  view.setUint16(4, RTM_GETLINK, true);
  view.setUint16(6, NLM_F_REQUEST | NLM_F_DUMP, true);
  return request;
}

/**
 * The links in the answers to `linkRequest`, in the kernel's order. Other messages and attributes
 * that are unknown are passed over. Throws where the bytes are no netlink messages, or a link has no
 * name or counters, which every kernel tells.
 */
export function parseLinks(bytes: Uint8Array): Link[] {
  const links: Link[] = [];
  for (let at = 0; at < bytes.length; ) {
    const message = new Cut(bytes, at, bytes.length);
    const length = message.u32(0);
    if (length < NLMSG_HEADER_BYTES) throw new Error(`a netlink message of ${length} bytes`);
    if (message.u16(4) === RTM_NEWLINK) links.push(parseLink(message.part(0, length)));
    at += aligned(length);
  }
  return links;
}

function parseLink(message: Cut): Link {
  const flags = message.u32(NLMSG_HEADER_BYTES + 8);
  const found = attributesOf(message, NLMSG_HEADER_BYTES + IFINFO_BYTES, OF_LINK);
  const number = (type: number): number | undefined => found.get(type)?.u32(0);
  const text = (type: number): string | undefined => found.get(type)?.text();
  const name = found.get(IFLA_IFNAME)?.untilNul();
  const stats = found.get(IFLA_STATS64);
  if (name === undefined || stats === undefined)
    throw new Error('a link without a name or without counters');
  const info = found.get(IFLA_LINKINFO);
  const kind = info && attributesOf(info, 0, OF_LINKINFO).get(IFLA_INFO_KIND)?.text();
  return {
    ifindex: message.u32(NLMSG_HEADER_BYTES + 4),
    name: deviceName(name),
    flags,
    up: (flags & IFF_UP) !== 0,
    loopback: (flags & IFF_LOOPBACK) !== 0,
    operationalState: OPERATIONAL_STATES[found.get(IFLA_OPERSTATE)?.u8(0) ?? 0] ?? 'unknown',
    ...present('kind', kind),
    ...present('master', number(IFLA_MASTER)),
    ...present('link', number(IFLA_LINK)),
    linkElsewhere: found.has(IFLA_LINK_NETNSID),
    mtu: number(IFLA_MTU) ?? 0,
    rxQueues: number(IFLA_NUM_RX_QUEUES) ?? 0,
    txQueues: number(IFLA_NUM_TX_QUEUES) ?? 0,
    carrierChanges: number(IFLA_CARRIER_CHANGES) ?? 0,
    ...present('address', found.get(IFLA_ADDRESS)?.address()),
    ...present('parentBus', text(IFLA_PARENT_DEV_BUS_NAME)),
    ...present('parentDevice', text(IFLA_PARENT_DEV_NAME)),
    stats: parseStats(stats),
  };
}

function parseStats(attribute: Cut): LinkStats {
  const stats: Partial<Record<LinkStatistic, number>> = {};
  for (const [position, statistic] of LINK_STATISTICS.entries()) {
    if (statistic === 'rx_otherhost_dropped' && attribute.length < 8 * (position + 1)) break;
    stats[statistic] = attribute.u64(8 * position);
  }
  return stats as LinkStats;
}

/** By type, the payloads of those attributes from `at` to the end that are read here. Of two, the last. */
function attributesOf(within: Cut, at: number, wanted: ReadonlySet<number>): Map<number, Cut> {
  const found = new Map<number, Cut>();
  while (within.length - at >= ATTRIBUTE_HEADER_BYTES) {
    const length = within.u16(at);
    if (length < ATTRIBUTE_HEADER_BYTES || at + length > within.length)
      throw new Error(`a netlink attribute of ${length} bytes`);
    const type = within.u16(at + 2) & ATTRIBUTE_TYPE_MASK;
    if (wanted.has(type))
      found.set(type, within.part(at + ATTRIBUTE_HEADER_BYTES, length - ATTRIBUTE_HEADER_BYTES));
    at += aligned(length);
  }
  return found;
}

/** A stretch of the answer. Whatever would be read beyond its end throws. */
class Cut {
  readonly length: number;
  readonly #bytes: Uint8Array;
  readonly #start: number;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.length = end - start;
    this.#bytes = bytes;
    this.#start = start;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset + start, this.length);
  }

  u8(at: number): number {
    return this.#view.getUint8(at);
  }

  u16(at: number): number {
    return this.#view.getUint16(at, true);
  }

  u32(at: number): number {
    return this.#view.getUint32(at, true);
  }

  /** Exact up to 2^53, the nearest double above. */
  u64(at: number): number {
    return this.u32(at) + this.u32(at + 4) * 0x1_0000_0000;
  }

  /** Up to the NUL that ends it. */
  untilNul(): Uint8Array {
    const bytes = this.#bytes.subarray(this.#start, this.#start + this.length);
    const end = bytes.indexOf(0);
    return end < 0 ? bytes : bytes.subarray(0, end);
  }

  text(): string {
    return shownBytes(this.untilNul());
  }

  /** `02:00:00:12:34:56` */
  address(): string {
    const bytes = this.#bytes.subarray(this.#start, this.#start + this.length);
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
  }

  part(at: number, length: number): Cut {
    if (at + length > this.length) throw new Error('a netlink answer that ends too early');
    return new Cut(this.#bytes, this.#start + at, this.#start + at + length);
  }
}

/** Messages and attributes begin at multiples of four. */
function aligned(length: number): number {
  return (length + 3) & ~3;
}

function present<Key extends string, Value>(
  key: Key,
  value: Value | undefined,
): { readonly [key in Key]?: Value } {
  return (value === undefined ? {} : { [key]: value }) as { readonly [key in Key]?: Value };
}
