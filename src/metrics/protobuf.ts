// Encodes a snapshot as io.prometheus.client.MetricFamily messages, each prefixed by its length.
// The only format with native histograms; each message carries the classic buckets beside them.

import { PbfWriter } from 'pbf';
import { fittingLabels, newestByBucket } from './exemplars.ts';
import type {
  ClassicBuckets,
  Exemplar,
  Family,
  HistogramSample,
  Labels,
  NativeBuckets,
  ScalarSample,
  Snapshot,
} from './model.ts';
import { unitOf } from './names.ts';

export const PROTOBUF_CONTENT_TYPE =
  'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited';

// Numbers below are those of client_model's metrics.proto.
const METRIC_TYPE = { counter: 0, gauge: 1, histogram: 4 } as const;

export function encodeProtobuf(snapshot: Snapshot): Uint8Array {
  const pbf = new PbfWriter();
  for (const family of snapshot) {
    // Scrapers take a family without a metric for a fault.
    if (family.samples.length > 0) pbf.writeRawMessage(writeFamily, family);
  }
  return pbf.finish();
}

function writeFamily(family: Family, pbf: PbfWriter): void {
  writeText(1, family.name, pbf);
  writeText(2, family.help, pbf);
  pbf.writeVarintField(3, METRIC_TYPE[family.type]);
  switch (family.type) {
    case 'histogram':
      for (const sample of family.samples) pbf.writeMessage(4, writeHistogramMetric, sample);
      break;
    case 'counter':
      for (const sample of family.samples) pbf.writeMessage(4, writeCounterMetric, sample);
      break;
    case 'gauge':
      for (const sample of family.samples) pbf.writeMessage(4, writeGaugeMetric, sample);
      break;
  }
  const unit = unitOf(family);
  if (unit !== undefined) writeText(5, unit, pbf);
}

function writeGaugeMetric(sample: ScalarSample, pbf: PbfWriter): void {
  writeLabels(sample.labels, pbf);
  pbf.writeMessage(2, writeValue, sample.value);
}

function writeCounterMetric(sample: ScalarSample, pbf: PbfWriter): void {
  writeLabels(sample.labels, pbf);
  pbf.writeMessage(3, writeValue, sample.value);
}

function writeHistogramMetric(sample: HistogramSample, pbf: PbfWriter): void {
  writeLabels(sample.labels, pbf);
  pbf.writeMessage(7, writeHistogram, sample);
}

/** Gauge and Counter alike: one double. */
function writeValue(value: number, pbf: PbfWriter): void {
  pbf.writeDoubleField(1, value);
}

/** The labels of a Metric or an Exemplar: LabelPairs in field 1 of both. */
function writeLabels(labels: Labels, pbf: PbfWriter): void {
  for (const name in labels) pbf.writeMessage(1, writeLabelPair, [name, labels[name] ?? '']);
}

function writeLabelPair(pair: readonly [string, string], pbf: PbfWriter): void {
  writeText(1, pair[0], pbf);
  writeText(2, pair[1], pbf);
}

/** pbf 5.1.2 writes another character for any above U+1FFFF; Node's encoder is right for all. */
function writeText(tag: number, text: string, pbf: PbfWriter): void {
  if (/[\ud800-\udfff]/.test(text)) pbf.writeBytesField(tag, Buffer.from(text));
  else pbf.writeStringField(tag, text);
}

function writeHistogram(sample: HistogramSample, pbf: PbfWriter): void {
  pbf.writeVarintField(1, sample.count);
  pbf.writeDoubleField(2, sample.sum);
  writeClassicBuckets(sample.classic, sample.exemplars ?? [], pbf);
  if (sample.native === undefined) return;
  writeNativeBuckets(sample.native, pbf);
  // Classic buckets carry one exemplar each; the native form takes all, outside of its buckets.
  for (const exemplar of sample.exemplars ?? []) pbf.writeMessage(16, writeExemplar, exemplar);
}

interface ClassicBucket {
  cumulated: number;
  bound: number;
  exemplar: Exemplar | undefined;
}

function writeClassicBuckets(
  { bounds, counts }: ClassicBuckets,
  exemplars: readonly Exemplar[],
  pbf: PbfWriter,
): void {
  const newest = exemplars.length === 0 ? undefined : newestByBucket(bounds, exemplars);
  const bucket: ClassicBucket = { cumulated: 0, bound: 0, exemplar: undefined };
  for (let i = 0; i < bounds.length; i++) {
    bucket.cumulated += counts[i] ?? 0;
    bucket.bound = bounds[i] ?? 0;
    bucket.exemplar = newest?.[i];
    pbf.writeMessage(3, writeClassicBucket, bucket);
  }
  // +Inf's count is sample_count, but only a bucket of its own can carry its exemplar.
  bucket.cumulated += counts[bounds.length] ?? 0;
  bucket.bound = Infinity;
  bucket.exemplar = newest?.[bounds.length];
  pbf.writeMessage(3, writeClassicBucket, bucket);
}

function writeClassicBucket(bucket: ClassicBucket, pbf: PbfWriter): void {
  pbf.writeVarintField(1, bucket.cumulated);
  pbf.writeDoubleField(2, bucket.bound);
  if (bucket.exemplar !== undefined) pbf.writeMessage(3, writeExemplar, bucket.exemplar);
}

function writeNativeBuckets(native: NativeBuckets, pbf: PbfWriter): void {
  pbf.writeSVarintField(5, native.schema);
  pbf.writeDoubleField(6, native.zeroThreshold);
  pbf.writeVarintField(7, native.zeroCount);
  const { spans, deltas } = spansAndDeltas(native);
  for (const span of spans) pbf.writeMessage(12, writeSpan, span);
  pbf.writePackedSVarint(13, deltas);
}

interface Span {
  /** The first span's first index; of each other span, how many buckets are left out before it. */
  readonly offset: number;
  length: number;
}

/** The longest gap that is filled with empty buckets: a new span costs more. As client_golang. */
const GAP_BUCKETS_MAX = 2;

/** Populated buckets as runs, and each count as its difference from the one before. */
function spansAndDeltas({ counts, firstIndex }: NativeBuckets): {
  spans: readonly Span[];
  deltas: number[];
} {
  const spans: Span[] = [];
  const deltas: number[] = [];
  let span: Span | undefined;
  let nextIndex = 0;
  let previous = 0;
  for (let i = 0; i < counts.length; i++) {
    const count = counts[i] ?? 0;
    if (count === 0) continue;
    const gap = firstIndex + i - nextIndex;
    if (span === undefined || gap > GAP_BUCKETS_MAX) {
      span = { offset: gap, length: 0 };
      spans.push(span);
    } else {
      for (let filled = 0; filled < gap; filled++) {
        deltas.push(-previous);
        previous = 0;
      }
      span.length += gap;
    }
    span.length += 1;
    deltas.push(count - previous);
    previous = count;
    nextIndex = firstIndex + i + 1;
  }
  // Without any span an empty native histogram is taken for a classic one: a no-op span says it.
  return { spans: spans.length === 0 ? [{ offset: 0, length: 0 }] : spans, deltas };
}

function writeSpan(span: Span, pbf: PbfWriter): void {
  pbf.writeSVarintField(1, span.offset);
  pbf.writeVarintField(2, span.length);
}

function writeExemplar(exemplar: Exemplar, pbf: PbfWriter): void {
  writeLabels(fittingLabels(exemplar.labels), pbf);
  pbf.writeDoubleField(2, exemplar.value);
  pbf.writeMessage(3, writeTimestamp, exemplar.timestampMs);
}

/** google.protobuf.Timestamp. */
function writeTimestamp(timestampMs: number, pbf: PbfWriter): void {
  const wholeMs = Math.floor(timestampMs);
  pbf.writeVarintField(1, Math.floor(wholeMs / 1000));
  pbf.writeVarintField(2, (wholeMs % 1000) * 1_000_000);
}
