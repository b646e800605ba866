// The dashboards in grafana/dashboards/ as a user of the package gets them: read, and adapted by plain
// changes of their data. Grafana's SDK, by which they were made, is not needed here.

import { readFileSync } from 'node:fs';
import type { Histograms } from './rules/options.ts';

export interface DashboardOptions {
  readonly histograms: Histograms;
  /** The job that is chosen when a dashboard opens; any other can still be. */
  readonly job?: string;
  /** Where the runbook is published. */
  readonly runbookUrl?: string;
}

/** As much of Grafana's model as is changed here. */
export interface DashboardJson {
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly PanelJson[];
  readonly templating: { readonly list: readonly VariableJson[] };
}

export interface PanelJson {
  readonly targets?: readonly { readonly expr: string }[];
  /** Of a row that is folded up. */
  readonly panels?: readonly PanelJson[];
}

export interface VariableJson {
  readonly name: string;
  readonly query: unknown;
  readonly multi?: boolean;
}

const FOLDER = new URL('../../grafana/dashboards/', import.meta.url);

/** Short names, in the order in which one looks at them: `overview` for rxscope-overview. */
export const DASHBOARD_NAMES: readonly string[] = ['overview', 'path', 'drops', 'cpus', 'agent'];

/** Where a dashboard is, and under which name it is written elsewhere. */
export function fileNameOf(name: string): string {
  return `rxscope-${name}.json`;
}

export function readDashboard(name: string, options: DashboardOptions): DashboardJson {
  const text = readFileSync(new URL(fileNameOf(name), FOLDER), 'utf8');
  return adapt(JSON.parse(text) as DashboardJson, options);
}

/** The dashboard with these options; everything else stays as it is. */
export function adapt(dashboard: DashboardJson, options: DashboardOptions): DashboardJson {
  const list = dashboard.templating.list.map((one) => withValue(one, options));
  return {
    ...dashboard,
    panels: dashboard.panels.map((panel) => withHistograms(panel, options.histograms)),
    templating: { ...dashboard.templating, list },
  };
}

function withValue(variable: VariableJson, { job, runbookUrl }: DashboardOptions): VariableJson {
  if (variable.name === 'job' && job !== undefined) {
    const value = variable.multi === true ? [job] : job;
    return { ...variable, ...{ current: { selected: true, text: value, value } } };
  }
  if (variable.name === 'runbook' && runbookUrl !== undefined)
    return { ...variable, query: runbookUrl };
  return variable;
}

function withHistograms(panel: PanelJson, histograms: Histograms): PanelJson {
  const { targets, panels } = panel;
  return {
    ...panel,
    ...(targets && {
      targets: targets
        .map((target) => ({ ...target, expr: inForm(target.expr, histograms) }))
        // A heatmap has a query for each form.
        .filter(({ expr }) => expr !== ''),
    }),
    ...(panels && { panels: panels.map((inner) => withHistograms(inner, histograms)) }),
  };
}

/** Leaves out the lines of the other form; tools/dashboards/queries.ts says how they are marked. */
export function inForm(expr: string, histograms: Histograms): string {
  if (histograms === 'auto') return expr;
  const other = histograms === 'native' ? ' # classic' : ' # native';
  return expr
    .split('\n')
    .filter((line) => !line.endsWith(other) && line !== 'or # either')
    .map((line) => line.replace(/ # (native|classic)$/, ''))
    .join('\n');
}
