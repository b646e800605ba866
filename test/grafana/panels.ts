// A panel of a checked-in dashboard with its data, up to the point where Grafana would draw: answers to
// its queries, transformed and configured by Grafana's own library. Judges nothing.

import { z } from 'zod';
import type { PrometheusServer } from '../metrics/prometheus_server.ts';
import { FILES, FOLDER, interpolated } from '../publish/dashboards.ts';
import { textOf } from '../repo/project_files.ts';
import { framesOf } from './frames.ts';
import {
  configured,
  type DataFrame,
  type DisplayValue,
  type Field,
  type FieldSettings,
  getFieldDisplayName,
  reduced,
  shownAs,
  transformed,
} from './library.ts';

const targetSchema = z.looseObject({
  refId: z.string(),
  expr: z.string(),
  format: z.string().optional(),
  instant: z.boolean().optional(),
  exemplar: z.boolean().optional(),
  legendFormat: z.string().optional(),
});

const settingsSchema = z.custom<FieldSettings>((value) => typeof value === 'object');

const panelSchema = z.looseObject({
  id: z.number(),
  type: z.string(),
  title: z.string(),
  gridPos: z.object({ x: z.number(), y: z.number(), w: z.number(), h: z.number() }),
  fieldConfig: settingsSchema.default({ defaults: {}, overrides: [] }),
  options: z.looseObject({}).default({}),
  transformations: z.array(z.looseObject({ id: z.string() })).default([]),
  targets: z.array(targetSchema).default([]),
});
export type Panel = z.output<typeof panelSchema>;

const boardSchema = z.object({
  uid: z.string(),
  title: z.string(),
  panels: z.array(panelSchema.extend({ panels: z.array(panelSchema).default([]) })),
});
export type Board = z.output<typeof boardSchema>;

export const BOARDS: readonly Board[] = FILES.map((file) =>
  boardSchema.parse(JSON.parse(textOf(`${FOLDER}/${file}`))),
);

/** All that draw something, also those in folded rows. */
export function panelsOf({ panels }: Board): Panel[] {
  return panels.flatMap((panel) => (panel.type === 'row' ? panel.panels : [panel]));
}

export interface Shown {
  readonly board: string;
  readonly panel: Panel;
  /** As drawn: after transformations, in a table's own order, with every setting on its field. */
  readonly frames: readonly DataFrame[];
}

export interface Window {
  /** Unix time, seconds. */
  readonly from: number;
  readonly to: number;
  readonly step: number;
  /** Values of the variables. */
  readonly values: Readonly<Record<string, string>>;
}

export type Answers = ReadonlyMap<string, unknown>;

/** What Prometheus says to each query of the panel, by the query's letter. */
export async function ask(
  { targets }: Panel,
  prometheus: PrometheusServer,
  { from, to, step, values }: Window,
): Promise<Answers> {
  const answers = targets.map(async ({ refId, expr, instant }) => {
    const query = interpolated(expr, values);
    const answer = await (instant === true
      ? prometheus.get('query', { query, time: `${to}` })
      : prometheus.get('query_range', { query, start: `${from}`, end: `${to}`, step: `${step}` }));
    return [refId, answer] as const;
  });
  return new Map(await Promise.all(answers));
}

/** The panel as it is drawn when those are the answers. */
export async function shownOf(board: string, panel: Panel, answers: Answers): Promise<Shown> {
  const frames = await transformed(panel.transformations, framesOf(panel.targets, answers));
  const withSettings = configured(settingsOf(panel), frames);
  return {
    board,
    panel,
    frames: panel.type === 'table' ? withSettings.map((one) => inOrder(one, panel)) : withSettings,
  };
}

/** What a panel type sets where the dashboard is silent. */
export function settingsOf({ type, fieldConfig: { defaults, overrides } }: Panel): FieldSettings {
  const mode = ['timeseries', 'barchart'].includes(type) ? 'palette-classic' : 'thresholds';
  return { defaults: { color: { mode }, ...defaults }, overrides };
}

const sortSchema = z.object({
  sortBy: z.array(z.object({ displayName: z.string(), desc: z.boolean().optional() })).default([]),
});

/** What a table sorts by; the first is the most important. */
export function sortingOf({ options }: Panel): { name: string; descending: boolean }[] {
  return sortSchema
    .parse(options)
    .sortBy.map(({ displayName, desc = false }) => ({ name: displayName, descending: desc }));
}

/** Rows as the table itself sorts them, which is no transformation: nothing is less than any number. */
function inOrder(frame: DataFrame, panel: Panel): DataFrame {
  const keys = sortingOf(panel).flatMap(({ name, descending }) => {
    const field = frame.fields.find((one) => nameOf(one, frame) === name);
    return field === undefined ? [] : [{ field, sign: descending ? -1 : 1 }];
  });
  const order = Array.from({ length: frame.length }, (_, row) => row).sort((a, b) => {
    for (const { field, sign } of keys) {
      const difference = compared(field.values[a], field.values[b]);
      if (difference !== 0) return sign * difference;
    }
    return a - b;
  });
  const sorted = frame.fields.map((one) => ({
    ...one,
    values: order.map((row) => one.values[row]),
  }));
  return { ...frame, fields: sorted };
}

function compared(a: unknown, b: unknown): number {
  if (a === b) return 0;
  if (a === null || a === undefined) return -1;
  if (b === null || b === undefined) return 1;
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return String(a).localeCompare(String(b), 'en', { numeric: true });
}

export function nameOf(field: Field, frame: DataFrame, all: readonly DataFrame[] = []): string {
  return getFieldDisplayName(field, frame, all);
}

/** Numbers by the name that the legend gives them. */
export function seriesOf({ frames }: Shown): { name: string; field: Field; frame: DataFrame }[] {
  return frames.flatMap((frame) =>
    frame.fields
      .filter(({ type }) => type === 'number')
      .map((field) => ({ name: nameOf(field, frame, frames), field, frame })),
  );
}

/** Headings, then a text for each cell. */
export function tableOf({ frames }: Shown): { headings: string[]; rows: string[][] } {
  const [frame] = frames;
  if (frame === undefined) return { headings: [], rows: [] };
  return {
    headings: frame.fields.map((field) => nameOf(field, frame, frames)),
    rows: Array.from({ length: frame.length }, (_, row) =>
      frame.fields.map((field) => shownAs(field, field.values[row])),
    ),
  };
}

export function numbersOf({ panel, frames }: Shown): DisplayValue[] {
  return reduced(settingsOf(panel), panel.options.reduceOptions, frames);
}
