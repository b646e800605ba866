// What may be wrong with a panel that has its data: names that tell nothing, columns nobody meant,
// overrides that match nothing, values that cannot be read, rows in the wrong order. Pure.

import { getFieldMatcher, shownAs } from './library.ts';
import { numbersOf, type Shown, seriesOf, sortingOf, tableOf } from './panels.ts';

/** What Grafana or Prometheus call things themselves. */
const RAW_NAMES = /^(Time|Value( #[A-Z]+)?|__name__|undefined|null)$|[{}]/;
/** `1.23 ms`, `45.0%`, `2`, `12.3K c/s`, a dash, a word that stands for a number. */
const READABLE =
  /^(–|[a-z]+|\d{1,9}(\.\d+)?%|-?(\d{1,5}(\.\d+)?|\d\.\d{1,3})( ?[^\d.\s%]\S*)?( [^\d]\S*)?)$/;

export function complaints(shown: Shown): string[] {
  const { panel, board } = shown;
  const found = [...ofThresholds(shown)];
  if (panel.type === 'table') found.push(...ofTable(shown), ...ofOrder(shown));
  else if (panel.type === 'stat') found.push(...ofNumbers(shown));
  else if (panel.type !== 'heatmap') found.push(...ofNames(shown));
  return found.map((one) => `${board} ${panel.id} (${panel.title}): ${one}`);
}

/** Overrides that match no field of any of these: the same panel under several circumstances. */
export function idleOverrides(all: readonly Shown[]): string[] {
  const [first] = all;
  const overrides = first?.panel.fieldConfig.overrides ?? [];
  return overrides
    .filter(({ matcher }) => {
      const matches = getFieldMatcher(matcher);
      return !all.some(({ frames }) =>
        frames.some((frame) => frame.fields.some((field) => matches(field, frame, frames))),
      );
    })
    .map(
      ({ matcher }) =>
        `${first?.board} ${first?.panel.id} (${first?.panel.title}): no field for ${JSON.stringify(matcher)}`,
    );
}

/** One line for people: what the panel says at this moment. */
export function summary(shown: Shown): string {
  const { panel } = shown;
  const says = (): string[] => {
    if (panel.type === 'stat') return numbersOf(shown).map(textOf);
    if (panel.type === 'table') {
      const { headings, rows } = tableOf(shown);
      return (rows[0] ?? []).map((text, index) => `${headings[index]}=${text}`);
    }
    if (panel.type === 'heatmap') return [heatOf(shown)];
    return seriesOf(shown).map(({ name, field }) => `${name}: ${lastText(field)}`);
  };
  const texts = says();
  const more = texts.length > 8 ? ` and ${texts.length - 8} more` : '';
  return `${shown.board} ${panel.id} ${panel.title} → ${texts.slice(0, 8).join(' · ')}${more}`;
}

function heatOf({ frames }: Shown): string {
  const native = frames.find(({ meta }) => meta?.type === 'heatmap-cells');
  if (native !== undefined) return `${native.length} cells of native buckets`;
  const rows = frames.flatMap(({ fields }) => fields.filter(({ type }) => type === 'number'));
  return `${rows.length} rows`;
}

function lastText(field: Parameters<typeof shownAs>[0]): string {
  const last = field.values.findLast((one) => typeof one === 'number' && !Number.isNaN(one));
  return last === undefined ? '(nothing)' : shownAs(field, last);
}

function textOf({
  prefix = '',
  text,
  suffix = '',
}: {
  prefix?: string;
  text: string;
  suffix?: string;
}) {
  return `${prefix}${text}${suffix}`;
}

function ofTable(shown: Shown): string[] {
  const { headings, rows } = tableOf(shown);
  const found: string[] = [];
  if (shown.frames.length > 1) found.push(`${shown.frames.length} tables instead of one`);
  for (const heading of headings)
    if (RAW_NAMES.test(heading)) found.push(`the column ${heading} is left over`);
  if (new Set(headings).size < headings.length) found.push(`two columns of one name: ${headings}`);
  for (const row of rows)
    for (const [index, text] of row.entries()) {
      const numeric = shown.frames[0]?.fields[index]?.type === 'number';
      if (numeric && text !== '' && !READABLE.test(text))
        found.push(`${headings[index]} reads ${JSON.stringify(text)}`);
    }
  const links = (shown.frames[0]?.fields ?? []).flatMap(({ config }) => config.links ?? []);
  for (const { url } of links)
    for (const [, name = ''] of url.matchAll(/__data\.fields\.([^:}]+)/g))
      if (!headings.includes(name)) found.push(`a link asks for ${name}, which is no column`);
  const keys = rows.map((row) =>
    JSON.stringify(row.filter((_, at) => shown.frames[0]?.fields[at]?.type === 'string')),
  );
  const twice = keys.find((key, index) => keys.indexOf(key) < index);
  if (twice !== undefined) found.push(`two rows of the same labels: ${twice}`);
  return found;
}

function ofOrder(shown: Shown): string[] {
  const { headings } = tableOf(shown);
  return sortingOf(shown.panel)
    .filter(({ name }) => shown.frames.length > 0 && !headings.includes(name))
    .map(({ name }) => `sorted by ${name}, which is no column`);
}

function ofNames(shown: Shown): string[] {
  const names = seriesOf(shown).map(({ name }) => name);
  const found = names
    .filter((name) => name.trim() === '' || name !== name.trim() || RAW_NAMES.test(name))
    .map((name) => `a series goes by the name ${JSON.stringify(name)}`);
  const twice = names.filter((name, index) => names.indexOf(name) < index);
  if (twice.length > 0) found.push(`several series go by the name ${twice.join(', ')}`);
  for (const { name, field } of seriesOf(shown)) {
    const text = lastText(field);
    if (text !== '(nothing)' && !READABLE.test(text)) found.push(`${name} reads ${text}`);
  }
  return found;
}

function ofNumbers(shown: Shown): string[] {
  const texts = numbersOf(shown).map(textOf);
  const wrong = texts.filter((text) => !READABLE.test(text));
  if (texts.length !== 1) wrong.push(`${texts.length} numbers instead of one`);
  return wrong.map((text) => `reads ${JSON.stringify(text)}`);
}

interface Steps {
  readonly steps?: readonly { readonly value: number | null; readonly color: string }[];
}

/** The first step is the base, the others rise, and no two neighbours have one colour. */
function ofThresholds({ panel: { fieldConfig } }: Shown): string[] {
  const all = [
    fieldConfig.defaults.thresholds,
    ...fieldConfig.overrides.flatMap(({ properties }) =>
      properties.filter(({ id }) => id === 'thresholds').map(({ value }) => value),
    ),
  ] as (Steps | undefined)[];
  return all.flatMap((one) => {
    const steps = one?.steps ?? [];
    const [base, ...above] = steps;
    if (base === undefined) return [];
    const found: string[] = [];
    if (base.value !== null && base.value !== Number.NEGATIVE_INFINITY)
      found.push('thresholds without a base');
    if (
      above.some(
        ({ value }, index) =>
          value === null || value <= (steps[index]?.value ?? Number.NEGATIVE_INFINITY),
      )
    )
      found.push('thresholds that do not rise');
    if (above.some(({ color }, index) => color === steps[index]?.color))
      found.push('two neighbouring thresholds of one colour');
    return found;
  });
}
