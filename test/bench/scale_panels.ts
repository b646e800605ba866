// What the panels of Overview take over many hosts, each asked alone, as it is and for an hour's points. Hosts
// are simulated; Prometheus is real.

import { setTimeout as sleep } from 'node:timers/promises';
import { rulesYaml } from '../../src/publish/rules/files.ts';
import { STANDARD_OPTIONS } from '../../src/publish/rules/options.ts';
import { DASHBOARD_FILES, EXAMPLES, interpolated, queriesOf } from '../publish/dashboards.ts';
import { Fleet } from '../scale/fleet.ts';
import { realTemplate } from '../scale/real_template.ts';
import { markdownTable } from './statistics.ts';
import { startAgent } from './user_cost.ts';

/** Points of a line: an hour, one for each scrape. */
const POINTS = 120;
/** Every query's answer spans these. */
const SECONDS = 60;
const DASHBOARD = 'rxscope-overview';

const RECORDED = [
  ['Worst P99 / budget', 'max(rxscope_host:latency_budget:p99_ratio)'],
  ['Worst hosts', 'topk(20, rxscope_host:latency_budget:p99_ratio)'],
  ['receive_to_socket', 'rxscope_fleet:latency_seconds:p99{probe="receive_to_socket"}'],
  ['Observations over budget', '{__name__=~"rxscope_fleet:over_budget:ratio_rate.*"}'],
  ['Drops by reason', '{__name__=~"rxscope_fleet:drops:rate.*"}'],
] as const;

export interface ScalePanelsOptions {
  readonly hosts: number;
  readonly interval: number;
  readonly form: string;
}

/** Returns the table as Markdown; panels that take less than a tenth of a second are left out. */
export async function scalePanels(
  { hosts, interval, form }: ScalePanelsOptions,
  progress: (line: string) => void,
): Promise<string> {
  const agent = await startAgent();
  const { template } = await realTemplate(agent.url).finally(() => agent.stop());
  const rules = rulesYaml({ ...STANDARD_OPTIONS, windowMs: 4_000 * interval });
  const native = form === 'native';
  const fleet = await Fleet.start({ hosts, template, native, rules, intervalSeconds: interval });
  try {
    progress(`${form}: ${hosts} hosts, for ${SECONDS} s`);
    await sleep(SECONDS * 1000);
    const ask = (query: string, instant: boolean): Promise<number> =>
      instant
        ? fleet.instantSeconds(query)
        : fleet.rangeSeconds(query, Date.now() / 1000 - SECONDS, SECONDS / POINTS);
    const found = new Map<string, number>();
    const values = { ...EXAMPLES, instance: '.*', __rate_interval: `${4 * interval}s` };
    const queries = DASHBOARD_FILES.filter(({ uid }) => uid === DASHBOARD).flatMap(queriesOf);
    for (const { panel, expr, target } of queries) {
      const seconds = await ask(interpolated(expr, values), target.instant === true);
      found.set(panel.title, (found.get(panel.title) ?? 0) + seconds);
    }
    const recorded = new Map<string, number>();
    for (const [title, query] of RECORDED) recorded.set(title, await ask(query, false));
    const rows = [...found].filter(([title, seconds]) => seconds > 0.1 || recorded.has(title));
    return markdownTable(
      [`seconds for ${hosts} hosts, ${form}, ${POINTS} points`, 'Overview', 'of what is recorded'],
      rows.map(([title, seconds]) => [
        title,
        seconds.toFixed(2),
        recorded.get(title)?.toFixed(3) ?? '',
      ]),
    );
  } finally {
    await fleet.stop();
  }
}
