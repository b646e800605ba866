// Grafana's own library, @grafana/data, by which its front end makes what panels show out of what a data
// source answers: transformations, field overrides, units, thresholds, names. Set up here as Grafana's
// front end does; drawing itself is in none of Grafana's packages that run without a browser.

import { createRequire } from 'node:module';

export interface Field {
  name: string;
  type: string;
  values: unknown[];
  config: FieldConfig;
  labels?: Record<string, string>;
  display?: (value: unknown) => DisplayValue;
  state?: Record<string, unknown> | null;
}

export interface FieldConfig {
  unit?: string;
  displayNameFromDS?: string;
  custom?: Record<string, unknown>;
  color?: { mode: string; fixedColor?: string };
  links?: { title: string; url: string }[];
  [setting: string]: unknown;
}

export interface DataFrame {
  name?: string;
  refId?: string;
  fields: Field[];
  length: number;
  meta?: Record<string, unknown>;
}

export interface DisplayValue {
  readonly text: string;
  readonly prefix?: string;
  readonly suffix?: string;
  readonly color?: string;
}

export interface Matcher {
  readonly id: string;
  readonly options?: unknown;
}

export interface FieldSettings {
  readonly defaults: FieldConfig;
  readonly overrides: readonly {
    readonly matcher: Matcher;
    readonly properties: readonly { readonly id: string; readonly value?: unknown }[];
  }[];
}

interface Transformer {
  readonly id: string;
}

/** As much of @grafana/data as is used; its own declarations want React's. */
interface Library {
  standardTransformers: Readonly<Record<string, Transformer>>;
  standardTransformersRegistry: { setInit(init: () => readonly object[]): void };
  transformDataFrame(
    options: readonly object[],
    data: readonly DataFrame[],
  ): { subscribe(observer: Observer): unknown };
  applyFieldOverrides(options: object): DataFrame[];
  FieldConfigOptionsRegistry: new (init: () => readonly object[]) => object;
  getFieldMatcher(
    matcher: Matcher,
  ): (field: Field, frame: DataFrame, all: readonly DataFrame[]) => boolean;
  getFieldDisplayName(field: Field, frame?: DataFrame, all?: readonly DataFrame[]): string;
  getFieldDisplayValues(options: object): { readonly display: DisplayValue }[];
  formattedValueToString(value: DisplayValue): string;
  createTheme(options: object): object;
}

interface Observer {
  next(frames: DataFrame[]): void;
  error(error: unknown): void;
}

// Node has it from version 21 on; the language says how numbers are written.
if (!('navigator' in globalThis))
  Object.assign(globalThis, { navigator: { language: 'en-US', languages: ['en-US'] } });

const library = createRequire(import.meta.url)('@grafana/data') as Library;
// It only asks there whether it is within one of Grafana's scenes.
if (!('window' in globalThis)) Object.assign(globalThis, { window: {} });

/** By id; some are listed by an older name, too. */
const TRANSFORMERS = new Map(
  Object.values(library.standardTransformers).map((one) => [one.id, one] as const),
);
library.standardTransformersRegistry.setInit(() =>
  [...TRANSFORMERS].map(([id, transformer]) => ({
    id,
    name: id,
    transformation: () => Promise.resolve(transformer),
  })),
);

/** Settings of a field that any panel knows; a panel's own are below `custom`. */
const STANDARD = [
  ...['unit', 'min', 'max', 'fieldMinMax', 'decimals', 'displayName', 'noValue', 'thresholds'],
  ...['mappings', 'links', 'actions', 'color', 'filterable', 'description'],
];

const THEME = library.createTheme({ colors: { mode: 'dark' } });

export const { getFieldDisplayName, getFieldMatcher, formattedValueToString } = library;

/** The frames after a panel's transformations; a transformation that Grafana does not have throws. */
export function transformed(
  transformations: readonly { readonly id: string; readonly options?: unknown }[],
  frames: readonly DataFrame[],
): Promise<DataFrame[]> {
  for (const { id } of transformations)
    if (!TRANSFORMERS.has(id)) throw new Error(`Grafana has no transformation ${id}`);
  return new Promise((resolve, reject) => {
    library.transformDataFrame(transformations, frames).subscribe({ next: resolve, error: reject });
  });
}

/** The frames with the panel's settings on each field, and overrides where they match. */
export function configured(settings: FieldSettings, frames: readonly DataFrame[]): DataFrame[] {
  const ids = settings.overrides.flatMap(({ properties }) => properties.map(({ id }) => id));
  const unknown = ids.filter((id) => !STANDARD.includes(id) && !id.startsWith('custom.'));
  if (unknown.length > 0) throw new Error(`Grafana has no setting ${unknown.join(', ')}`);
  const custom = [
    ...Object.keys(settings.defaults.custom ?? {}).map((name) => `custom.${name}`),
    ...ids.filter((id) => id.startsWith('custom.')),
  ];
  const items = [...STANDARD, ...new Set(custom)].map((id) => ({
    id,
    path: id.replace(/^custom\./, ''),
    name: id,
    isCustom: id.startsWith('custom.'),
    process: (value: unknown) => value,
    shouldApply: () => true,
  }));
  return library.applyFieldOverrides({
    data: frames,
    fieldConfig: settings,
    fieldConfigRegistry: new library.FieldConfigOptionsRegistry(() => items),
    replaceVariables: (text: string) => text,
    theme: THEME,
    timeZone: 'utc',
  });
}

/** The numbers that a stat panel shows. */
export function reduced(
  settings: FieldSettings,
  reduceOptions: unknown,
  frames: readonly DataFrame[],
): DisplayValue[] {
  return library
    .getFieldDisplayValues({
      data: frames,
      reduceOptions,
      fieldConfig: settings,
      replaceVariables: (text: string) => text,
      theme: THEME,
      timeZone: 'utc',
    })
    .map(({ display }) => display);
}

/** A value as a cell or a legend shows it. */
export function shownAs(field: Field, value: unknown): string {
  if (field.display === undefined) throw new Error(`${field.name} has no display`);
  return library.formattedValueToString(field.display(value));
}
