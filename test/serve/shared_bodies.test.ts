// The encoders here count their calls; what the real ones write is tested with them.

import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { Encoder } from '../../src/metrics/negotiate.ts';
import { sharedBodies } from '../../src/serve/shared_bodies.ts';
import { SNAPSHOT } from './harness.ts';

function countingEncoder(contentType: string): Encoder & { calls: number } {
  const encoder = {
    contentType,
    calls: 0,
    encode: () => {
      encoder.calls++;
      // A view into a larger buffer, as a protobuf writer returns it.
      return new TextEncoder().encode(`..${contentType}..`).subarray(2, 2 + contentType.length);
    },
  };
  return encoder;
}

describe('sharedBodies', () => {
  test('encodes and compresses each format once for all who ask at the same time', async () => {
    const bodies = sharedBodies([...SNAPSHOT]);
    const text = countingEncoder('text/plain');
    const protobuf = countingEncoder('application/x-protobuf');
    const [plain, again, gzipped, gzippedAgain, other] = await Promise.all([
      bodies.plain(text),
      bodies.plain(text),
      bodies.gzipped(text),
      bodies.gzipped(text),
      bodies.plain(protobuf),
    ]);
    expect(plain.toString()).toBe('text/plain');
    expect(again).toBe(plain);
    expect(gunzipSync(gzipped)).toEqual(plain);
    expect(gzippedAgain).toBe(gzipped);
    expect(other.toString()).toBe('application/x-protobuf');
    expect([text.calls, protobuf.calls]).toEqual([1, 1]);
  });

  test('hands an encoder’s failure to everybody who asked for that format', async () => {
    const bodies = sharedBodies([...SNAPSHOT]);
    const encoder: Encoder = {
      contentType: 'text/plain',
      encode: () => {
        throw new Error('cannot encode');
      },
    };
    await expect(bodies.plain(encoder)).rejects.toThrow('cannot encode');
    await expect(bodies.gzipped(encoder)).rejects.toThrow('cannot encode');
  });
});
