// What Prometheus' histogram_quantile makes of our buckets, computed apart from it: of classic ones, and of
// native ones in each version. Pure.

import { expect } from 'vitest';
import { BUCKETS, boundSeconds } from '../../src/histogram/bounds.ts';
import {
  CLASSIC_BOUNDS,
  count,
  type Histogram,
  quantile,
  toClassic,
} from '../../src/histogram/histogram.ts';

/** Linear in one bucket a power of two, from 0 up. */
export function classicQuantile(histogram: Histogram, q: number): number {
  const { counts } = toClassic(histogram);
  const rank = q * count(histogram);
  let below = 0;
  for (let i = 0; i < CLASSIC_BOUNDS.length; i++) {
    const inBucket = counts[i] ?? 0;
    const upper = CLASSIC_BOUNDS[i] ?? Number.NaN;
    const lower = CLASSIC_BOUNDS[i - 1] ?? 0;
    if (below + inBucket >= rank) return lower + (upper - lower) * ((rank - below) / inBucket);
    below += inBucket;
  }
  return Number.NaN;
}

/** Of native histograms: linear in a bucket up to Prometheus 2, exponential from 3 on. */
export function nativeQuantile({
  major,
}: {
  readonly major: number;
}): (histogram: Histogram, q: number) => number {
  return major < 3 ? quantile : exponentialQuantile;
}

/** A rank half-way through a bucket is the geometric mean of its bounds; the zero bucket stays linear. */
function exponentialQuantile(histogram: Histogram, q: number): number {
  const rank = q * count(histogram);
  let below = 0;
  for (let i = 0; i < BUCKETS; i++) {
    const inBucket = histogram.counts[i] ?? 0;
    if (inBucket > 0 && below + inBucket >= rank) {
      const share = (rank - below) / inBucket;
      const upper = boundSeconds(i);
      if (i === 0) return upper * share;
      const lower = boundSeconds(i - 1);
      return lower * (upper / lower) ** share;
    }
    below += inBucket;
  }
  return Number.NaN;
}

/** Equal but for the last bits: Prometheus has its bounds from a table, ours are powers. */
export function expectSame(theirs: number, ours: number): void {
  expect(Math.abs(theirs - ours)).toBeLessThanOrEqual(1e-12 * Math.abs(ours));
}
