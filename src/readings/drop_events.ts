// The recent drops: what /api/v1/drops lists. Bounded, the oldest makes room; a sample, since the kernel
// sends no more than the rate allows. All are counted in rxscope_drops_total.

import { wallClockMs } from '../capture/kernel_clock.ts';
import type { DropRecord } from '../capture/records.ts';
import { defined } from './defined.ts';

/** A dropped packet with the kernel's numbers turned into names. */
export interface NamedDrop {
  readonly time: string;
  readonly reason: string;
  /** The kernel's function that dropped it, where /proc/kallsyms names it. */
  readonly function?: string;
  /** '' when none is known. */
  readonly device: string;
  readonly cpu: number;
  /** `tcp`, `udp`, `icmp`, `arp` … or the number. */
  readonly protocol: string;
  readonly local_port?: number;
  readonly remote_port?: number;
  readonly bytes: number;
  /** The task that the CPU was running. */
  readonly pid: number;
  readonly comm: string;
}

/** Who knows the names. */
export interface DropNames {
  dropDevice(drop: DropRecord): string;
  dropReason(reason: number): string;
  functionAt(address: bigint): string | undefined;
}

/** include/uapi/linux/in.h, and if_ether.h for what is no IP. */
const IP_PROTOCOLS: Readonly<Record<number, string>> = {
  0: 'hopopt',
  1: 'icmp',
  2: 'igmp',
  6: 'tcp',
  17: 'udp',
  47: 'gre',
  50: 'esp',
  58: 'icmpv6',
  132: 'sctp',
};
const ETHERTYPES: Readonly<Record<number, string>> = {
  2048: 'ipv4',
  2054: 'arp',
  34525: 'ipv6',
};
const IP_ETHERTYPES = [2048, 34525];

export class DropEvents {
  readonly #recent: { readonly named: NamedDrop; readonly location: bigint }[] = [];
  readonly #max: number;
  readonly #names: DropNames;

  constructor(max: number, names: DropNames) {
    this.#max = max;
    this.#names = names;
  }

  /** The function is named only when it is asked for: the first name takes 0.1 s. */
  add(drop: DropRecord): void {
    const named = {
      time: new Date(wallClockMs(drop.timeNs)).toISOString(),
      reason: this.#names.dropReason(drop.reason),
      device: this.#names.dropDevice(drop),
      cpu: drop.cpu,
      protocol: protocolOf(drop),
      bytes: drop.length,
      pid: drop.pid,
      comm: drop.comm,
      ...defined({
        local_port: drop.localPort > 0 ? drop.localPort : undefined,
        remote_port: drop.remotePort > 0 ? drop.remotePort : undefined,
      }),
    };
    this.#recent.push({ named, location: drop.location });
    if (this.#recent.length > this.#max) this.#recent.shift();
  }

  /** Newest first. */
  list(): NamedDrop[] {
    return this.#recent.toReversed().map(({ named, location }) => ({
      ...named,
      ...defined({ function: this.#names.functionAt(location) }),
    }));
  }
}

function protocolOf({ ethertype, transport }: DropRecord): string {
  if (IP_ETHERTYPES.includes(ethertype)) return IP_PROTOCOLS[transport] ?? `ip ${transport}`;
  return ETHERTYPES[ethertype] ?? `ethertype 0x${ethertype.toString(16).padStart(4, '0')}`;
}
