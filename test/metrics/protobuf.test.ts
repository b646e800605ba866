// Protobuf: what the text formats cannot say, read by an independent decoder.

import { expect, test } from 'vitest';
import { emptyHistogram } from '../../src/histogram/histogram.ts';
import type { NativeBuckets } from '../../src/metrics/model.ts';
import { encodeProtobuf } from '../../src/metrics/protobuf.ts';
import { decodeProtobuf, nativeCounts, type ProtoHistogram } from './decode.ts';
import { EXEMPLAR, histogramWith, sampleOf, TYPICAL } from './snapshots.ts';

/** The histogram message for these counts, by bucket of bounds.ts. */
function encoded(counts: Readonly<Record<number, number>>): ProtoHistogram {
  const samples = [sampleOf(histogramWith(counts), {})];
  return only([{ type: 'histogram', name: 'h_seconds', help: 'H.', samples }]);
}

function only(snapshot: Parameters<typeof encodeProtobuf>[0]): ProtoHistogram {
  const histogram = decodeProtobuf(encodeProtobuf(snapshot))[0]?.metric[0]?.histogram;
  if (histogram === undefined) throw new Error('no histogram in the message');
  return histogram;
}

test('carries classic and native buckets in one message', () => {
  const histogram = only(TYPICAL);
  expect(histogram.bucket).toHaveLength(30);
  expect(histogram.bucket.at(-1)).toMatchObject({ upper_bound: Infinity, cumulative_count: 1634 });
  expect(histogram).toMatchObject({ schema: 3, zero_threshold: 2 ** -24, zero_count: 2 });
  expect(Object.fromEntries(nativeCounts(histogram))).toEqual({
    '-131': 1009,
    '-130': 503,
    '-128': 101,
    '-122': 7,
    '-101': 11,
    '-52': 1,
  });
});

test('marks an empty native histogram by zero threshold and a no-op span', () => {
  const samples = [sampleOf(emptyHistogram(), {})];
  expect(only([{ type: 'histogram', name: 'h', help: '', samples }])).toMatchObject({
    sample_count: 0,
    schema: 3,
    zero_threshold: 2 ** -24,
    zero_count: 0,
    positive_span: [{ offset: 0, length: 0 }],
  });
});

test('fills a gap of two buckets and splits the span at one of three', () => {
  // Bucket i has native index i - 192.
  expect(encoded({ 100: 5, 103: 7 })).toMatchObject({
    positive_span: [{ offset: -92, length: 4 }],
    positive_delta: [5, -5, 0, 7],
  });
  expect(encoded({ 100: 5, 104: 7 })).toMatchObject({
    positive_span: [
      { offset: -92, length: 1 },
      { offset: 3, length: 1 },
    ],
    positive_delta: [5, 2],
  });
});

test('reaches from the lowest to the highest bucket', () => {
  expect(encoded({ 1: 3, 224: 2 })).toMatchObject({
    positive_span: [
      { offset: -191, length: 1 },
      { offset: 222, length: 1 },
    ],
    positive_delta: [3, -1],
  });
});

test('keeps counts beyond 32 bits exact, falling deltas included', () => {
  const counts = { 10: 2 ** 40 + 1, 11: 3, 12: 2 ** 45 + 7 };
  expect(Object.fromEntries(nativeCounts(encoded(counts)))).toEqual({
    '-182': 2 ** 40 + 1,
    '-181': 3,
    '-180': 2 ** 45 + 7,
  });
});

test('takes any schema and first index of the model', () => {
  const native: NativeBuckets = {
    schema: -1,
    zeroThreshold: 0,
    zeroCount: 0,
    firstIndex: 2,
    counts: [11, 0, 13],
  };
  const sample = { labels: {}, sum: 1, count: 24, classic: { bounds: [], counts: [24] }, native };
  const histogram = only([{ type: 'histogram', name: 'h', help: '', samples: [sample] }]);
  expect(histogram.schema).toBe(-1);
  expect([...nativeCounts(histogram)]).toEqual([
    [2, 11],
    [4, 13],
  ]);
});

test('puts an exemplar on its classic bucket and among those of the native histogram', () => {
  const histogram = only(TYPICAL);
  const expected = {
    label: EXEMPLAR.labels,
    value: EXEMPLAR.value,
    timestamp: { seconds: 1_700_000_000, nanos: 123_000_000 },
  };
  const withExemplar = histogram.bucket.filter((bucket) => bucket.exemplar !== undefined);
  expect(withExemplar).toMatchObject([{ upper_bound: 2 ** -14, exemplar: expected }]);
  expect(histogram.exemplars).toEqual([expected]);
});

test('a histogram without native buckets is classic only', async () => {
  const { native: _, ...sample } = sampleOf(histogramWith({ 100: 3 }), {}, [EXEMPLAR]);
  const histogram = only([{ type: 'histogram', name: 'h', help: '', samples: [sample] }]);
  expect(histogram.bucket).toHaveLength(30);
  expect(Object.keys(histogram).sort()).toEqual(['bucket', 'sample_count', 'sample_sum']);
});

test('writes characters of every Unicode plane and replaces half a character', () => {
  const labels = { bmp: 'é€', emoji: '😀', han: '\u{20000}', last: '\u{10ffff}', half: 'a\ud800' };
  const samples = [{ labels, value: 1 }];
  const [family] = decodeProtobuf(
    encodeProtobuf([{ type: 'gauge', name: 'g', help: '', samples }]),
  );
  expect(family?.metric[0]?.label).toEqual({ ...labels, half: 'a\ufffd' });
});

test('says nothing of a family without samples, which scrapers take for a fault', () => {
  const names = decodeProtobuf(encodeProtobuf(TYPICAL)).map((family) => family.name);
  expect(names).not.toContain('rxscope_absent');
});
