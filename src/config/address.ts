// The address that the agent listens on: HOST:PORT, [IPV6]:PORT or :PORT. Pure: no look-up of names.

import { isIPv4, isIPv6 } from 'node:net';

export interface ListenAddress {
  /** An address or a name; empty for all interfaces, which is how Node's `listen` takes it too. */
  readonly host: string;
  /** 0 lets the kernel choose. */
  readonly port: number;
}

/** What `parseAddress` accepts, for messages. */
export const ADDRESS_SYNTAX =
  'HOST:PORT, [IPV6]:PORT or :PORT (all interfaces) with a port from 0 to 65535';

/** Undefined when the text is no address to listen on. */
export function parseAddress(text: string): ListenAddress | undefined {
  const parts = /^(?:\[(?<v6>[^\]]*)\]|(?<host>[^:[\]]*)):(?<port>\d{1,5})$/.exec(text)?.groups;
  if (parts === undefined) return undefined;
  const host = parts.v6 ?? parts.host ?? '';
  const port = Number(parts.port);
  const hostIsGood = parts.v6 !== undefined ? isIPv6(host) : host === '' || isHost(host);
  return hostIsGood && port <= 65_535 ? { host, port } : undefined;
}

export function formatAddress(address: ListenAddress): string {
  return `${isIPv6(address.host) ? `[${address.host}]` : address.host}:${address.port}`;
}

/** Digits and dots alone are meant as IPv4: 999.0.0.1 and 127.1 are no names. */
function isHost(text: string): boolean {
  return /^[\d.]+$/.test(text)
    ? isIPv4(text)
    : /^[a-z\d_]([a-z\d._-]*[a-z\d_])?\.?$/i.test(text) && text.length <= 253;
}
