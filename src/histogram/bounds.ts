// The bucket bounds of every latency histogram: those of Prometheus native histograms, schema 3.
// bpf/bounds.gen.h is generated from this file; a test holds the two together.

/** Prometheus native histogram schema: 2^3 buckets per power of two. */
export const SCHEMA = 3;
/** Index of the lowest bound: 2^(-192/8) s = 2^-24 s, about 60 ns. */
export const FIRST_INDEX = -192;
/** Index of the highest bound: 2^(32/8) s = 16 s. What lies beyond is no latency but a fault. */
export const LAST_INDEX = 32;
/** Number of counters in a histogram: the zero bucket (up to 2^-24 s) and 224 above it. */
export const BUCKETS = LAST_INDEX - FIRST_INDEX + 1;

/** Upper bound of bucket `i` (0 … BUCKETS-1) in seconds: 2^(k/8). Upper-inclusive. */
export function boundSeconds(i: number): number {
  return 2 ** ((FIRST_INDEX + i) / 2 ** SCHEMA);
}

const THRESHOLDS_NS: readonly number[] = Array.from({ length: BUCKETS }, (_, i) =>
  thresholdNs(FIRST_INDEX + i),
);

/**
 * The largest whole number of nanoseconds that each bucket takes: floor(2^(k/8) · 10^9), exactly.
 * A latency is a whole number of nanoseconds, so comparing with these loses nothing.
 */
export function thresholdsNs(): readonly number[] {
  return THRESHOLDS_NS;
}

/**
 * The bucket of a latency: the lowest `i` with `ns <= thresholdsNs()[i]`.
 * Undefined for what is no latency: negative, not a number, above 16 s. It is never clamped.
 */
export function bucketOf(ns: number): number | undefined {
  if (!(ns >= 0 && ns <= (THRESHOLDS_NS[BUCKETS - 1] ?? 0))) return undefined;
  let low = 0;
  let high = BUCKETS - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ns <= (THRESHOLDS_NS[middle] ?? 0)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The integer eighth root of 2^k · 10^72. A float is off by one now and then; this is not. */
function thresholdNs(k: number): number {
  // The floor of a quotient is enough: n^8 <= x and n^8 <= floor(x) are the same for a whole n.
  const power = k < 0 ? (10n ** 72n) >> BigInt(-k) : (10n ** 72n) << BigInt(k);
  let root = BigInt(Math.round(2 ** (k / 2 ** SCHEMA) * 1e9));
  while (root ** 8n > power) root -= 1n;
  while ((root + 1n) ** 8n <= power) root += 1n;
  return Number(root);
}
