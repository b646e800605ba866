// Latency histograms with a bucket for each power of two of a nanosecond, as bpftrace counts them.
// Pure. They are never turned into the finer buckets of histogram.ts: nobody knows what lies inside.

export interface CoarseHistogram {
  /** One for each bound, and one for what lies above the last. Not cumulated. */
  readonly counts: Float64Array;
  sumNs: number;
}

/** 2^6 ns: nothing in a kernel's receive path is shorter. */
const FIRST_POWER = 6;
/** 2^31 ns: bpftrace 0.17 prints wrong bounds above it. */
const LAST_POWER = 31;

/** Upper bounds in seconds, inclusive. They are not those of native histograms, off by 7 %. */
export const COARSE_BOUNDS: readonly number[] = Array.from(
  { length: LAST_POWER - FIRST_POWER + 1 },
  (_, i) => 2 ** (FIRST_POWER + i) / 1e9,
);

export function emptyCoarse(): CoarseHistogram {
  return { counts: new Float64Array(COARSE_BOUNDS.length + 1), sumNs: 0 };
}

/** The bucket whose observations are at most `ns`, a power of two; Infinity for the last. */
export function coarseBucket(ns: number): number {
  const power = Math.ceil(Math.log2(Math.max(1, ns)));
  return Math.min(Math.max(power - FIRST_POWER, 0), COARSE_BOUNDS.length);
}

export function coarseCount({ counts }: CoarseHistogram): number {
  return counts.reduce((sum, n) => sum + n, 0);
}

export function mergeCoarse(into: CoarseHistogram, from: CoarseHistogram): void {
  for (const [i, n] of from.counts.entries()) into.counts[i] = (into.counts[i] ?? 0) + n;
  into.sumNs += from.sumNs;
}
