// The protocols' own counters, of the agent's network namespace: /proc/net/snmp, /proc/net/snmp6 and
// /proc/net/netstat. All of them under the kernel's names, and which of them tell of drops.
//
// snmp and netstat (net/ipv4/proc.c) have two lines a protocol, names and values; snmp6
// (net/ipv6/proc.c) has a line a counter. Which there are depends on the kernel: `Udp.MemErrors` came
// with 5.11, UDP-Lite is gone in 7.2, `IcmpMsg` and `Icmp6.InType…` name only the types that occurred,
// `MPTcpExt` is there when it is built in. Most only rise; some are settings or gauges: `Ip.Forwarding`,
// `Tcp.CurrEstab`, `Tcp.MaxConn`, which is -1.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { HOST_ROOTS, type Roots } from './roots.ts';

/** Protocol (`Udp`, `TcpExt`, `Udp6`) → counter (`RcvbufErrors`) → value. */
export type ProtocolCounters = ReadonlyMap<string, ReadonlyMap<string, number>>;

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

/**
 * The three files together: no protocol is in two of them. snmp6 may be missing, where IPv6 is off.
 * Throws when another cannot be read, or when nothing in them is understood.
 */
export function readProtocolCounters(roots: Roots = HOST_ROOTS): ProtocolCounters {
  // /proc/net leads to the namespace of the thread group's leader; none of ours leaves it.
  const folder = join(roots.proc, 'net');
  const read = (file: string): ProtocolCounters =>
    parseProtocolCounters(readFileSync(join(folder, file), 'utf8'));
  const counters = new Map([...read('snmp'), ...read('netstat'), ...ifThere(() => read('snmp6'))]);
  if (counters.size === 0) throw new Error(`${folder}/snmp: no line of it is one of a protocol`);
  return counters;
}

/** Both forms; what has neither is left out. snmp6's `Udp6RcvbufErrors` is `RcvbufErrors` of `Udp6`. */
export function parseProtocolCounters(text: string): ProtocolCounters {
  const protocols = new Map<string, Map<string, number>>();
  const set = (protocol: string, counter: string, value: string | undefined): void => {
    if (value === undefined || !/^-?\d+$/.test(value)) return;
    const counters = protocols.get(protocol);
    if (counters === undefined) protocols.set(protocol, new Map([[counter, Number(value)]]));
    else counters.set(counter, Number(value));
  };
  let names: readonly string[] = [];
  for (const line of text.split('\n')) {
    const words = line.trim().split(/\s+/);
    const [first = ''] = words;
    const protocol = /^(\w+):$/.exec(first)?.[1];
    if (protocol === undefined) {
      const [, protocol6, counter] = /^([A-Za-z]+6)(\w+)$/.exec(first) ?? [];
      if (protocol6 !== undefined && counter !== undefined) set(protocol6, counter, words[1]);
    } else if (names[0] !== first) {
      names = words;
    } else {
      for (const [at, name] of names.entries()) if (at > 0) set(protocol, name, words[at]);
      names = [];
    }
  }
  return protocols;
}

function ifThere(read: () => ProtocolCounters): ProtocolCounters {
  try {
    return read();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return new Map();
    throw error;
  }
}
