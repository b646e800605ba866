// What the agent measures without a configuration, by the catalogue: whole lists are asked of it, so
// that a probe more needs no change in any test of the agent.

import { CATALOGUE, PROBES } from '../../src/probes/index.ts';

const ids = (measures: readonly { readonly id: string }[]): string[] =>
  measures.map(({ id }) => id);

/** Everything that is on. */
export const ENABLED = ids(CATALOGUE.filter(({ enabled }) => enabled));
/** Those of it that are latencies: with a histogram and a budget. */
export const LATENCIES = ids(PROBES.filter(({ enabled }) => enabled));
/** What bpftrace can measure, too. */
export const SCRIPTED = ids(PROBES.filter(({ script }) => script));

/** Each entry of the catalogue as `rxscope probes` lists it when only these are on. */
export function standings(
  on: readonly string[],
  up: boolean,
): (readonly [id: string, up: boolean])[] {
  return ids(CATALOGUE).map((id) => [id, up && on.includes(id)]);
}
