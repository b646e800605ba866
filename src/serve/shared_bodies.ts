// The response bodies of one snapshot: each format is encoded once and compressed once, however
// many scrapes share the gather. Lives as long as the snapshot; nothing is kept between gathers.

import { promisify } from 'node:util';
import { constants, gzip } from 'node:zlib';
import type { Snapshot } from '../metrics/model.ts';
import type { Encoder } from '../metrics/negotiate.ts';

export interface SharedBodies {
  plain(encoder: Encoder): Promise<Buffer>;
  gzipped(encoder: Encoder): Promise<Buffer>;
}

const bodiesOf = new WeakMap<Snapshot, SharedBodies>();

export function sharedBodies(snapshot: Snapshot): SharedBodies {
  const known = bodiesOf.get(snapshot);
  if (known !== undefined) return known;
  const bodies = makeBodies(snapshot);
  bodiesOf.set(snapshot, bodies);
  return bodies;
}

function makeBodies(snapshot: Snapshot): SharedBodies {
  const plainBodies = new Map<string, Promise<Buffer>>();
  const gzippedBodies = new Map<string, Promise<Buffer>>();

  const plain = (encoder: Encoder) =>
    once(plainBodies, encoder.contentType, async () => asBuffer(encoder.encode(snapshot)));
  const gzipped = (encoder: Encoder) =>
    once(gzippedBodies, encoder.contentType, async () => compress(await plain(encoder)));
  return { plain, gzipped };
}

/** In libuv's thread pool, so that the event loop goes on. */
function compress(body: Buffer): Promise<Buffer> {
  return gzipAsync(body, { level: constants.Z_BEST_SPEED });
}

const gzipAsync = promisify<Buffer, { level: number }, Buffer>(gzip);

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function once<T>(made: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  let value = made.get(key);
  if (value === undefined) {
    value = make();
    made.set(key, value);
  }
  return value;
}
