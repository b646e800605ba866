// Tables as all dashboards draw them.

import type { Builder } from '@grafana/grafana-foundation-sdk/cog';
import { TableSortByFieldStateBuilder } from '@grafana/grafana-foundation-sdk/common';
import {
  type DataTransformerConfig,
  type DynamicConfigValue,
  FieldColorBuilder,
  FieldColorModeId,
  type Panel,
  type Threshold,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { PanelBuilder as Table } from '@grafana/grafana-foundation-sdk/table';
import { type Face, face, instant, refId, thresholds, type Unit } from './panel.ts';

/** In a cell without a value: a host that is down, a probe that is idle. */
const NOTHING = '–';

/** What Grafana computes of a cell without a value. */
const NO_NUMBER: DynamicConfigValue = {
  id: 'mappings',
  value: [{ type: 'special', options: { match: 'nan', result: { text: NOTHING, index: 0 } } }],
};

export interface Column {
  /** Of an instant query; without one a label that the queries bring. */
  readonly expr?: string;
  /** The label's name, or the heading of the query's value. */
  readonly name: string;
  readonly unit?: Unit;
  readonly thresholds?: readonly Threshold[];
  /** Asked for the sake of its labels: the value is not shown. */
  readonly hidden?: true;
  /** Words in place of numbers. */
  readonly words?: Readonly<Record<number, string>>;
  /** Where a click on it leads. */
  readonly link?: { readonly title: string; readonly url: string };
}

/** A column that Grafana computes, to the right of the others: one divided by another. */
export interface Ratio extends Omit<Column, 'expr' | 'hidden'> {
  readonly of: string;
  readonly to: string;
}

export interface Grid extends Face {
  readonly columns: readonly Column[];
  readonly ratio?: Ratio;
  /** Headings of the columns by which it is sorted; `-` before one: the highest first. */
  readonly sortBy?: readonly string[];
}

/** A table: a row for each set of labels, a column for each query. */
export function grid(spec: Grid): Builder<Panel> {
  const queries = spec.columns.filter(({ expr }) => expr !== undefined);
  const panel = face(new Table(), spec)
    .targets(queries.map(({ expr = '' }, index) => instant(expr, index)))
    .transformations([
      { id: 'merge', options: {} },
      organize(spec.columns),
      ...(spec.ratio === undefined ? [] : [divided(spec.ratio)]),
    ])
    .filterable(true)
    .noValue(NOTHING);
  if (spec.sortBy !== undefined)
    panel.sortBy(
      spec.sortBy.map((name) =>
        new TableSortByFieldStateBuilder()
          .displayName(name.replace(/^-/, ''))
          .desc(name.startsWith('-')),
      ),
    );
  for (const column of spec.columns) {
    const properties = columnProperties(column);
    if (properties.length > 0) panel.overrideByName(column.name, properties);
  }
  if (spec.ratio !== undefined)
    panel.overrideByName(spec.ratio.name, [...columnProperties(spec.ratio), NO_NUMBER]);
  return panel;
}

/** Rows by one label, columns by another, each cell coloured by its value. */
export function matrix(
  spec: Face & {
    readonly expr: string;
    readonly rows: string;
    readonly columns: string;
    /** Labels that are numbers: rows are sorted by the first, columns by the second. */
    readonly order: readonly [string, string];
  },
): Builder<Panel> {
  return face(new Table(), spec)
    .targets([instant(spec.expr, 0)])
    .transformations([
      // Rows and columns come in the order in which they are first seen; as text 10 is before 2.
      {
        id: 'convertFieldType',
        options: {
          conversions: spec.order.map((targetField) => ({
            targetField,
            destinationType: 'number',
          })),
        },
      },
      ...spec.order.map(sortedBy),
      {
        id: 'groupingToMatrix',
        options: { rowField: spec.rows, columnField: spec.columns, valueField: 'Value' },
      },
      // Its own name for the column of the rows is both labels'.
      {
        id: 'organize',
        options: {
          excludeByName: {},
          indexByName: {},
          renameByName: { [`${spec.rows}\\${spec.columns}`]: spec.rows },
        },
      },
    ])
    .noValue(NOTHING)
    .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.ContinuousGrYlRd))
    .overrideByFieldType('number', [
      { id: 'custom.cellOptions', value: { type: 'color-background', mode: 'basic' } },
    ]);
}

/** Keeps the order of equal ones. */
export function sortedBy(field: string): DataTransformerConfig {
  return { id: 'sortBy', options: { fields: {}, sort: [{ field }] } };
}

/** The columns in this order, by these names; the time, which all rows share, is left out. */
export function organize(columns: readonly Column[]): DataTransformerConfig {
  const queries = columns.filter(({ expr }) => expr !== undefined);
  // Grafana numbers the values only where there are several queries.
  const field = ({ name, expr }: Column): string => {
    if (expr === undefined) return name;
    const index = queries.findIndex((query) => query.name === name);
    return queries.length === 1 ? 'Value' : `Value #${refId(index)}`;
  };
  const hidden = columns.filter((column) => column.hidden).map(field);
  return {
    id: 'organize',
    options: {
      excludeByName: Object.fromEntries(['Time', ...hidden].map((name) => [name, true])),
      indexByName: Object.fromEntries(columns.map((column, index) => [field(column), index])),
      renameByName: Object.fromEntries(columns.map((column) => [field(column), column.name])),
    },
  };
}

function divided({ name, of, to }: Ratio): DataTransformerConfig {
  return {
    id: 'calculateField',
    options: {
      mode: 'binary',
      binary: { left: of, operator: '/', right: to },
      alias: name,
      replaceFields: false,
    },
  };
}

function columnProperties({
  unit,
  thresholds: above,
  words,
  link,
}: Omit<Column, 'expr'>): DynamicConfigValue[] {
  return [
    ...(unit === undefined ? [] : [{ id: 'unit', value: unit }]),
    ...(words === undefined
      ? []
      : [
          {
            id: 'mappings',
            value: [
              {
                type: 'value',
                options: Object.fromEntries(
                  Object.entries(words).map(([number, text], index) => [number, { text, index }]),
                ),
              },
            ],
          },
        ]),
    ...(above === undefined
      ? []
      : [
          { id: 'thresholds', value: thresholds(above).build() },
          { id: 'custom.cellOptions', value: { type: 'color-text' } },
        ]),
    ...(link === undefined
      ? []
      : [
          {
            id: 'links',
            value: [{ ...link, targetBlank: false }],
          },
        ]),
  ];
}
