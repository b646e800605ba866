// What every panel has, of whatever kind: a face that says what it is and what to do, queries, thresholds.
// Types and defaults come from Grafana's own SDK.

import type { Builder } from '@grafana/grafana-foundation-sdk/cog';
import {
  type DashboardLink,
  DashboardLinkBuilder,
  DashboardLinkType,
  type Threshold,
  ThresholdsConfigBuilder,
  ThresholdsMode,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus';
import { anchor } from '../../src/publish/rules/terms.ts';

/** Grafana's names of the units that rxscope's base units are shown in. */
export type Unit = 's' | 'percentunit' | 'pps' | 'cps' | 'short' | 'bytes' | 'none';

/** What every panel says. */
export interface Face {
  /** Never changed and never used again: links and alerts name a panel by it. */
  readonly id: number;
  readonly title: string;
  readonly unit: Unit;
  /** How to read it. */
  readonly reading: string;
  /** What to do when it is high, or what `when` says instead. */
  readonly remedy: string;
  readonly when?: 'high' | 'low' | 'uneven' | 'not what you expect';
  /** The alert on the same thing: its section of the runbook is linked. */
  readonly alert?: string;
  /** Of 24 columns. */
  readonly width: number;
  readonly height?: number;
}

export interface Query {
  readonly expr: string;
  /** Grafana's template of the series' name: `{{device}}`. */
  readonly legend?: string;
  /** Dots for the outliers that Prometheus keeps as exemplars. */
  readonly exemplars?: true;
}

/** A variable of the dashboard; Grafana puts its value in. */
export function variable(name: string): string {
  return `$\{${name}}`;
}

export const DATASOURCE = { type: 'prometheus', uid: variable('datasource') } as const;

const HEIGHT = 8;
const REF_IDS = 'ABCDEFGHIJKLMNOP';

/** Green below the first of these values, and so on upwards. */
export function steps(...above: readonly (readonly [number, string])[]): Threshold[] {
  return [{ value: null, color: 'green' }, ...above.map(([value, color]) => ({ value, color }))];
}

/** The SDK puts links into a menu unless told otherwise; here they are to be seen. */
export function shown(link: Builder<DashboardLink>): Builder<DashboardLink> {
  const { placement: _, ...plain } = link.build();
  return { build: () => plain };
}

interface Faced {
  id(id: number): this;
  title(title: string): this;
  description(description: string): this;
  datasource(datasource: { type: string; uid: string }): this;
  unit(unit: string): this;
  links(links: Builder<DashboardLink>[]): this;
  span(width: number): this;
  height(height: number): this;
}

export function face<P extends Faced>(panel: P, spec: Face): P {
  if (spec.alert !== undefined)
    panel.links([
      shown(
        new DashboardLinkBuilder(`Runbook: ${spec.alert}`)
          .type(DashboardLinkType.Link)
          .url(`${variable('runbook')}#${anchor(spec.alert)}`)
          .targetBlank(true),
      ),
    ]);
  return panel
    .id(spec.id)
    .title(spec.title)
    .description(
      `${spec.reading}\n\n**What to do when it is ${spec.when ?? 'high'}:** ${spec.remedy}`,
    )
    .datasource(DATASOURCE)
    .unit(spec.unit)
    .span(spec.width)
    .height(spec.height ?? HEIGHT);
}

export function overTime(
  { expr, legend: name, exemplars }: Query,
  index: number,
): DataqueryBuilder {
  const query = new DataqueryBuilder()
    .refId(refId(index))
    .datasource(DATASOURCE)
    .expr(expr)
    .range();
  if (name !== undefined) query.legendFormat(name);
  return query.exemplar(exemplars === true);
}

export function instant(expr: string, index: number): DataqueryBuilder {
  return new DataqueryBuilder()
    .refId(refId(index))
    .datasource(DATASOURCE)
    .expr(expr)
    .instant()
    .format(PromQueryFormat.Table);
}

export function refId(index: number): string {
  return REF_IDS.charAt(index);
}

export function thresholds(above: readonly Threshold[]): ThresholdsConfigBuilder {
  return new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps([...above]);
}
