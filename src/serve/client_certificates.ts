// Whether a client's certificate lets it in, by the policies of Go's crypto/tls and the names that are
// allowed. The chain was verified by OpenSSL in the handshake; here is decided what follows from it.

import { isIP, SocketAddress } from 'node:net';
import type { TLSSocket } from 'node:tls';

export interface ClientRules {
  readonly clients: {
    /** The server asks for a certificate. */
    readonly asked: boolean;
    /** There must be one. */
    readonly required: boolean;
    /** The one that is there must come from an authority that is trusted. */
    readonly verified: boolean;
  };
  /** One of the certificate's alternative names must be among these; undefined: any will do. */
  readonly allowedSans: readonly string[] | undefined;
}

/** Why the client must go, or undefined when it may stay. */
export function clientRefusal(
  socket: Pick<TLSSocket, 'authorized' | 'authorizationError' | 'getPeerX509Certificate'>,
  { clients, allowedSans }: ClientRules,
): string | undefined {
  if (!clients.asked) return undefined;
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return clients.required ? 'no client certificate' : undefined;
  if (clients.verified && !socket.authorized) {
    return `client certificate not verified: ${socket.authorizationError}`;
  }
  if (allowedSans === undefined) return undefined;
  const names = alternativeNames(certificate.subjectAltName);
  const allowed = new Set(allowedSans.map(canonical));
  return names.some((name) => allowed.has(name)) ? undefined : 'no allowed name in the certificate';
}

/**
 * The names in Node's text for a subjectAltName: `DNS:a, IP Address:0:0:0:0:0:0:0:1, URI:"b, c"`. Those
 * with a comma or a quote in them are JSON strings: nobody smuggles in a second name.
 */
export function alternativeNames(text: string | undefined): string[] {
  const names: string[] = [];
  for (const [, kind = '', quoted, plain = ''] of (text ?? '').matchAll(NAME)) {
    const value = quoted === undefined ? plain : unquoted(quoted);
    if (value !== undefined && KINDS.includes(kind)) names.push(canonical(value));
  }
  return names;
}

const KINDS = ['DNS', 'IP Address', 'URI', 'email'];
const NAME = /(?:^|, )([A-Za-z ]+):(?:("(?:[^"\\]|\\.)*")|([^,"]*))(?=, |$)/gy;

function unquoted(json: string): string | undefined {
  try {
    return JSON.parse(json) as string;
  } catch {
    return undefined;
  }
}

/** OpenSSL writes IPv6 addresses out in full, people and Go do not. */
function canonical(name: string): string {
  return isIP(name) === 6 ? new SocketAddress({ address: name, family: 'ipv6' }).address : name;
}
