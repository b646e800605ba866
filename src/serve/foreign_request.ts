// Whether a request comes from a page of somebody else's in a browser, which could read here what only
// this host, or this network, can reach. Pure. Scrapers and curl send none of these headers but Host.

import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import { hostname } from 'node:os';

export interface Refusal {
  readonly status: number;
  readonly why: string;
}

/**
 * Why the request must go unanswered, or undefined. `loopbackOnly`: the server listens on a loopback address
 * alone, so that no name but localhost, and this host's own, can be meant.
 */
export function foreignRequest(
  { method = '', httpVersion, headers }: Asked,
  loopbackOnly: boolean,
): Refusal | undefined {
  const { host, origin } = headers;
  if (host === undefined && httpVersion === '1.1') {
    return { status: 400, why: 'A request of HTTP/1.1 needs a Host header.\n' };
  }
  if (loopbackOnly && host !== undefined && !isOwnName(nameOf(host))) {
    return { status: 421, why: hostText(host) };
  }
  if (origin !== undefined && !isOrigin(origin, host)) {
    return { status: 403, why: `${pagesText(`Origin: ${shown(origin)}`)}` };
  }
  const site = headers['sec-fetch-site'];
  if (site === undefined || site === 'same-origin' || site === 'none') return undefined;
  // Somebody follows a link to here, from Prometheus' list of targets for instance: the page that has the
  // link does not see the answer.
  const isLink =
    headers['sec-fetch-mode'] === 'navigate' &&
    headers['sec-fetch-dest'] === 'document' &&
    (method === 'GET' || method === 'HEAD');
  return isLink ? undefined : { status: 403, why: pagesText(`Sec-Fetch-Site: ${shown(site)}`) };
}

interface Asked {
  readonly method?: string | undefined;
  readonly httpVersion: string;
  readonly headers: IncomingHttpHeaders;
}

/** 127.0.0.0/8 and ::1, also as Linux shows IPv4 on a socket of IPv6. */
export function isLoopback(address: string): boolean {
  return address === '::1' || /^(::ffff:)?127\./.test(address);
}

/** Without the port and without brackets, in small letters; a dot at the end means nothing. */
function nameOf(host: string): string {
  const [, bracketed, plain = ''] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(host) ?? [];
  return (bracketed ?? plain).toLowerCase().replace(/\.$/, '');
}

/** What no resolver that belongs to somebody else can give another address. */
function isOwnName(name: string): boolean {
  return (
    isIP(name) !== 0 ||
    // 127.1 and 0x7f.1, as browsers and curl read them: a name cannot end in a number.
    /^([\da-fx]+\.)*(\d+|0x[\da-f]+)$/.test(name) ||
    name === 'localhost' ||
    name.endsWith('.localhost') ||
    name === hostname().toLowerCase()
  );
}

/** The one that a page of this very server has. A proxy may have changed the scheme on the way. */
function isOrigin(origin: string, host: string | undefined): boolean {
  const [, scheme, authority] = /^(https?):\/\/([^/?#@\s]+)$/i.exec(origin) ?? [];
  if (scheme === undefined || authority === undefined || host === undefined) return false;
  const port = scheme.toLowerCase() === 'https' ? /:443$/ : /:80$/;
  return authority.toLowerCase().replace(port, '') === host.toLowerCase().replace(port, '');
}

function hostText(host: string): string {
  return (
    `This agent listens on loopback only, where ${shown(host)} cannot be its name.\n` +
    'Ask for an address such as 127.0.0.1, or for localhost; behind a proxy, let that send such a Host.\n' +
    'Other names could lead here from a page of somebody else in a browser.\n'
  );
}

function pagesText(header: string): string {
  return `Pages of other origins cannot read this agent (${header}).\n`;
}

function shown(value: string | string[]): string {
  return JSON.stringify(String(value).slice(0, 100));
}
