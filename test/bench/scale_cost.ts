// What many hosts cost one Prometheus: simulated from a real agent's exposition, scraped by a real Prometheus
// that evaluates the rules, with native histograms and with classic ones. Time runs faster than in production:
// interval and window are shortened alike, so that a rate reads as many samples as it does there.

import { setTimeout as sleep } from 'node:timers/promises';
import { rulesYaml } from '../../src/publish/rules/files.ts';
import { STANDARD_OPTIONS } from '../../src/publish/rules/options.ts';
import { Fleet } from '../scale/fleet.ts';
import { realTemplate } from '../scale/real_template.ts';
import type { Template } from '../scale/template.ts';
import { processCpuMs, residentMb } from './machine.ts';
import { formatSpread, markdownTable } from './statistics.ts';
import { startAgent } from './user_cost.ts';

export interface ScaleCostOptions {
  readonly hosts: number;
  /** Of scrapes and evaluations, seconds. */
  readonly interval: number;
  readonly forms: readonly string[];
}

/** The rules' window of 5 minutes has ten scrapes, 30 seconds apart. */
const INTERVALS_OF_WINDOW = 10;
const STANDARD_INTERVAL_SECONDS = 30;
/** Evaluations that are counted, once the window is full. */
const EVALUATIONS = 3;
interface Measured {
  readonly form: string;
  readonly numbers: ReadonlyMap<string, string>;
  readonly groups: ReadonlyMap<string, readonly number[]>;
}

/** Returns the tables as Markdown. */
export async function scaleCost(
  options: ScaleCostOptions,
  progress: (line: string) => void,
): Promise<string> {
  const agent = await startAgent();
  const { template } = await realTemplate(agent.url).finally(() => agent.stop());
  const all: Measured[] = [];
  for (const form of options.forms) all.push(await measure(form, template, options, progress));
  const table = (title: string, rows: (one: Measured) => ReadonlyMap<string, string>): string => {
    const columns = all.map(rows);
    const names = [...new Set(columns.flatMap((column) => [...column.keys()]))];
    return markdownTable(
      [title, ...all.map(({ form }) => form)],
      names.map((name) => [name, ...columns.map((column) => column.get(name) ?? '')]),
    );
  };
  return [
    table(`${options.hosts} hosts`, ({ numbers }) => numbers),
    table(
      'rule group: seconds of an evaluation, median (quartiles)',
      ({ groups }) =>
        new Map([...groups].map(([name, seconds]) => [name, formatSpread(seconds, 2)])),
    ),
  ].join('\n');
}

async function measure(
  form: string,
  template: Template,
  { hosts, interval }: ScaleCostOptions,
  progress: (line: string) => void,
): Promise<Measured> {
  const window = INTERVALS_OF_WINDOW * interval;
  const rules = rulesYaml({ ...STANDARD_OPTIONS, windowMs: window * 1000 });
  const native = form === 'native';
  const fleet = await Fleet.start({ hosts, template, native, rules, intervalSeconds: interval });
  try {
    progress(`${form}: ${hosts} hosts, for ${window} s until rates are full`);
    await sleep((window + interval) * 1000);
    const read = async () => ({
      ms: performance.now(),
      prometheusMs: processCpuMs(fleet.prometheusPid),
      serverMs: processCpuMs(fleet.serverPid),
      samples: await fleet.own('prometheus_tsdb_head_samples_appended_total'),
    });
    const before = await read();
    const groups = await evaluations(fleet, interval);
    const after = await read();
    const seconds = (after.ms - before.ms) / 1000;
    const share = (ms: number): number => ms / 1000 / seconds;
    const cores = share(after.prometheusMs - before.prometheusMs);
    const samples = (after.samples - before.samples) / seconds;
    const memory = residentMb(fleet.prometheusPid);
    const series = await fleet.own('prometheus_tsdb_head_series');
    const recorded = await fleet.value('count({__name__=~"rxscope.*:.*"})');
    const ruleSeconds = [...groups.values()].reduce((sum, all) => sum + Math.max(...all), 0);
    const missed = await fleet.own('prometheus_rule_group_iterations_missed_total');
    const appended = await fleet.own('prometheus_tsdb_head_samples_appended_total');
    const bytes = await fleet.chunkBytes();
    const slower = interval / STANDARD_INTERVAL_SECONDS;
    const bytesOfDay = (bytes / appended) * samples * slower * 86_400;
    const number = (value: number, digits = 0): string => value.toFixed(digits);
    const numbers = new Map([
      [
        'series of a host, scraped',
        number(await fleet.value('avg(scrape_samples_post_metric_relabeling > 0)')),
      ],
      ['series of a host, recorded', number(recorded / hosts)],
      ['series in memory', number(series)],
      [`samples a second, every ${interval} s`, number(samples)],
      [`CPUs of Prometheus, every ${interval} s`, number(cores, 2)],
      [`the same at ${STANDARD_INTERVAL_SECONDS} s`, number(cores * slower, 2)],
      [
        `CPUs of the simulator, every ${interval} s`,
        number(share(after.serverMs - before.serverMs), 2),
      ],
      [
        'memory of Prometheus, resident, MB (highest)',
        `${number(memory.now)} (${number(memory.highest)})`,
      ],
      ['hosts that answer', number(await fleet.value('sum(up)'))],
      ['evaluations missed', number(missed)],
      ['all groups, seconds of an evaluation, highest', number(ruleSeconds, 1)],
      ['bytes of a sample on disk', number(bytes / appended, 1)],
      [
        `MB of a host and day at ${STANDARD_INTERVAL_SECONDS} s`,
        number(bytesOfDay / hosts / 1e6, 1),
      ],
    ]);
    return { form, numbers, groups };
  } finally {
    await fleet.stop();
  }
}

/** How long each group took, several times. */
async function evaluations(fleet: Fleet, interval: number): Promise<Map<string, number[]>> {
  const seen = new Set<string>();
  const found = new Map<string, number[]>();
  const untilMs = performance.now() + EVALUATIONS * interval * 1000;
  while (performance.now() < untilMs) {
    for (const { name, lastEvaluation, evaluationTime } of await fleet.ruleGroups()) {
      if (seen.has(`${name} ${lastEvaluation}`)) continue;
      seen.add(`${name} ${lastEvaluation}`);
      found.set(name, [...(found.get(name) ?? []), evaluationTime]);
    }
    await sleep(500);
  }
  return found;
}
