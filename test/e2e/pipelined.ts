// Requests that reach the agent in one packet: it reads all of them before it answers the first, so
// they share a gather for certain, as those of concurrent scrapers do by chance.

import { once } from 'node:events';
import { connect } from 'node:net';

/** GET /metrics once for each Accept header; the bodies in the same order. */
export async function scrapePipelined(
  url: string,
  accepts: readonly string[],
): Promise<Uint8Array[]> {
  const { hostname, port, host } = new URL(url);
  const socket = connect(Number(port), hostname);
  try {
    await once(socket, 'connect');
    socket.write(
      accepts
        .map((accept) => `GET /metrics HTTP/1.1\r\nHost: ${host}\r\nAccept: ${accept}\r\n\r\n`)
        .join(''),
    );
    let unread = Buffer.alloc(0);
    const bodies: Uint8Array[] = [];
    for await (const chunk of socket) {
      unread = Buffer.concat([unread, chunk as Buffer]);
      for (let body = nextBody(unread); body !== undefined; body = nextBody(unread)) {
        bodies.push(body);
        unread = unread.subarray(body.byteOffset - unread.byteOffset + body.length);
      }
      if (bodies.length === accepts.length) return bodies;
    }
    throw new Error(`the agent hung up after ${bodies.length} of ${accepts.length} answers`);
  } finally {
    socket.destroy();
  }
}

/** The body of the first answer; undefined while it is not complete. */
function nextBody(bytes: Buffer): Buffer | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const head = bytes.subarray(0, end).toString('latin1');
  const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1]);
  if (!head.startsWith('HTTP/1.1 200 ') || Number.isNaN(length)) {
    throw new Error(`not an answer with a length: ${head}`);
  }
  const from = end + 4;
  return bytes.length < from + length ? undefined : bytes.subarray(from, from + length);
}
