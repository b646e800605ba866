// Arithmetic on the samples of the model, whatever their type: key, size, sum, order.
// Pure. Knows no family and no cap.

import { emptyHistogram, toClassic } from '../histogram/histogram.ts';
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

/** All together under the labels given; undefined for none. Histograms must have the same bounds. */
export function sumOfAll(labels: Labels, samples: readonly Sample[]): Sample | undefined {
  const [first, ...others] = samples;
  if (first === undefined || others.length === 0) return first && relabelled(first, labels);
  if (!isHistogram(first))
    return { labels, value: samples.reduce((sum, sample) => sum + weightOf(sample), 0) };
  const histograms = samples.filter(isHistogram);
  const native = nativeSum(histograms);
  return {
    labels,
    sum: histograms.reduce((total, { sum }) => total + sum, 0),
    count: histograms.reduce((total, { count }) => total + count, 0),
    classic: {
      bounds: first.classic.bounds,
      counts: countsSum(histograms.map(({ classic }) => classic.counts)),
    },
    ...(native === undefined ? {} : { native }),
    exemplars: histograms.flatMap(({ exemplars = [] }) => exemplars),
  };
}

/** What `all` has beyond a part of it, and never less than nothing: sums of times are rounded. */
export function differenceOf(all: Sample, part: Sample): Sample {
  if (!isHistogram(all) || !isHistogram(part))
    return { labels: all.labels, value: Math.max(0, weightOf(all) - weightOf(part)) };
  const counts = countsDifference(all.classic.counts, part.classic.counts);
  const { native } = all;
  return {
    ...all,
    sum: Math.max(0, all.sum - part.sum),
    count: counts.reduce((sum, n) => sum + n, 0),
    classic: { bounds: all.classic.bounds, counts },
    ...(native === undefined || part.native === undefined
      ? {}
      : {
          native: {
            ...native,
            zeroCount: Math.max(0, native.zeroCount - part.native.zeroCount),
            counts: countsDifference(native.counts, part.native.counts),
          },
        }),
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

/** Only what all have: a sum of which one part is missing would be none. */
function nativeSum(histograms: readonly HistogramSample[]): NativeBuckets | undefined {
  const parts = histograms.flatMap(({ native }) => native ?? []);
  const [first] = parts;
  if (first === undefined || parts.length < histograms.length) return undefined;
  return {
    ...first,
    zeroCount: parts.reduce((sum, { zeroCount }) => sum + zeroCount, 0),
    counts: countsSum(parts.map(({ counts }) => counts)),
  };
}

function countsDifference(all: ArrayLike<number>, part: ArrayLike<number>): Float64Array {
  return Float64Array.from(all, (n, i) => Math.max(0, n - (part[i] ?? 0)));
}

function countsSum(parts: readonly ArrayLike<number>[]): Float64Array {
  const sum = new Float64Array(parts.reduce((most, { length }) => Math.max(most, length), 0));
  for (const counts of parts)
    for (let i = 0; i < counts.length; i++) sum[i] = (sum[i] ?? 0) + (counts[i] ?? 0);
  return sum;
}
