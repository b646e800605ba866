// What Prometheus' histogram_quantile makes of our classic buckets, computed apart from it. Pure.

import { expect } from 'vitest';
import { CLASSIC_BOUNDS, count, type Histogram, toClassic } from '../../src/stages/histogram.ts';

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

/** Equal but for the last bits: Prometheus has its bounds from a table, ours are powers. */
export function expectSame(theirs: number, ours: number): void {
  expect(Math.abs(theirs - ours)).toBeLessThanOrEqual(1e-12 * Math.abs(ours));
}
