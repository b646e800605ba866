// Every recording and alerting rule on real Prometheus servers that scrape a real agent under real traffic:
// two versions, with native histograms and without. When alerts fire is not tested here.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { PROBES } from '../../src/probes/index.ts';
import { rulesYaml } from '../../src/publish/rules/files.ts';
import { STANDARD_OPTIONS } from '../../src/publish/rules/options.ts';
import { promqlFacts } from '../publish/promql.ts';
import { type ParsedRule, rulesOf } from '../publish/rule_files.ts';
import { busyAgent, type Form, JOB, labelsByMetric, unknownIn } from './busy_agent.ts';
import { scratch } from './scratch.ts';

/** Short, but with several scrapes in the shortest window, of 6 s. */
const OPTIONS = { ...STANDARD_OPTIONS, job: JOB, windowMs: 15_000 };
const RULES = rulesOf(rulesYaml(OPTIONS));

/**
 * What may be missing among what is recorded, by its beginning: packets over loopback and veth come without a
 * card's interrupt, and no test may send to others. When somebody else's traffic made the card interrupt
 * meanwhile, as this query tells, it must be there like all other.
 */
const OF_CARD = { probe: 'irq_to_softirq', record: /^rxscope(_fleet)?:latency_seconds:/ } as const;
const CARD_SOFTIRQS =
  'max(last_over_time(rxscope:observations:rate15s{probe="irq_to_softirq"}[10m])) > 0';

/** An agent without TLS has none: test/e2e/web_config.test.ts scrapes one that has. */
const WITH_TLS_ONLY = 'rxscope_web_certificate_expiry_timestamp_seconds';

/** The time since the start of the agent, and more. */
const SINCE_START = '10m';
/** Rules read what others have recorded: the second evaluation after the first scrapes has all. */
const SOON = { timeout: 30_000, interval: 500 };

const { folder } = scratch();
const file = join(folder, 'rules.yaml');
writeFileSync(file, rulesYaml(OPTIONS));
const busy = busyAgent([file]);

describe.each(busy.settings)('$title', (setting) => {
  const server = () => busy.server(setting);

  test('every rule is evaluated without an error', async () => {
    await expect
      .poll(async () => {
        const rules = await server().rules();
        const unwell = rules.filter(({ health }) => health !== 'ok');
        return unwell.map(({ name, health, lastError }) => `${name}: ${health} ${lastError}`);
      }, SOON)
      .toEqual([]);
    const rules = await server().rules();
    expect(rules.length).toBe(RULES.length);
    const seconds = rules.reduce((sum, { evaluationTime }) => sum + evaluationTime, 0);
    console.log(`${setting.title}: ${rules.length} rules in ${(seconds * 1000).toFixed(1)} ms`);
  });

  test('every recording rule has recorded something of the traffic', async () => {
    const recorded = ({ record = '', labels }: ParsedRule) => {
      const matchers = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
      return `last_over_time(${record}{${matchers.join()}}[${SINCE_START}])`;
    };
    await expect.poll(() => withoutData(RULES, recorded), SOON).toEqual([]);
  });

  test('every rule of its own form has data, too', async () => {
    const histograms = setting.form === 'both' ? 'classic' : setting.form;
    const rules = rulesOf(rulesYaml({ ...OPTIONS, histograms }));
    expect(rules.length).toBe(RULES.length);
    // Over the time since the start, so that the traffic is in it.
    const sinceStart = ({ expr }: ParsedRule) => expr.replaceAll('[15s]', `[${SINCE_START}]`);
    await expect.poll(() => withoutData(rules, sinceStart), SOON).toEqual([]);
  });

  test('whatever a rule selects is there: also what an alert is silent about', async () => {
    const selections = new Map(
      RULES.flatMap((rule) =>
        promqlFacts(rule.expr).selections.map(({ text, metric }) => [text, { metric, rule }]),
      ),
    );
    expect(selections.size).toBeGreaterThan(60);
    const absent = async (): Promise<string[]> => {
      const found: string[] = [];
      for (const [text, { metric, rule }] of selections) {
        if (metric === WITH_TLS_ONLY || otherForm(metric, setting.form)) continue;
        const samples = await server().query(`last_over_time(${text}[${SINCE_START}])`);
        if (samples.length === 0 && !(await isExcused(rule)))
          found.push(`${rule.alert ?? rule.record}: ${text}`);
      }
      return found;
    };
    await expect.poll(absent, SOON).toEqual([]);
  });

  test('finds nothing strange in any expression', async () => {
    const strange: string[] = [];
    for (const { expr, alert, record } of RULES) {
      const { remarks } = await server().ask(expr);
      strange.push(...remarks.map((remark) => `${alert ?? record}: ${remark}`));
    }
    expect(strange).toEqual([]);
  });

  test('rules ask only for metrics and labels that the agent has or other rules record', async () => {
    const known = labelsByMetric((await busy.agent().scrape()).body);
    known.set(WITH_TLS_ONLY, new Set());
    console.log(`${setting.title}: ${WITH_TLS_ONLY} is not asked for: this agent has no TLS`);
    for (const { metric } of await server().query('{__name__=~"rxscope(_fleet|_host)?:.+"}')) {
      const { __name__: name = '', ...labels } = metric;
      known.set(name, new Set([...(known.get(name) ?? []), ...Object.keys(labels)]));
    }
    const wrong = RULES.flatMap(({ expr, alert, record }) =>
      unknownIn(expr, known).map((one) => `${alert ?? record}: ${one}`),
    );
    expect(wrong).toEqual([]);
  });

  /** Recording rules for which the query has no result, less those that are excused. */
  async function withoutData(
    rules: readonly ParsedRule[],
    query: (rule: ParsedRule) => string,
  ): Promise<string[]> {
    const without: string[] = [];
    for (const rule of rules) {
      if (rule.record === undefined || (await server().query(query(rule))).length > 0) continue;
      const name = `${rule.record} ${rule.labels.probe ?? ''}`;
      if (await isExcused(rule)) console.log(`${setting.title}: ${name}: the card was quiet`);
      else without.push(name);
    }
    return without;
  }

  async function isExcused({ record = '', labels }: ParsedRule): Promise<boolean> {
    if (labels.probe !== OF_CARD.probe || !OF_CARD.record.test(record)) return false;
    return (await server().query(CARD_SOFTIRQS)).length === 0;
  }
});

/** Of two forms of a latency, a rule for both selects one in vain. */
function otherForm(metric: string, form: Form): boolean {
  const [, probe, end] = /^rxscope_(\w+)_seconds(_bucket|_count)?$/.exec(metric) ?? [];
  if (form === 'both' || !PROBES.some(({ id }) => id === probe)) return false;
  return (end === undefined) === (form === 'classic');
}
