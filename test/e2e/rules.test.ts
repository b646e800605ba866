// Every recording and alerting rule on real Prometheus servers that scrape a real agent under real traffic:
// two versions, with native histograms and without. That alerts fire when they should is not tested here.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { rulesYaml } from '../../src/publish/rules/files.ts';
import { STANDARD_OPTIONS } from '../../src/publish/rules/options.ts';
import { promqlFacts } from '../publish/promql.ts';
import { type ParsedRule, rulesOf } from '../publish/rule_files.ts';
import { busyAgent, type Form, JOB, labelsByMetric, TARGET_LABELS } from './busy_agent.ts';
import { scratch } from './scratch.ts';

/** Short, but with more than one scrape a second in its shortest window, 6 s. */
const OPTIONS = { ...STANDARD_OPTIONS, job: JOB, windowMs: 15_000 };
const RULES = rulesOf(rulesYaml(OPTIONS));
const RECORDING = RULES.flatMap(({ record, ...rule }) =>
  record === undefined ? [] : [{ ...rule, record }],
);

/** The time since the agent was started, and more. */
const SINCE_START = '10m';

const { folder } = scratch();
const file = join(folder, 'rules.yaml');
writeFileSync(file, rulesYaml(OPTIONS));
const busy = busyAgent([file]);

describe.each(busy.settings)('$title', (setting) => {
  const server = () => busy.server(setting);

  test('every rule is evaluated without an error', async () => {
    await expect.poll(unwell, { timeout: 30_000 }).toEqual([]);
    console.log('missing', await missing());
    const rules = await server().rules();
    expect(rules.length).toBe(RULES.length);
    const seconds = rules.reduce((sum, { evaluationTime }) => sum + evaluationTime, 0);
    console.log(`${setting.title}: ${rules.length} rules in ${(seconds * 1000).toFixed(1)} ms`);
  });

  async function unwell(): Promise<string[]> {
    const rules = await server().rules();
    return rules.flatMap(({ name, health, lastError }) =>
      health === 'ok' ? [] : [`${name}: ${health} ${lastError}`],
    );
  }

  async function missing(): Promise<string[]> {
    const without: string[] = [];
    for (const { record, labels } of RECORDING) {
      const found = await server().query(
        `last_over_time(${selector(record, labels)}[${SINCE_START}])`,
      );
      if (found.length === 0) without.push(`${record} ${labels.probe ?? ''}`);
    }
    return without;
  }

  test('selectors of alerts', async () => {
    for (const rule of RULES)
      for (const { text } of promqlFacts(rule.expr).selections) {
        const found = await server().query(`last_over_time(${text}[${SINCE_START}])`);
        if (found.length === 0) console.log(`empty: ${rule.alert ?? rule.record}: ${text}`);
      }
  });
  test('remarks', async () => {
    for (const rule of RULES) {
      const { remarks } = await server().ask(rule.expr);
      for (const r of remarks) console.log(`${rule.alert ?? rule.record}: ${r}`);
    }
  });
});

function selector(name: string, labels: Readonly<Record<string, string>>): string {
  const matchers = Object.entries(labels).map(
    ([label, value]) => `${label}=${JSON.stringify(value)}`,
  );
  return `${name}{${matchers.join()}}`;
}
