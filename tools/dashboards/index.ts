// The five dashboards, and their text as it is checked in. Needs Grafana's SDK, which only development
// has: src/publish/dashboard_files.ts is for everyone else.

import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { agent } from './agent.ts';
import { cpus } from './cpus.ts';
import { drops } from './drops.ts';
import { overview } from './overview.ts';
import { path } from './path.ts';

export const DASHBOARDS: readonly Dashboard[] = [overview, path, drops, cpus, agent];

/** By file name, in grafana/dashboards/. */
export function dashboardTexts(): ReadonlyMap<string, string> {
  return new Map(DASHBOARDS.map((one) => [`${one.uid}.json`, `${JSON.stringify(one, null, 2)}\n`]));
}
