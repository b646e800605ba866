// What the two text formats have in common: numbers, label pairs, escaping, histogram lines.
// Nothing here writes a HELP or TYPE line or knows an exemplar's syntax.

import type { ByteWriter } from './byte_writer.ts';
import type { HistogramSample, Labels, ScalarSample } from './model.ts';

/** A sample's value: whole numbers digit by digit, the rest as the shortest that reads back. */
export function formatValue(value: number): string {
  if (value === Infinity) return '+Inf';
  if (value === -Infinity) return '-Inf';
  return String(value);
}

/**
 * A bucket's bound as Prometheus writes it when it reads protobuf: Go's shortest form, with `.0`
 * where it looks like a whole number. `le` is part of a series' identity, so all formats say the
 * same, or a change of format would begin new series.
 */
export function formatBound(bound: number): string {
  if (!Number.isFinite(bound) || bound === 0) return bound === 0 ? '0.0' : formatValue(bound);
  const [digits = '', power = '0'] = bound.toExponential().split('e');
  const exponent = Number(power);
  // Go writes an exponent below 1e-4 and from 1e+06 on, of two digits at least.
  if (exponent < -4 || exponent >= 6) {
    const sign = exponent < 0 ? '-' : '+';
    return `${digits}e${sign}${String(Math.abs(exponent)).padStart(2, '0')}`;
  }
  return Number.isInteger(bound) ? `${bound}.0` : String(bound);
}

/** `a="1",b="2"` without the braces; empty for no labels. */
export function labelPairs(labels: Labels): string {
  let pairs = '';
  for (const name in labels) {
    pairs += `${pairs === '' ? '' : ','}${name}="${escapeQuoted(labels[name] ?? '')}"`;
  }
  return pairs;
}

/** Escapes what stands between quotes: label values, and help texts in OpenMetrics. */
export function escapeQuoted(text: string): string {
  return /[\\\n"]/.test(text) ? escapeLine(text).replaceAll('"', '\\"') : text;
}

/** Escapes what ends with its line: help texts in text 0.0.4. */
export function escapeLine(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

export function writeScalar(out: ByteWriter, name: string, sample: ScalarSample): void {
  const pairs = labelPairs(sample.labels);
  out.text(`${name}${pairs === '' ? '' : `{${pairs}}`} ${formatValue(sample.value)}\n`);
}

/** All lines of one histogram; `afterBucket[i]`, where given, is appended to bucket i's line. */
export function writeHistogram(
  out: ByteWriter,
  name: string,
  sample: HistogramSample,
  afterBucket: readonly (string | undefined)[] = [],
): void {
  const pairs = labelPairs(sample.labels);
  const { bounds, counts } = sample.classic;
  const bucketEnds = bucketEndsOf(bounds);

  // The first bucket's line begins with what each other one repeats.
  const start = out.length;
  out.text(`${name}_bucket{${pairs}${pairs === '' ? '' : ','}`);
  const startLength = out.length - start;
  let cumulated = 0;
  for (let i = 0; i < bucketEnds.length; i++) {
    cumulated += counts[i] ?? 0;
    if (i > 0) out.again(start, startLength);
    out.bytes(bucketEnds[i] ?? NOTHING);
    out.integer(cumulated);
    const after = afterBucket[i];
    if (after !== undefined) out.text(after);
    out.bytes(NEWLINE);
  }

  const braced = pairs === '' ? '' : `{${pairs}}`;
  out.text(`${name}_sum${braced} ${formatValue(sample.sum)}\n`);
  out.text(`${name}_count${braced} ${formatValue(sample.count)}\n`);
}

const NOTHING = Buffer.alloc(0);
const NEWLINE = Buffer.from('\n');

const bucketEndsCache = new WeakMap<readonly number[], readonly Uint8Array[]>();

/** `le="…"} ` of each bucket, +Inf included. Thousands of series share one array of bounds. */
function bucketEndsOf(bounds: readonly number[]): readonly Uint8Array[] {
  let ends = bucketEndsCache.get(bounds);
  if (ends === undefined) {
    ends = [...bounds, Infinity].map((bound) => Buffer.from(`le="${formatBound(bound)}"} `));
    bucketEndsCache.set(bounds, ends);
  }
  return ends;
}
