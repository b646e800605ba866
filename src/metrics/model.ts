// The snapshot that one gather yields and every encoder reads: families of samples, plain data.
// Nothing here knows a text format, the kernel or prom-client.

import type { Labels } from '../readings/named_reading.ts';

export type { Labels };

/** One observation that stands for its bucket: how an outlier reaches OpenMetrics and protobuf. */
export interface Exemplar {
  /** At most 128 characters of names and values together (OpenMetrics 1.0.0, "Exemplars"). */
  readonly labels: Labels;
  /** In the family's base unit (seconds). */
  readonly value: number;
  /** Wall-clock time of the observation, milliseconds since 1970. */
  readonly timestampMs: number;
}

/** A classic histogram: `counts[i]` observations lie in `(bounds[i-1], bounds[i]]`, not cumulated. */
export interface ClassicBuckets {
  /** Upper bounds, ascending, without +Inf. */
  readonly bounds: readonly number[];
  /** One longer than `bounds`: the last count is that of +Inf. */
  readonly counts: ArrayLike<number>;
}

/**
 * A Prometheus native histogram with standard exponential buckets: bucket `firstIndex + i` holds
 * `counts[i]` observations in `(2^((k-1)/2^schema), 2^(k/2^schema)]`, k being that index.
 */
export interface NativeBuckets {
  readonly schema: number;
  readonly zeroThreshold: number;
  readonly zeroCount: number;
  readonly firstIndex: number;
  readonly counts: ArrayLike<number>;
}

export interface ScalarSample {
  readonly labels: Labels;
  readonly value: number;
}

export interface HistogramSample {
  readonly labels: Labels;
  /** Sum of the observations in the family's base unit. */
  readonly sum: number;
  /** The number of observations: always the sum of the counts of the same read. */
  readonly count: number;
  readonly classic: ClassicBuckets;
  readonly native?: NativeBuckets;
  readonly exemplars?: readonly Exemplar[];
}

export interface ScalarFamily {
  readonly type: 'counter' | 'gauge';
  /** The full name as in text 0.0.4: a counter's ends in `_total`. */
  readonly name: string;
  readonly help: string;
  readonly samples: readonly ScalarSample[];
}

export interface HistogramFamily {
  readonly type: 'histogram';
  readonly name: string;
  readonly help: string;
  readonly samples: readonly HistogramSample[];
}

export type Family = ScalarFamily | HistogramFamily;

/** What one gather yields. A name occurs once; a label set occurs once in its family. */
export type Snapshot = readonly Family[];
