// Arithmetic on the samples of the model, whatever their type: key, size, sum, order.
// Pure. Knows no family and no cap.

import { emptyHistogram, toClassic } from '../stages/histogram.ts';
import type { HistogramSample, Labels, NativeBuckets, ScalarSample } from './model.ts';

export type Sample = ScalarSample | HistogramSample;

/** Series of a latency's label set: buckets, +Inf, sum and count. */
export const SERIES_OF_A_LATENCY = toClassic(emptyHistogram()).bounds.length + 3;

/** The same for the same labels in the same order, and for no others. */
export function keyOf(labels: Labels): string {
  let key = '';
  for (const name in labels) key += `${labels[name] ?? ''}\0`;
  return key;
}

/** Series of one sample in text 0.0.4: a histogram has its buckets, +Inf, sum and count. */
export function seriesOf(sample: Sample): number {
  return isHistogram(sample) ? sample.classic.bounds.length + 3 : 1;
}

/** What samples of a family are ordered by: the value, or the number of observations. */
export function weightOf(sample: Sample): number {
  return isHistogram(sample) ? sample.count : sample.value;
}

/** Has any of its counts fallen since? Then it is another one by the same labels, begun anew. */
export function hasFallen(last: Sample, now: Sample): boolean {
  if (weightOf(now) < weightOf(last)) return true;
  if (!isHistogram(last) || !isHistogram(now)) return false;
  if (now.sum < last.sum) return true;
  for (let i = 0; i < last.classic.counts.length; i++) {
    if ((now.classic.counts[i] ?? 0) < (last.classic.counts[i] ?? 0)) return true;
  }
  return false;
}

/** Both together under the labels given. Histograms must have the same bounds. */
export function sumOf(labels: Labels, a: Sample, b: Sample): Sample {
  if (!isHistogram(a) || !isHistogram(b)) return { labels, value: weightOf(a) + weightOf(b) };
  const native = nativeSum(a.native, b.native);
  return {
    labels,
    sum: a.sum + b.sum,
    count: a.count + b.count,
    classic: { bounds: a.classic.bounds, counts: countsSum(a.classic.counts, b.classic.counts) },
    ...(native === undefined ? {} : { native }),
    exemplars: [...(a.exemplars ?? []), ...(b.exemplars ?? [])],
  };
}

/**
 * The sample with a sum no lower than that of `last`: adding the same sums up in another order may
 * round them to less, which would be taken for a counter that began anew.
 */
export function withoutRounding(last: Sample | undefined, now: Sample): Sample {
  if (last === undefined || !isHistogram(last) || !isHistogram(now)) return now;
  return now.sum < last.sum ? { ...now, sum: last.sum } : now;
}

export function relabelled(sample: Sample, labels: Labels): Sample {
  return { ...sample, labels };
}

function isHistogram(sample: Sample): sample is HistogramSample {
  return 'classic' in sample;
}

/** Only what both have: a sum of which one part is missing would be none. */
function nativeSum(
  a: NativeBuckets | undefined,
  b: NativeBuckets | undefined,
): NativeBuckets | undefined {
  if (a === undefined || b === undefined) return undefined;
  return { ...a, zeroCount: a.zeroCount + b.zeroCount, counts: countsSum(a.counts, b.counts) };
}

function countsSum(a: ArrayLike<number>, b: ArrayLike<number>): Float64Array {
  const sum = new Float64Array(Math.max(a.length, b.length));
  for (let i = 0; i < sum.length; i++) sum[i] = (a[i] ?? 0) + (b[i] ?? 0);
  return sum;
}
