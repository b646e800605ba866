// The configuration for Alertmanager that is shipped as an example, asked of amtool: it is valid, and each
// alert of the rules reaches the one it is meant for. test/e2e/fault_to_page.test.ts has it at work.

import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { ALERTS_FOLDER, alertingRules, alertsFile, unitTests } from './rule_files.ts';

const NAME = 'alertmanager.example.yaml';
const FILE = join(ALERTS_FOLDER, NAME);
const RECEIVERS: Readonly<Record<string, string>> = {
  critical: 'pager',
  warning: 'team',
  info: 'nobody',
};

test('amtool accepts it', async () => {
  const { stdout } = await execa('amtool', ['check-config', FILE]);
  expect(stdout).toContain('SUCCESS');
});

test.each(Object.entries(RECEIVERS))('what is %s goes to: %s', async (severity, receiver) => {
  const names = alertingRules()
    .filter(({ labels }) => labels.severity === severity)
    .map(({ alert }) => alert);
  expect(names.length).toBeGreaterThan(0);
  const route = ['config', 'routes', 'test', `--config.file=${FILE}`, `severity=${severity}`];
  const found = await Promise.all(
    names.map(async (name) => (await execa('amtool', [...route, `alertname=${name}`])).stdout),
  );
  expect(found).toEqual(names.map(() => receiver));
});

test('somebody else’s critical alerts are not for it to route', async () => {
  const labels = ['severity=critical', 'alertname=HostDown'];
  const { stdout } = await execa('amtool', [
    'config',
    'routes',
    'test',
    `--config.file=${FILE}`,
    ...labels,
  ]);
  expect(stdout).toBe('team');
});

const inhibitionSchema = z.object({
  inhibit_rules: z.tuple([
    z.object({
      source_matchers: z.array(z.string()),
      target_matchers: z.array(z.string()),
      equal: z.array(z.string()),
    }),
  ]),
});

test('a critical alert quiets the warning about the same thing, and about no other', () => {
  const [{ source_matchers, target_matchers, equal }] = inhibitionSchema.parse(
    parse(alertsFile(NAME)),
  ).inhibit_rules;
  const ours = 'alertname =~ "Rxscope.+"';
  expect(source_matchers).toEqual([ours, 'severity = critical']);
  expect(target_matchers).toEqual([ours, 'severity = warning']);
  // All labels but the severity of whatever is critical, as promtool's tests have it.
  const critical = unitTests()
    .flatMap(({ alert_rule_test }) => alert_rule_test)
    .flatMap(({ alertname, exp_alerts }) =>
      exp_alerts.map(({ exp_labels }): Record<string, string> => ({ alertname, ...exp_labels })),
    )
    .filter(({ severity }) => severity === 'critical');
  const labels = new Set(critical.flatMap((alert) => Object.keys(alert)));
  labels.delete('severity');
  expect(critical.length).toBeGreaterThan(3);
  expect([...labels].filter((label) => !equal.includes(label))).toEqual([]);
});
