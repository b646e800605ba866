// The mixin, evaluated by the real jsonnet: the same rules as `rxscope rules` prints, as they are and
// with other choices.

import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { ruleGroups } from '../../src/publish/rules/files.ts';
import { type RuleOptions, STANDARD_OPTIONS } from '../../src/publish/rules/options.ts';
import { ALERTS_FOLDER } from './rule_files.ts';

const FILE = join(ALERTS_FOLDER, 'mixin.libsonnet');
const { thresholds } = STANDARD_OPTIONS;

const CHOICES: readonly { title: string; config: string; options: Partial<RuleOptions> }[] = [
  { title: 'as it is', config: '', options: {} },
  {
    title: 'for another job and runbook',
    config: `rxscopeSelector: 'job="net"', rxscopeRunbookUrl: 'https://wiki.example/rx'`,
    options: { job: 'net', runbookUrl: 'https://wiki.example/rx' },
  },
  {
    title: 'with a window of 15 s',
    config: 'rxscopeWindowSeconds: 15',
    options: { windowMs: 15_000 },
  },
  {
    title: 'with a window of 7.001 s',
    config: 'rxscopeWindowSeconds: 7.001',
    options: { windowMs: 7_001 },
  },
  {
    title: 'with a window of an hour',
    config: 'rxscopeWindowSeconds: 3600',
    options: { windowMs: 3_600_000 },
  },
  {
    title: 'of native histograms only',
    config: `rxscopeHistograms: 'native'`,
    options: { histograms: 'native' },
  },
  {
    title: 'of classic histograms only',
    config: `rxscopeHistograms: 'classic'`,
    options: { histograms: 'classic' },
  },
  {
    title: 'with other thresholds, as strings or numbers',
    config: `objective: '0.95', softirqMax: 0.5, dropsWarning: '0.002'`,
    options: {
      thresholds: { ...thresholds, objective: 0.95, softirqMax: 0.5, dropsWarning: 0.002 },
    },
  },
];

test.each(CHOICES)('$title it has the rules that are printed', async ({ config, options }) => {
  const program = `
    local mixin = (import '${FILE}') + { _config+:: { ${config} } };
    mixin.prometheusRules.groups + mixin.prometheusAlerts.groups`;
  const { stdout } = await execa('jsonnet', ['-e', program]);
  expect(JSON.parse(stdout)).toEqual(ruleGroups({ ...STANDARD_OPTIONS, ...options }));
});

test('it shows nothing where it is imported but to be added to', async () => {
  expect((await execa('jsonnet', [FILE])).stdout).toBe('{ }');
});

test('it is laid out as jsonnetfmt does', async () => {
  expect((await execa('jsonnetfmt', ['--test', FILE])).exitCode).toBe(0);
});
