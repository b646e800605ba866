// Arithmetic on latency histograms: decode, merge, quantiles, and their two Prometheus forms.
// Pure: no clock, no I/O. Interpolates inside a bucket as Prometheus does, so both agree.

import { BUCKETS, boundSeconds, FIRST_INDEX, SCHEMA } from './bounds.ts';

export interface Histogram {
  /** Observations of each bucket of bounds.ts, not cumulated; BUCKETS long. */
  readonly counts: Float64Array;
  sumNs: number;
  /** Observations longer than the probe's budget, counted exactly by the kernel. */
  overBudget: number;
}

export function emptyHistogram(): Histogram {
  return { counts: new Float64Array(BUCKETS), sumNs: 0, overBudget: 0 };
}

/**
 * The little-endian u64 at `words[wordOffset]`: exact up to 2^53, the nearest double above.
 * A counter takes years to get there, and a BigInt would cost ten times as much.
 */
export function readU64(words: Uint32Array, wordOffset: number): number {
  return (words[wordOffset] ?? 0) + (words[wordOffset + 1] ?? 0) * 0x1_0000_0000;
}

/** Adds one histogram to another, such as that of the next CPU. */
export function merge(into: Histogram, from: Histogram): void {
  for (let i = 0; i < BUCKETS; i++) {
    into.counts[i] = (into.counts[i] ?? 0) + (from.counts[i] ?? 0);
  }
  into.sumNs += from.sumNs;
  into.overBudget += from.overBudget;
}

/** The number of observations: always the sum of the buckets of the same read. */
export function count(h: Histogram): number {
  let total = 0;
  for (let i = 0; i < BUCKETS; i++) total += h.counts[i] ?? 0;
  return total;
}

/**
 * The q-quantile in seconds, NaN when empty, as `histogram_quantile` of Prometheus 2.x computes it
 * for the native form: the bucket that holds rank q · count, linearly between its bounds.
 *
 * Prometheus 3 interpolates exponentially inside a bucket (lower · (upper/lower)^fraction); both
 * lie in the same bucket, so they differ by less than its width of 9.05 %. The zero bucket begins
 * at 0 here; Prometheus 2 takes -2^-24 s for a histogram in which it is the only bucket, and no
 * latency is negative. Later 2.x and 3 count the upper half from above, which moves the last bits.
 */
export function quantile(h: Histogram, q: number): number {
  if (q < 0) return -Infinity;
  if (q > 1) return Infinity;
  const total = count(h);
  if (total === 0 || Number.isNaN(q)) return NaN;

  const rank = q * total;
  let below = 0;
  let last = 0;
  for (let i = 0; i < BUCKETS; i++) {
    const inBucket = h.counts[i] ?? 0;
    // An empty bucket holds no rank, not even rank 0: the lowest observation is in the next one.
    if (inBucket === 0) continue;
    last = i;
    if (below + inBucket >= rank) {
      const lower = lowerBound(i);
      return lower + (boundSeconds(i) - lower) * ((rank - below) / inBucket);
    }
    below += inBucket;
  }
  // Counts above 2^53 do not add up exactly: the rank may lie just beyond the last observation.
  return boundSeconds(last);
}

const FINE_IN_COARSE = 2 ** SCHEMA;

/** Every eighth bound, 2^-24 s to 2^4 s: an exact subset of the native bounds. */
export const CLASSIC_BOUNDS: readonly number[] = Array.from(
  { length: (BUCKETS - 1) / 2 ** SCHEMA + 1 },
  (_, i) => boundSeconds(i * 2 ** SCHEMA),
);

/**
 * The metrics model's ClassicBuckets: one bucket a power of two. That of +Inf is always empty,
 * for nothing above 16 s is observed.
 */
export function toClassic(h: Histogram): { bounds: readonly number[]; counts: Float64Array } {
  const fine = h.counts;
  const counts = new Float64Array(CLASSIC_BOUNDS.length + 1);
  counts[0] = fine[0] ?? 0;
  // Upper-inclusive: fine bucket 8·j is the last one of coarse bucket j.
  let i = 1;
  for (let coarse = 1; coarse < CLASSIC_BOUNDS.length; coarse++) {
    let sum = 0;
    for (const end = i + FINE_IN_COARSE; i < end; i++) sum += fine[i] ?? 0;
    counts[coarse] = sum;
  }
  return { bounds: CLASSIC_BOUNDS, counts };
}

/**
 * The metrics model's NativeBuckets: all buckets, exactly. The counts are a view of the histogram,
 * so encode them before adding to it.
 */
export function toNative(h: Histogram): {
  schema: number;
  zeroThreshold: number;
  zeroCount: number;
  firstIndex: number;
  counts: Float64Array;
} {
  return {
    schema: SCHEMA,
    zeroThreshold: boundSeconds(0),
    zeroCount: h.counts[0] ?? 0,
    firstIndex: FIRST_INDEX + 1,
    counts: h.counts.subarray(1),
  };
}

function lowerBound(i: number): number {
  return i === 0 ? 0 : boundSeconds(i - 1);
}
