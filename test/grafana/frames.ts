// What Prometheus answers, as the data frames that Grafana's Prometheus data source makes of it (that part
// of Grafana is a plugin of its server and no library). Written from its documented behaviour: a frame for
// each series, tables with a column for each label and `Value #A` where several queries ask, heatmaps as
// rows (classic) or cells (native).

import { z } from 'zod';
import type { DataFrame, Field } from './library.ts';

export interface Target {
  readonly refId: string;
  readonly expr: string;
  readonly format?: string | undefined;
  readonly instant?: boolean | undefined;
  readonly legendFormat?: string | undefined;
}

const point = z.tuple([z.number(), z.string().transform(numberOf)]);
const histogram = z.tuple([
  z.number(),
  z.object({
    buckets: z
      .array(z.tuple([z.number(), z.string(), z.string(), z.string()]))
      .default([])
      .transform((all) => all.map(([, low, high, count]) => [low, high, count].map(numberOf))),
  }),
]);
const answerSchema = z.object({
  status: z.literal('success'),
  data: z.object({
    result: z.array(
      z.object({
        metric: z.record(z.string(), z.string()),
        value: point.optional(),
        values: z.array(point).optional(),
        histograms: z.array(histogram).optional(),
      }),
    ),
  }),
});
type Series = z.output<typeof answerSchema>['data']['result'][number];

/** Frames of all targets of a panel, by the answer to each. */
export function framesOf(
  targets: readonly Target[],
  answers: ReadonlyMap<string, unknown>,
): DataFrame[] {
  const series = targets.map((target) => ({
    target,
    found: answerSchema.parse(answers.get(target.refId)).data.result,
  }));
  const tables = targets.filter(({ format }) => format === 'table').length;
  return series.flatMap(({ target, found }) => {
    if (target.format === 'table') return [table(target, found, tables > 1)];
    if (target.format === 'heatmap') return rows(target, found);
    return found.map((one) =>
      one.histograms === undefined ? timeSeries(target, one) : cells(target, one),
    );
  });
}

function timeSeries(target: Target, { metric, values = [] }: Series): DataFrame {
  const name = legendOf(target, metric);
  return frame(target.refId, [
    time(values.map(([second]) => second)),
    {
      ...number(
        'Value',
        values.map(([, value]) => value),
      ),
      labels: metric,
      config: { displayNameFromDS: name },
    },
  ]);
}

/** `{{label}}` filled in; what has no legend and no labels goes by its query. */
function legendOf(
  { legendFormat, expr }: Target,
  labels: Readonly<Record<string, string>>,
): string {
  if (legendFormat !== undefined && legendFormat !== '')
    return legendFormat.replaceAll(
      /\{\{\s*(.+?)\s*\}\}/g,
      (_, label: string) => labels[label] ?? '',
    );
  const { __name__: name = '', ...rest } = labels;
  const pairs = Object.entries(rest).map(([label, value]) => `${label}="${value}"`);
  if (pairs.length === 0) return name === '' ? expr : name;
  return `${name}{${pairs.join(', ')}}`;
}

/** One row a series: the time, a column for each label in the order of the alphabet, the value. */
function table({ refId }: Target, found: readonly Series[], several: boolean): DataFrame {
  const labels: string[] = [];
  for (const { metric } of found)
    for (const label of Object.keys(metric).sort()) if (!labels.includes(label)) labels.push(label);
  const values = found.map(({ value = [0, Number.NaN] as [number, number] }) => value);
  return frame(refId, [
    time(values.map(([second]) => second)),
    ...labels.map((label) => ({
      name: label,
      type: 'string',
      config: { filterable: true },
      values: found.map(({ metric }) => metric[label] ?? ''),
    })),
    number(
      several ? `Value #${refId}` : 'Value',
      values.map(([, value]) => value),
    ),
  ]);
}

/** Classic buckets, each less the one below it: a field for each upper bound. */
function rows({ refId }: Target, found: readonly Series[]): DataFrame[] {
  const sorted = found.toSorted(
    (a, b) => numberOf(a.metric.le ?? '') - numberOf(b.metric.le ?? ''),
  );
  const [first] = sorted;
  if (first === undefined) return [];
  const fields = sorted.map(({ metric, values = [] }, index) => ({
    ...number(
      metric.le ?? '',
      values.map(([, value], at) => {
        const below = sorted[index - 1]?.values?.[at]?.[1] ?? 0;
        return value - below < 1e-9 ? 0 : value - below;
      }),
    ),
    labels: metric,
    config: { displayNameFromDS: metric.le ?? '' },
  }));
  const whole = frame(refId, [time((first.values ?? []).map(([second]) => second)), ...fields]);
  return [{ ...whole, meta: { type: 'heatmap-rows' } }];
}

/** Native histograms: a row for each bucket at each time. */
function cells({ refId }: Target, { histograms = [] }: Series): DataFrame {
  const all = histograms.flatMap(([second, { buckets }]) =>
    buckets.map(([low = 0, high = 0, count = 0]) => ({ second, low, high, count })),
  );
  const times = time(all.map(({ second }) => second));
  const whole = frame(refId, [
    { ...times, name: 'xMax' },
    number(
      'yMin',
      all.map(({ low }) => low),
    ),
    number(
      'yMax',
      all.map(({ high }) => high),
    ),
    number(
      'count',
      all.map(({ count }) => count),
    ),
  ]);
  return { ...whole, meta: { type: 'heatmap-cells' } };
}

function frame(refId: string, fields: Field[]): DataFrame {
  return { refId, fields, length: fields[0]?.values.length ?? 0 };
}

function time(seconds: readonly number[]): Field {
  return { name: 'Time', type: 'time', config: {}, values: seconds.map((one) => one * 1000) };
}

function number(name: string, values: number[]): Field {
  return { name, type: 'number', config: {}, values };
}

function numberOf(text: string): number {
  return Number(text.replace('Inf', 'Infinity'));
}
