// The files that belong to the rules, by name. Nothing is written here.

import { alertGroups } from './alerts.ts';
import { mixin } from './mixin.ts';
import type { RuleGroup } from './model.ts';
import type { RuleOptions } from './options.ts';
import { recordingGroups } from './recording.ts';
import { runbook } from './runbook.ts';
import { termsOf } from './terms.ts';
import { prometheusRule, rulesFile } from './yaml.ts';

/** Recording rules first, for the reader: Prometheus evaluates groups beside each other, promtool in no order. */
export function ruleGroups(options: RuleOptions): RuleGroup[] {
  const terms = termsOf(options);
  return [...recordingGroups(terms), ...alertGroups(terms)];
}

/** What `rxscope rules` prints. */
export function rulesYaml(options: RuleOptions): string {
  return rulesFile(ruleGroups(options));
}

/** What `rxscope rules --out` writes. The mixin has its own way to choose, and is always the same. */
export function ruleFiles(options: RuleOptions): ReadonlyMap<string, string> {
  return new Map([
    ['rxscope.rules.yaml', rulesYaml(options)],
    ['rxscope.prometheusrule.yaml', prometheusRule(ruleGroups(options))],
    ['mixin.libsonnet', mixin()],
    ['runbook.md', runbook(termsOf(options))],
  ]);
}
