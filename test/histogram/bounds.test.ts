// Holds the C bucket function and its tables to the TypeScript of bounds.ts, and that to the
// formula. Compiles bpf/bucket.h for the host: the same source that the BPF programs include.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  BUCKETS,
  boundSeconds,
  bucketOf,
  FIRST_INDEX,
  LAST_INDEX,
  thresholdsNs,
} from '../../src/histogram/bounds.ts';
import { boundsHeader } from '../../tools/generate_bounds.ts';

const bpfDir = fileURLToPath(new URL('../../bpf', import.meta.url));
const longestNs = 16_000_000_000;

describe('bounds', () => {
  test('each threshold is exactly floor(2^(k/8) · 10^9), checked without a root', () => {
    const thresholds = thresholdsNs();
    expect(thresholds).toHaveLength(BUCKETS);
    for (let k = FIRST_INDEX; k <= LAST_INDEX; k++) {
      const threshold = BigInt(thresholds[k - FIRST_INDEX] ?? -1);
      // n <= 2^(k/8) · 10^9 is n^8 · 2^(192-k') <= 10^72 · 2^(192+k-k'); both sides stay whole.
      const right = 10n ** 72n * 2n ** BigInt(192 + k);
      expect(threshold ** 8n * 2n ** 192n <= right).toBe(true);
      expect((threshold + 1n) ** 8n * 2n ** 192n > right).toBe(true);
    }
  });

  test('the ends are 59 ns and 16 s, and whole powers of two are exact', () => {
    expect(thresholdsNs()[0]).toBe(59);
    expect(thresholdsNs().at(-1)).toBe(longestNs);
    expect(thresholdsNs()[192]).toBe(1_000_000_000);
    expect(boundSeconds(0)).toBe(2 ** -24);
    expect(boundSeconds(BUCKETS - 1)).toBe(16);
  });

  test('a latency lies in its bucket: at most the bound, above the bound before', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: longestNs }), (ns) => {
        const bucket = bucketOf(ns) ?? -1;
        expect(ns).toBeLessThanOrEqual(thresholdsNs()[bucket] ?? -1);
        expect(ns).toBeGreaterThan(thresholdsNs()[bucket - 1] ?? -1);
      }),
    );
  });

  test.each([-1, longestNs + 1, Number.MAX_SAFE_INTEGER, Number.NaN, Infinity])(
    '%d ns is no latency and has no bucket',
    (ns) => {
      expect(bucketOf(ns)).toBeUndefined();
    },
  );

  test('bpf/bounds.gen.h is what generate_bounds prints', () => {
    const onDisk = readFileSync(join(bpfDir, 'bounds.gen.h'), 'utf8');
    expect(
      onDisk === boundsHeader(),
      'run: npx tsx tools/generate_bounds.ts > bpf/bounds.gen.h',
    ).toBe(true);
  });
});

describe('bpf/bucket.h', () => {
  let dir = '';
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'rxscope-bucket-'));
    writeFileSync(join(dir, 'harness.c'), HARNESS);
    execFileSync(
      'cc',
      ['-O2', '-Wall', '-Wextra', '-Werror', `-I${bpfDir}`, '-o', 'harness', 'harness.c'],
      {
        cwd: dir,
      },
    );
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  function bucketsInC(values: readonly number[]): number[] {
    const input = values.map((ns) => `${ns}\n`).join('');
    const output = execFileSync(join(dir, 'harness'), { input, encoding: 'utf8' });
    return output.trimEnd().split('\n').map(Number);
  }

  test('agrees with bucketOf one below, at and one above every threshold', () => {
    const values = thresholdsNs()
      .flatMap((ns) => [ns - 1, ns, ns + 1])
      .filter((ns) => ns <= longestNs);
    expect(bucketsInC(values)).toEqual(values.map(bucketOf));
  });

  test('agrees with bucketOf at every cell border of the first-guess table', () => {
    const values = [0];
    for (let octave = 0; octave < 34; octave++) {
      for (let m = 16; m < 32; m++) {
        const border = Math.ceil((2 ** octave * m) / 16);
        values.push(border - 1, border, border + 1);
      }
    }
    const latencies = values.filter((ns) => ns <= longestNs);
    expect(bucketsInC(latencies)).toEqual(latencies.map(bucketOf));
  });

  test('agrees with bucketOf for every latency up to 70,001 ns', () => {
    const values = Array.from({ length: 70_001 }, (_, ns) => ns);
    expect(bucketsInC(values)).toEqual(values.map(bucketOf));
  });

  test('agrees with bucketOf for random latencies of every magnitude', () => {
    const latency = fc
      .tuple(fc.integer({ min: 0, max: 33 }), fc.double({ min: 1, max: 2, noNaN: true }))
      .map(([octave, mantissa]) => Math.min(longestNs, Math.floor(2 ** octave * mantissa)));
    fc.assert(
      fc.property(fc.array(latency, { minLength: 1009, maxLength: 1009 }), (values) => {
        expect(bucketsInC(values)).toEqual(values.map(bucketOf));
      }),
      { numRuns: 23 },
    );
  });

  test('never leaves the histogram, whatever it is asked', () => {
    const values = [];
    for (let bit = 34; bit < 64; bit++)
      values.push(`${2n ** BigInt(bit)}`, `${2n ** BigInt(bit) - 1n}`);
    values.push(`${2n ** 64n - 1n}`);
    const output = execFileSync(join(dir, 'harness'), {
      input: values.join('\n'),
      encoding: 'utf8',
    });
    const buckets = output.trimEnd().split('\n').map(Number);
    expect(buckets).toHaveLength(values.length);
    expect(Math.max(...buckets)).toBeLessThan(BUCKETS);
  });

  test('compiles for BPF without a warning', () => {
    writeFileSync(join(dir, 'probe.bpf.c'), BPF_PROGRAM);
    const flags = [
      '-O2',
      '-Wall',
      '-Wextra',
      '-Werror',
      '-target',
      'bpf',
      '-mcpu=v3',
      `-I${bpfDir}`,
    ];
    execFileSync('clang', [...flags, '-c', 'probe.bpf.c', '-o', 'probe.bpf.o'], { cwd: dir });
  });
});

const TYPES = `
typedef unsigned int __u32;
typedef unsigned long long __u64;
#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#include "bucket.h"
`;

const HARNESS = `
#include <stdio.h>
${TYPES}
int main(void)
{
	__u64 ns;

	while (scanf("%llu", &ns) == 1)
		printf("%u\\n", rxscope_bucket(ns));
	return 0;
}
`;

const BPF_PROGRAM = `
${TYPES}
__u64 counts[RXSCOPE_BUCKETS];

__attribute__((section("raw_tp/sys_enter"))) int probe(__u64 *ctx)
{
	counts[rxscope_bucket(*ctx)]++;
	return 0;
}
`;
