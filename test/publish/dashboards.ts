// The checked-in dashboards, flat: every panel and every query with where it stands. For tests; judges
// nothing.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ROOT, textOf } from '../repo/project_files.ts';

export const FOLDER = 'grafana/dashboards';

const linkSchema = z.object({ title: z.string(), url: z.string().optional(), type: z.string() });

const targetSchema = z.object({
  refId: z.string(),
  expr: z.string(),
  datasource: z.unknown().optional(),
  format: z.string().optional(),
  instant: z.boolean().optional(),
  range: z.boolean().optional(),
  exemplar: z.boolean().optional(),
  legendFormat: z.string().optional(),
});

const panelSchema = z.object({
  id: z.number(),
  type: z.string(),
  title: z.string(),
  description: z.string().optional(),
  gridPos: z.object({ x: z.number(), y: z.number(), w: z.number(), h: z.number() }),
  datasource: z.unknown().optional(),
  links: z.array(linkSchema).default([]),
  fieldConfig: z
    .object({
      defaults: z.object({ unit: z.string().optional() }),
      overrides: z.array(z.unknown()),
    })
    .optional(),
  options: z.record(z.string(), z.unknown()).optional(),
  targets: z.array(targetSchema).default([]),
});

const dashboardSchema = z.object({
  uid: z.string(),
  title: z.string(),
  description: z.string(),
  tags: z.array(z.string()),
  schemaVersion: z.number(),
  links: z.array(
    linkSchema.extend({
      tags: z.array(z.string()),
      includeVars: z.boolean(),
      keepTime: z.boolean(),
    }),
  ),
  templating: z.object({
    list: z.array(
      z.object({
        name: z.string(),
        type: z.string(),
        query: z.unknown(),
        datasource: z.unknown().optional(),
        multi: z.boolean(),
        includeAll: z.boolean(),
        allValue: z.string().optional(),
      }),
    ),
  }),
  panels: z.array(panelSchema.extend({ panels: z.array(panelSchema).default([]) })),
});

export type DashboardFile = z.output<typeof dashboardSchema>;
export type PanelFile = z.output<typeof panelSchema>;

export const FILES: readonly string[] = readdirSync(join(ROOT, FOLDER)).sort();

export const DASHBOARD_FILES: readonly DashboardFile[] = FILES.map((file) =>
  dashboardSchema.parse(JSON.parse(textOf(`${FOLDER}/${file}`))),
);

/** All panels that draw something; rows themselves are left out. */
export function panelsOf({ panels }: Pick<DashboardFile, 'panels'>): PanelFile[] {
  return panels.flatMap((panel) => (panel.type === 'row' ? panel.panels : [panel]));
}

export interface PanelQuery {
  /** `rxscope-path 15 A`: what a message names it by. */
  readonly place: string;
  readonly panel: PanelFile;
  readonly expr: string;
  readonly target: PanelFile['targets'][number];
}

export function queriesOf(dashboard: Pick<DashboardFile, 'uid' | 'panels'>): PanelQuery[] {
  return panelsOf(dashboard).flatMap((panel) =>
    panel.targets.map((target) => ({
      place: `${dashboard.uid} ${panel.id} ${target.refId} (${panel.title})`,
      panel,
      expr: target.expr,
      target,
    })),
  );
}

/** What the variables ask for, as a query that selects the same by the same label. */
export function variableQueriesOf({
  uid,
  templating,
}: DashboardFile): { readonly place: string; readonly expr: string }[] {
  return templating.list.flatMap(({ name, type, query }) => {
    if (type !== 'query') return [];
    const text = z.object({ query: z.string() }).parse(query).query;
    const [, series, label] = /^label_values\((.+), (\w+)\)$/.exec(text) ?? [];
    return [{ place: `${uid} $${name}`, expr: `group by (${label}) (${series})` }];
  });
}

/** What Grafana makes of a query before it sends it, with everything selected. */
export function interpolated(expr: string, values: Readonly<Record<string, string>>): string {
  return expr.replaceAll(/\$(\w+)/g, (whole, name: string) => values[name] ?? whole);
}

/** Values of all variables, with everything selected. */
export const EXAMPLES: Readonly<Record<string, string>> = {
  job: 'rxscope',
  instance: '127.0.0.1:10750',
  device: '.*',
  __rate_interval: '30s',
};
