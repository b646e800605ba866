// The three formats tell the same numbers, each read by a reader of its own.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fittingLabels, newestByBucket } from '../../src/metrics/exemplars.ts';
import type { HistogramSample, Snapshot } from '../../src/metrics/model.ts';
import { encodeOpenMetrics } from '../../src/metrics/openmetrics.ts';
import { encodeProtobuf } from '../../src/metrics/protobuf.ts';
import { encodeText } from '../../src/metrics/text.ts';
import {
  classicSeries,
  decodeProtobuf,
  nativeCounts,
  parseText,
  type Series,
  seriesKey,
} from './decode.ts';
import { anySnapshot, manyHistograms, TYPICAL } from './snapshots.ts';

describe('any snapshot', () => {
  test('yields the same series and values in all three formats', () => {
    fc.assert(
      fc.property(anySnapshot, (snapshot) => {
        const expected = expectedSeries(snapshot);
        expect(parseText(encodeText(snapshot), 'text').series).toEqual(expected);
        expect(parseText(encodeOpenMetrics(snapshot), 'openmetrics').series).toEqual(expected);
        expect(classicSeries(decodeProtobuf(encodeProtobuf(snapshot)))).toEqual(expected);
      }),
    );
  });

  test('keeps types and help texts in all three formats', () => {
    fc.assert(
      fc.property(anySnapshot, (snapshot) => {
        const text = parseText(encodeText(snapshot), 'text');
        const openMetrics = parseText(encodeOpenMetrics(snapshot), 'openmetrics');
        const families = new Map(decodeProtobuf(encodeProtobuf(snapshot)).map((f) => [f.name, f]));
        const present = snapshot.filter((family) => family.samples.length > 0);
        expect([text.types.size, openMetrics.types.size, families.size]).toEqual(
          new Array(3).fill(present.length),
        );
        for (const { name, type, help } of present) {
          const base = name.replace(/_total$/, '');
          expect([text.types.get(name), text.helps.get(name)]).toEqual([type, help]);
          expect([openMetrics.types.get(base), openMetrics.helps.get(base)]).toEqual([type, help]);
          expect(families.get(name)).toMatchObject({ type: type.toUpperCase(), help });
          expect(families.get(name)?.unit).toBe(openMetrics.units.get(base));
        }
      }),
    );
  });

  test('gives each native bucket its index and exact count in protobuf', () => {
    fc.assert(
      fc.property(anySnapshot, (snapshot) => {
        const families = new Map(decodeProtobuf(encodeProtobuf(snapshot)).map((f) => [f.name, f]));
        for (const [name, sample, index] of histogramSamples(snapshot)) {
          const histogram = families.get(name)?.metric[index]?.histogram;
          if (histogram === undefined) throw new Error(`${name} lost sample ${index}`);
          const { native } = sample;
          if (native === undefined) {
            expect(histogram.zero_threshold).toBeUndefined();
            expect(histogram.positive_span).toBeUndefined();
            continue;
          }
          expect(histogram).toMatchObject({
            schema: native.schema,
            zero_threshold: native.zeroThreshold,
            zero_count: native.zeroCount,
          });
          const expected = new Map<number, number>();
          Array.from(native.counts).forEach((n, i) => {
            if (n > 0) expected.set(native.firstIndex + i, n);
          });
          expect(nativeCounts(histogram)).toEqual(expected);
        }
      }),
    );
  });

  test('shows the newest exemplar of a bucket alike in OpenMetrics and protobuf', () => {
    fc.assert(
      fc.property(anySnapshot, (snapshot) => {
        const openMetrics = parseText(encodeOpenMetrics(snapshot), 'openmetrics');
        const families = new Map(decodeProtobuf(encodeProtobuf(snapshot)).map((f) => [f.name, f]));
        let total = 0;
        for (const [name, sample, index] of histogramSamples(snapshot)) {
          const histogram = families.get(name)?.metric[index]?.histogram;
          const expected = newestByBucket(sample.classic.bounds, sample.exemplars ?? []);
          const inText = [...openMetrics.exemplars].filter(([key]) =>
            isBucketOf(key, name, sample.labels),
          );
          expect(inText).toHaveLength(expected.filter((e) => e !== undefined).length);
          total += inText.length;
          expected.forEach((exemplar, i) => {
            const found = histogram?.bucket[i]?.exemplar;
            if (exemplar === undefined) {
              expect(found).toBeUndefined();
              return;
            }
            const { value, timestampMs } = exemplar;
            const labels = fittingLabels(exemplar.labels);
            expect(found).toEqual({
              label: labels,
              value,
              timestamp: {
                seconds: Math.floor(timestampMs / 1000),
                nanos: (timestampMs % 1000) * 1e6,
              },
            });
            expect(inText.map(([, e]) => e)).toContainEqual({
              labels,
              value,
              seconds: timestampMs / 1000,
            });
          });
          if (sample.native !== undefined) {
            expect(histogram?.exemplars ?? []).toHaveLength(sample.exemplars?.length ?? 0);
          }
        }
        expect(openMetrics.exemplars.size).toBe(total);
      }),
    );
  });
});

test('an empty snapshot is valid in all three formats', () => {
  expect(encodeText([])).toHaveLength(0);
  expect(Buffer.from(encodeOpenMetrics([])).toString()).toBe('# EOF\n');
  expect(encodeProtobuf([])).toHaveLength(0);
});

test('encoding changes nothing in the snapshot', () => {
  const before = structuredClone(TYPICAL);
  encodeText(TYPICAL);
  encodeOpenMetrics(TYPICAL);
  encodeProtobuf(TYPICAL);
  expect(TYPICAL).toEqual(before);
});

test.each([
  ['text', encodeText],
  ['OpenMetrics', encodeOpenMetrics],
  ['protobuf', encodeProtobuf],
])('%s writes 5,000 histogram series in less than 100 ms', (_, encode) => {
  const snapshot = manyHistograms(5000);
  // The best of seven: what the code costs, not what else the machine does meanwhile.
  const timesMs = Array.from({ length: 7 }, () => {
    const start = performance.now();
    encode(snapshot);
    return performance.now() - start;
  });
  expect(Math.min(...timesMs)).toBeLessThan(100);
});

function histogramSamples(snapshot: Snapshot): [string, HistogramSample, number][] {
  return snapshot.flatMap((family) =>
    family.type === 'histogram'
      ? family.samples.map((s, i): [string, HistogramSample, number] => [family.name, s, i])
      : [],
  );
}

function isBucketOf(key: string, name: string, labels: Readonly<Record<string, string>>): boolean {
  const [sampleName, pairs] = JSON.parse(key) as [string, [string, string][]];
  if (sampleName !== `${name}_bucket`) return false;
  const withoutLe = pairs.filter(([label]) => label !== 'le');
  return seriesKey('', Object.fromEntries(withoutLe)) === seriesKey('', labels);
}

function expectedSeries(snapshot: Snapshot): Series {
  const series: Series = new Map();
  for (const family of snapshot) {
    if (family.type !== 'histogram') {
      for (const { labels, value } of family.samples) {
        series.set(seriesKey(family.name, labels), value);
      }
      continue;
    }
    for (const { labels, sum, count, classic } of family.samples) {
      series.set(seriesKey(`${family.name}_sum`, labels), sum);
      series.set(seriesKey(`${family.name}_count`, labels), count);
      let cumulated = 0;
      for (let i = 0; i <= classic.bounds.length; i++) {
        cumulated += classic.counts[i] ?? 0;
        const le = CLASSIC_LE[i] ?? '';
        series.set(seriesKey(`${family.name}_bucket`, { ...labels, le }), cumulated);
      }
    }
  }
  return series;
}

/** Written out, so that a mistake in formatting cannot hide behind the same mistake here. */
const CLASSIC_LE = [
  '5.960464477539063e-08',
  '1.1920928955078125e-07',
  '2.384185791015625e-07',
  '4.76837158203125e-07',
  '9.5367431640625e-07',
  '1.9073486328125e-06',
  '3.814697265625e-06',
  '7.62939453125e-06',
  '1.52587890625e-05',
  '3.0517578125e-05',
  '6.103515625e-05',
  '0.0001220703125',
  '0.000244140625',
  '0.00048828125',
  '0.0009765625',
  '0.001953125',
  '0.00390625',
  '0.0078125',
  '0.015625',
  '0.03125',
  '0.0625',
  '0.125',
  '0.25',
  '0.5',
  '1.0',
  '2.0',
  '4.0',
  '8.0',
  '16.0',
  '+Inf',
];
