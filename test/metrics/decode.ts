// Independent readers of the three formats, strict where the formats are. None of the code under
// test is used: the protobuf is read by protobufjs from metrics.proto, the text by hand.

import { readFileSync } from 'node:fs';
import protobuf from 'protobufjs';
import { z } from 'zod';

/** One sample: `name{a="b"}`, sorted by label name, to its value. */
export type Series = Map<string, number>;

interface TextExemplar {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  readonly seconds: number;
}

interface TextExposition {
  readonly series: Series;
  readonly types: Map<string, string>;
  readonly helps: Map<string, string>;
  readonly units: Map<string, string>;
  readonly exemplars: Map<string, TextExemplar>;
}

export function seriesKey(name: string, labels: Readonly<Record<string, string>>): string {
  return JSON.stringify([name, Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))]);
}

/** Reads text 0.0.4 or OpenMetrics; throws at the first line that is neither. */
export function parseText(bytes: Uint8Array, format: 'text' | 'openmetrics'): TextExposition {
  const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  if (text !== '' && !text.endsWith('\n')) throw new Error('the last line does not end');
  const lines = text.split('\n').slice(0, -1);
  if (format === 'openmetrics' && lines.pop() !== '# EOF') throw new Error('no # EOF at the end');
  const found: TextExposition = {
    series: new Map(),
    types: new Map(),
    helps: new Map(),
    units: new Map(),
    exemplars: new Map(),
  };
  for (const line of lines) parseLine(line, format, found);
  return found;
}

function parseLine(line: string, format: 'text' | 'openmetrics', into: TextExposition): void {
  const meta = /^# (HELP|TYPE|UNIT) ([a-zA-Z_:][\w:]*) ([^\n]*)$/s.exec(line);
  if (meta !== null) {
    const [, kind, name = '', rest = ''] = meta;
    if (kind === 'TYPE') put(into.types, name, rest);
    else if (kind === 'HELP') put(into.helps, name, unescaped(rest, format === 'openmetrics'));
    else if (format === 'openmetrics' && name.endsWith(`_${rest}`)) put(into.units, name, rest);
    else throw new Error(`a unit that does not belong: ${line}`);
    return;
  }
  const [, name = '', pairs, value = '', exemplar] =
    /^([a-zA-Z_:][\w:]*)(?:\{((?:[^"}]|"(?:\\.|[^"\\])*")*)\})? (\S+)( # .*)?$/s.exec(line) ?? [];
  if (name === '') throw new Error(`no sample: ${line}`);
  if (pairs === '') throw new Error(`empty braces: ${line}`);
  const key = seriesKey(name, parsePairs(pairs ?? ''));
  put(into.series, key, parseNumber(value));
  if (exemplar === undefined) return;
  if (format === 'text') throw new Error(`text 0.0.4 has no exemplars: ${line}`);
  const [, exemplarPairs = '', exemplarValue = '', seconds = ''] =
    /^ # \{((?:[^"}]|"(?:\\.|[^"\\])*")*)\} (\S+) (\S+)$/s.exec(exemplar) ?? [];
  put(into.exemplars, key, {
    labels: parsePairs(exemplarPairs),
    value: parseNumber(exemplarValue),
    seconds: parseNumber(seconds),
  });
}

function parsePairs(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  const pair = /([a-zA-Z_]\w*)="((?:\\.|[^"\\])*)"(,|$)/sy;
  while (pair.lastIndex < text.length) {
    const [, name, value = ''] = pair.exec(text) ?? [];
    if (name === undefined || name in labels) throw new Error(`bad label pairs: ${text}`);
    labels[name] = unescaped(value, true);
  }
  return labels;
}

function unescaped(text: string, quoted: boolean): string {
  return text.replaceAll(/\\(.)/gs, (_, escaped: string) => {
    if (escaped === 'n') return '\n';
    if (escaped === '\\' || (escaped === '"' && quoted)) return escaped;
    throw new Error(`no such escape: \\${escaped}`);
  });
}

function parseNumber(text: string): number {
  if (text === 'NaN') return Number.NaN;
  if (text === '+Inf') return Infinity;
  if (text === '-Inf') return -Infinity;
  if (!/^-?\d+(\.\d+)?(e[+-]?\d+)?$/.test(text)) throw new Error(`no number: ${text}`);
  return Number(text);
}

function put<V>(map: Map<string, V>, key: string, value: V): void {
  if (map.has(key)) throw new Error(`said twice: ${key}`);
  map.set(key, value);
}

const proto = readFileSync(new URL('metrics.proto', import.meta.url), 'utf8');
const metricFamily = protobuf
  .parse(proto, { keepCase: true })
  .root.lookupType('io.prometheus.client.MetricFamily');

const labelPairsSchema = z
  .array(z.object({ name: z.string(), value: z.string() }))
  .default([])
  .transform((pairs) => Object.fromEntries(pairs.map(({ name, value }) => [name, value])));
const integerSchema = z.string().transform(Number);
const exemplarSchema = z.object({
  label: labelPairsSchema,
  value: z.number(),
  timestamp: z.object({ seconds: integerSchema, nanos: z.number() }),
});
const spanSchema = z.object({ offset: z.number(), length: z.number() });
const histogramSchema = z.strictObject({
  sample_count: integerSchema,
  sample_sum: z.number().or(z.nan()),
  bucket: z.array(
    z.object({
      cumulative_count: integerSchema,
      upper_bound: z.number().or(z.literal(Infinity)),
      exemplar: exemplarSchema.optional(),
    }),
  ),
  schema: z.number().optional(),
  zero_threshold: z.number().optional(),
  zero_count: integerSchema.optional(),
  positive_span: z.array(spanSchema).optional(),
  positive_delta: z.array(integerSchema).optional(),
  exemplars: z.array(exemplarSchema).optional(),
});
const anyDouble = z.custom<number>((value) => typeof value === 'number');
const familySchema = z.strictObject({
  name: z.string(),
  help: z.string(),
  type: z.enum(['COUNTER', 'GAUGE', 'HISTOGRAM']),
  unit: z.string().optional(),
  metric: z.array(
    z.strictObject({
      label: labelPairsSchema,
      gauge: z.object({ value: anyDouble }).optional(),
      counter: z.object({ value: anyDouble }).optional(),
      histogram: histogramSchema.optional(),
    }),
  ),
});

type ProtoFamily = z.infer<typeof familySchema>;
export type ProtoHistogram = z.infer<typeof histogramSchema>;

/** Reads length-prefixed messages to the last byte; a field that is missing or unknown throws. */
export function decodeProtobuf(bytes: Uint8Array): ProtoFamily[] {
  const reader = protobuf.Reader.create(bytes);
  const families: ProtoFamily[] = [];
  while (reader.pos < reader.len) {
    const message = metricFamily.decodeDelimited(reader);
    families.push(
      familySchema.parse(metricFamily.toObject(message, { longs: String, enums: String })),
    );
  }
  return families;
}

/** The series that Prometheus makes of the classic parts of these messages. */
export function classicSeries(families: readonly ProtoFamily[]): Series {
  const series: Series = new Map();
  for (const { name, metric } of families) {
    for (const { label, gauge, counter, histogram } of metric) {
      const scalar = gauge ?? counter;
      if (scalar !== undefined) put(series, seriesKey(name, label), scalar.value);
      if (histogram === undefined) continue;
      put(series, seriesKey(`${name}_count`, label), histogram.sample_count);
      put(series, seriesKey(`${name}_sum`, label), histogram.sample_sum);
      for (const bucket of histogram.bucket) {
        const le = goBound(bucket.upper_bound);
        put(series, seriesKey(`${name}_bucket`, { ...label, le }), bucket.cumulative_count);
      }
    }
  }
  return series;
}

/** The counts of a native histogram by bucket index, empty buckets left out. */
export function nativeCounts(histogram: ProtoHistogram): Map<number, number> {
  const counts = new Map<number, number>();
  const deltas = histogram.positive_delta ?? [];
  let next = 0;
  let index = 0;
  let count = 0;
  for (const span of histogram.positive_span ?? []) {
    index += span.offset;
    for (let i = 0; i < span.length; i++) {
      count += deltas[next] ?? Number.NaN;
      next += 1;
      if (count !== 0) counts.set(index, count);
      index += 1;
    }
  }
  if (next !== deltas.length) throw new Error(`${next} buckets in spans, ${deltas.length} deltas`);
  return counts;
}

/** The shortest decimal as Go's 'g' writes it, `.0` added to what looks whole: 0.5, 1.0, 6e-08. */
function goBound(bound: number): string {
  if (bound === Infinity) return '+Inf';
  const shortest = bound < 1e-4 ? bound.toExponential().replace(/e-(\d)$/, 'e-0$1') : `${bound}`;
  return /^\d+$/.test(shortest) ? `${shortest}.0` : shortest;
}
