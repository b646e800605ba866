// What a family's name says in the formats that split it: the name without suffix, and the unit.

import type { Family } from './model.ts';

/** The base units that OpenMetrics knows and our names use. */
const UNITS = ['seconds', 'bytes'] as const;

/** A counter's name without `_total`; any other family's name as it is. */
export function baseName(family: Family): string {
  return family.type === 'counter' && family.name.endsWith('_total')
    ? family.name.slice(0, -'_total'.length)
    : family.name;
}

/** `seconds` for `rxscope_budget_seconds`; undefined where the name ends in no unit. */
export function unitOf(family: Family): string | undefined {
  const name = baseName(family);
  return UNITS.find((unit) => name.endsWith(`_${unit}`));
}
