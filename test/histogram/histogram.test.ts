// Properties of the histogram arithmetic on raw latencies, which the histogram itself never sees.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { boundSeconds, bucketOf } from '../../src/histogram/bounds.ts';
import {
  CLASSIC_BOUNDS,
  count,
  emptyHistogram,
  type Histogram,
  merge,
  quantile,
  readU64,
  toClassic,
  toNative,
} from '../../src/histogram/histogram.ts';
import type { ClassicBuckets, NativeBuckets } from '../../src/metrics/model.ts';

function histogramOf(latenciesNs: readonly number[]): Histogram {
  const h = emptyHistogram();
  for (const ns of latenciesNs) {
    const bucket = bucketOf(ns);
    if (bucket === undefined) throw new Error(`${ns} ns is no latency`);
    h.counts[bucket] = (h.counts[bucket] ?? 0) + 1;
    h.sumNs += ns;
    if (ns > 100_000) h.overBudget += 1;
  }
  return h;
}

function merged(...histograms: readonly Histogram[]): Histogram {
  const into = emptyHistogram();
  for (const h of histograms) merge(into, h);
  return into;
}

/** Latencies of every magnitude, from 0 ns to 16 s. */
const latencyNs = fc
  .tuple(fc.integer({ min: 0, max: 33 }), fc.double({ min: 0, max: 2, noNaN: true }))
  .map(([octave, mantissa]) => Math.min(16_000_000_000, Math.floor(2 ** octave * mantissa)));
const latenciesNs = fc.array(latencyNs, { minLength: 1, maxLength: 307 });

describe('decode', () => {
  test('reads any counter below 2^53 exactly', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (n) => {
        const words = new Uint32Array(new BigUint64Array([7n, BigInt(n)]).buffer);
        expect(readU64(words, 2)).toBe(n);
      }),
    );
  });
});

describe('merge', () => {
  test('is commutative and associative', () => {
    fc.assert(
      fc.property(latenciesNs, latenciesNs, latenciesNs, (a, b, c) => {
        const [ha, hb, hc] = [histogramOf(a), histogramOf(b), histogramOf(c)];
        expect(merged(ha, hb)).toEqual(merged(hb, ha));
        expect(merged(merged(ha, hb), hc)).toEqual(merged(ha, merged(hb, hc)));
      }),
    );
  });

  test('is the histogram of all observations together', () => {
    fc.assert(
      fc.property(latenciesNs, latenciesNs, (a, b) => {
        expect(merged(histogramOf(a), histogramOf(b))).toEqual(histogramOf([...a, ...b]));
      }),
    );
  });
});

describe('forms', () => {
  test('the classic bounds are every eighth native bound, 2^-24 s to 16 s', () => {
    expect(CLASSIC_BOUNDS).toEqual(Array.from({ length: 29 }, (_, i) => 2 ** (i - 24)));
  });

  test('both forms conserve the count', () => {
    fc.assert(
      fc.property(latenciesNs, (raw) => {
        const h = histogramOf(raw);
        const native: NativeBuckets = toNative(h);
        const classic: ClassicBuckets = toClassic(h);
        expect(count(h)).toBe(raw.length);
        expect(sum(classic.counts)).toBe(raw.length);
        expect(native.zeroCount + sum(native.counts)).toBe(raw.length);
      }),
    );
  });

  test('a classic bucket holds exactly the observations between its bounds', () => {
    fc.assert(
      fc.property(latenciesNs, (raw) => {
        const { bounds, counts } = toClassic(histogramOf(raw));
        expect(counts).toHaveLength(bounds.length + 1);
        bounds.forEach((bound, i) => {
          const lower = bounds[i - 1] ?? -1;
          const expected = raw.filter((ns) => ns / 1e9 > lower && ns / 1e9 <= bound).length;
          expect(counts[i]).toBe(expected);
        });
        expect(counts[bounds.length]).toBe(0);
      }),
    );
  });

  test('a native bucket of index k holds exactly the observations in (2^((k-1)/8), 2^(k/8)] s', () => {
    fc.assert(
      fc.property(latenciesNs, (raw) => {
        const native = toNative(histogramOf(raw));
        expect(native).toMatchObject({ schema: 3, zeroThreshold: 2 ** -24, firstIndex: -191 });
        expect(native.counts).toHaveLength(224);
        expect(native.zeroCount).toBe(raw.filter((ns) => ns / 1e9 <= 2 ** -24).length);
        for (let i = 0; i < native.counts.length; i++) {
          const k = native.firstIndex + i;
          const inside = raw.filter(
            (ns) => ns / 1e9 > 2 ** ((k - 1) / 8) && ns / 1e9 <= 2 ** (k / 8),
          );
          expect(native.counts[i]).toBe(inside.length);
        }
      }),
      { numRuns: 29 },
    );
  });
});

describe('quantile', () => {
  test('of nothing is not a number', () => {
    expect(quantile(emptyHistogram(), 0.5)).toBeNaN();
    expect(quantile(histogramOf([101]), Number.NaN)).toBeNaN();
  });

  test('outside of 0 to 1 is infinite, as in Prometheus', () => {
    expect(quantile(histogramOf([101]), -0.1)).toBe(-Infinity);
    expect(quantile(histogramOf([101]), 1.1)).toBe(Infinity);
  });

  test('interpolates linearly between the bounds of the bucket', () => {
    const h = emptyHistogram();
    h.counts[100] = 1;
    h.counts[101] = 4;
    h.counts[200] = 2;
    const [lower, upper] = [boundSeconds(100), boundSeconds(101)];
    // Rank 3.5 of 7: two and a half of the four observations of bucket 101 lie below.
    expect(quantile(h, 0.5)).toBe(lower + (upper - lower) * (2.5 / 4));
    expect(quantile(h, 1)).toBe(boundSeconds(200));
    expect(quantile(h, 0)).toBe(boundSeconds(99));
  });

  test('begins at zero in the lowest bucket, for no latency is negative', () => {
    expect(quantile(histogramOf([10, 20, 30, 40]), 0.5)).toBe(2 ** -25);
  });

  test('lies in the bucket of the exact quantile of the raw latencies', () => {
    fc.assert(
      fc.property(latenciesNs, fc.double({ min: 0, max: 1, noNaN: true }), (raw, q) => {
        const sorted = raw.toSorted((a, b) => a - b);
        const exact = sorted[Math.max(0, Math.ceil(q * raw.length) - 1)] ?? -1;
        const bucket = bucketOf(exact) ?? -1;
        const estimate = quantile(histogramOf(raw), q);
        expect(estimate).toBeGreaterThanOrEqual(bucket === 0 ? 0 : boundSeconds(bucket - 1));
        expect(estimate).toBeLessThanOrEqual(boundSeconds(bucket));
      }),
    );
  });

  test('never falls as q rises', () => {
    const unit = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(latenciesNs, unit, unit, (raw, a, b) => {
        const h = histogramOf(raw);
        expect(quantile(h, Math.min(a, b))).toBeLessThanOrEqual(quantile(h, Math.max(a, b)));
      }),
    );
  });
});

function sum(values: ArrayLike<number>): number {
  return Array.from(values).reduce((total, value) => total + value, 0);
}
