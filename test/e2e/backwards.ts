// What ran backwards between two scrapes: every counter, bucket, count and sum of every family, by
// the types that the exposition itself declares. Pure; knows no family by name.

import { parseText, type Series } from '../metrics/decode.ts';

export interface Exposition {
  readonly series: Series;
  readonly types: ReadonlyMap<string, string>;
}

export interface Fall {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly before: number;
  readonly after: number;
}

export function readExposition(body: Uint8Array): Exposition {
  const { series, types } = parseText(body, 'text');
  return { series, types };
}

/** Series of counts that are in both and have a lower value in the later one. */
export function fallsBetween(before: Exposition, after: Exposition): Fall[] {
  const falls: Fall[] = [];
  for (const [key, value] of after.series) {
    const earlier = before.series.get(key);
    if (earlier === undefined || value >= earlier) continue;
    const [name, pairs] = JSON.parse(key) as [string, [string, string][]];
    if (!onlyRises(name, after.types)) continue;
    falls.push({ name, labels: Object.fromEntries(pairs), before: earlier, after: value });
  }
  return falls;
}

/** Histograms whose buckets do not rise with their bounds, or whose last one is not the count. */
export function brokenHistograms({ series, types }: Exposition): string[] {
  const histograms = new Map<string, { bounds: [number, number][]; count: number }>();
  for (const [key, value] of series) {
    const [name, pairs] = JSON.parse(key) as [string, [string, string][]];
    const family = name.replace(/_(bucket|count)$/, '');
    if (family === name || types.get(family) !== 'histogram') continue;
    const labels = pairs.filter(([label]) => label !== 'le');
    const of = JSON.stringify([family, labels]);
    const histogram = histograms.get(of) ?? { bounds: [], count: Number.NaN };
    histograms.set(of, histogram);
    const le = pairs.find(([label]) => label === 'le')?.[1];
    if (le === undefined) histogram.count = value;
    else histogram.bounds.push([le === '+Inf' ? Infinity : Number(le), value]);
  }
  return [...histograms].flatMap(([name, { bounds, count }]) => {
    const values = bounds.sort(([a], [b]) => a - b).map(([, value]) => value);
    const rises = values.every((value, i) => i === 0 || value >= (values[i - 1] ?? 0));
    return rises && values.at(-1) === count ? [] : [`${name}: ${values.join(' ')}, count ${count}`];
  });
}

function onlyRises(name: string, types: ReadonlyMap<string, string>): boolean {
  if (types.get(name) === 'counter') return true;
  const of = types.get(name.replace(/_(bucket|sum|count)$/, ''));
  return of === 'histogram' || (of === 'summary' && /_(sum|count)$/.test(name));
}
