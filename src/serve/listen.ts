// Opens the listening socket for an address in the form of Prometheus exporters: host:port,
// [v6]:port or :port. Binds one socket, never several; says what to do when it cannot.

import { lookup } from 'node:dns/promises';
import type { AddressInfo } from 'node:net';
import { Server as TlsServer } from 'node:tls';
import type { FastifyInstance } from 'fastify';

/** Listens and returns the URL, with the port that the kernel chose where the address says 0. */
export async function listen(app: FastifyInstance, address: string): Promise<string> {
  const { host, port } = parseListenAddress(address);
  const candidates = host === '' ? ANY_ADDRESS : [await resolve(host, address)];
  const scheme = app.server instanceof TlsServer ? 'https' : 'http';
  // Bound to TCP, so it is neither null nor a pipe's name.
  const bound = (): string => urlOf(scheme, app.server.address() as AddressInfo);
  for (const [i, candidate] of candidates.entries()) {
    let told = false;
    try {
      await app.listen({
        host: candidate,
        port,
        // For 0.0.0.0 fastify asks once for each address of the host, loopback's first.
        listenTextResolver: (url) => {
          const text = told ? `reachable at ${url}` : `listening on ${bound()}`;
          told = true;
          return text;
        },
      });
      break;
    } catch (error) {
      const code = codeOf(error);
      const isLast = i === candidates.length - 1;
      if (isLast || !NO_IPV6_CODES.includes(code)) throw refused(address, port, code, error);
    }
  }
  return bound();
}

export interface ListenAddress {
  /** Without brackets; '' means every address of the host. */
  readonly host: string;
  readonly port: number;
}

/** Throws a ListenError that shows the address and the forms that are understood. */
export function parseListenAddress(address: string): ListenAddress {
  const match = /^(?:\[(?<v6>[^[\]]+)\]|(?<name>[^:[\]\s/]*)):(?<port>\d{1,5})$/.exec(address);
  const port = Number(match?.groups?.port);
  if (match === null || port > PORT_MAX) throw malformed(address);
  return { host: match.groups?.v6 ?? match.groups?.name ?? '', port };
}

export class ListenError extends Error {
  /** The errno's name, or `ERR_LISTEN_ADDRESS` for an address that cannot be understood. */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ListenError';
    this.code = code;
  }
}

const PORT_MAX = 65_535;
/** A dual-stack socket where there is IPv6, as Go's servers open it; else IPv4 only. */
const ANY_ADDRESS = ['::', '0.0.0.0'];
/** What the kernel says to `::` when IPv6 is switched off at boot, or by sysctl. */
const NO_IPV6_CODES = ['EAFNOSUPPORT', 'EADDRNOTAVAIL'];

/** One address, IPv4 first: fastify would open several sockets for `localhost`. */
async function resolve(host: string, address: string): Promise<string> {
  try {
    return (await lookup(host, { order: 'ipv4first' })).address;
  } catch (error) {
    const code = codeOf(error);
    throw new ListenError(
      code,
      `cannot listen on ${address}: ${code}\n` +
        `  The name ${host} has no address that this host can find.\n` +
        '  Give an address instead, such as 127.0.0.1:10750, with --web.listen-address.',
      { cause: error },
    );
  }
}

function refused(address: string, port: number, code: string, cause: unknown): ListenError {
  const [why, what] = advice(port)[code] ?? [
    cause instanceof Error ? cause.message : String(cause),
    'Choose another address with --web.listen-address.',
  ];
  const message = `cannot listen on ${address}: ${code}\n  ${why}\n  ${what}`;
  return new ListenError(code, message, { cause });
}

function advice(port: number): Readonly<Record<string, readonly [why: string, what: string]>> {
  return {
    EADDRINUSE: [
      `Another process listens there; \`ss -ltnp 'sport = :${port}'\` shows which.`,
      'Stop it, or choose another address with --web.listen-address.',
    ],
    EACCES: [
      'Ports below net.ipv4.ip_unprivileged_port_start (1024) need CAP_NET_BIND_SERVICE.',
      'Choose a port from 1024 on with --web.listen-address, or grant that capability.',
    ],
    EADDRNOTAVAIL: [
      'No interface of this host has that address; `ip address` shows those there are.',
      'Choose one of them, 127.0.0.1 or all (:PORT) with --web.listen-address.',
    ],
  };
}

function malformed(address: string): ListenError {
  return new ListenError(
    'ERR_LISTEN_ADDRESS',
    `cannot listen on ${JSON.stringify(address)}: not an address with a port\n` +
      `  Expected HOST:PORT, [IPV6]:PORT or :PORT, with a port from 0 to ${PORT_MAX}.\n` +
      '  For example --web.listen-address=127.0.0.1:10750 or --web.listen-address=[::1]:10750.',
  );
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
}

function urlOf(scheme: string, { address, port }: AddressInfo): string {
  return `${scheme}://${address.includes(':') ? `[${address}]` : address}:${port}`;
}
