// What the tests of the rules have in common: the checked-in files, read as their users read them.

import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { ROOT, textOf } from '../repo/project_files.ts';

export const ALERTS_FOLDER = join(ROOT, 'grafana/alerts');

export function alertsFile(name: string): string {
  return textOf(`grafana/alerts/${name}`);
}

const ruleSchema = z.object({
  record: z.string().optional(),
  alert: z.string().optional(),
  expr: z.string(),
  for: z.string().optional(),
  labels: z.record(z.string(), z.string()).default({}),
  annotations: z.record(z.string(), z.string()).default({}),
});
const groupsSchema = z.array(z.object({ name: z.string(), rules: z.array(ruleSchema) }));
export type ParsedRule = z.output<typeof ruleSchema>;

export function rulesOf(yaml: string): ParsedRule[] {
  return z
    .object({ groups: groupsSchema })
    .parse(parse(yaml))
    .groups.flatMap(({ rules }) => rules);
}

/** The alerting rules as they are checked in. */
export function alertingRules(): (ParsedRule & { readonly alert: string })[] {
  return rulesOf(alertsFile('rxscope.rules.yaml')).flatMap((rule) =>
    rule.alert === undefined ? [] : [{ ...rule, alert: rule.alert }],
  );
}

const testSchema = z.object({
  tests: z.array(
    z.object({
      name: z.string(),
      alert_rule_test: z
        .array(
          z.object({
            eval_time: z.string(),
            alertname: z.string(),
            exp_alerts: z.array(
              z.object({
                exp_labels: z.record(z.string(), z.string()),
                exp_annotations: z.record(z.string(), z.string()),
              }),
            ),
          }),
        )
        .default([]),
    }),
  ),
});

export const UNIT_TESTS = ['rxscope.rules.test.yaml', 'rxscope.burn.test.yaml'] as const;

/** What the promtool tests expect, of all files together. */
export function unitTests(): z.output<typeof testSchema>['tests'] {
  return UNIT_TESTS.flatMap((name) => testSchema.parse(parse(alertsFile(name))).tests);
}
