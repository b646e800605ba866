// The rules as files: equal to their source, accepted and tested by promtool, complete, and about
// nothing but metrics that exist.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { selfFamilies } from '../../src/metrics/self_families.ts';
import { ruleFiles, ruleGroups, rulesYaml } from '../../src/publish/rules/files.ts';
import { type RuleOptions, STANDARD_OPTIONS } from '../../src/publish/rules/options.ts';
import { scratch } from '../e2e/scratch.ts';
import { prometheusVersions } from '../metrics/prometheus_versions.ts';
import { WholeAgent, writeMachine } from '../metrics/whole_machine.ts';
import {
  ALERTS_FOLDER,
  alertingRules,
  alertsFile,
  rulesOf,
  UNIT_TESTS,
  unitTests,
} from './rule_files.ts';

const { folder } = scratch();

describe('grafana/alerts', () => {
  test.each([...ruleFiles(STANDARD_OPTIONS).keys()])('%s equals its source', (name) => {
    const advice = 'run `npx tsx src/commands/main.ts rules --out grafana/alerts`';
    expect(alertsFile(name) === ruleFiles(STANDARD_OPTIONS).get(name), advice).toBe(true);
  });

  test('the PrometheusRule has the groups of the rules', () => {
    const manifest = parse(alertsFile('rxscope.prometheusrule.yaml')) as Manifest;
    expect(manifest).toMatchObject({
      apiVersion: 'monitoring.coreos.com/v1',
      kind: 'PrometheusRule',
      metadata: { name: 'rxscope' },
    });
    const { groups } = parse(alertsFile('rxscope.rules.yaml')) as Manifest['spec'];
    expect(manifest.spec.groups).toEqual(groups);
  });
});

interface Manifest {
  readonly spec: { readonly groups: readonly unknown[] };
}

describe.each(prometheusVersions())('promtool of $name', ({ promtool }) => {
  const CHOICES: readonly (Partial<RuleOptions> & { readonly title: string })[] = [
    { title: 'as they are' },
    { title: 'of native histograms only', histograms: 'native' },
    { title: 'of classic histograms only', histograms: 'classic' },
    { title: 'with a window of 15 s', windowMs: 15_000 },
    { title: 'with an odd window', windowMs: 7_001 },
    { title: 'for a job with quotes', job: 'the "net" \\ job' },
    { title: 'with a further reason of loss', lossReasons: ['NO_SOCKET'] },
  ];

  test.each(CHOICES)('accepts the rules $title', async ({ title: _, ...chosen }) => {
    const file = join(folder, 'rules.yaml');
    const yaml = rulesYaml({ ...STANDARD_OPTIONS, ...chosen });
    writeFileSync(file, yaml);
    const { stdout } = await execa(promtool, [
      'check',
      'rules',
      '--lint=all',
      '--lint-fatal',
      file,
    ]);
    expect(stdout).toContain(`SUCCESS: ${rulesOf(yaml).length} rules found`);
  });

  test.concurrent.each(UNIT_TESTS)('passes the tests of %s', async (name) => {
    const { stdout } = await execa(promtool, ['test', 'rules', name], { cwd: ALERTS_FOLDER });
    expect(stdout).toContain('SUCCESS');
  });
});

describe('options', () => {
  test('the window moves all times in proportion, and the names of what is recorded', () => {
    const rules = rulesOf(rulesYaml({ ...STANDARD_OPTIONS, windowMs: 15_000 }));
    const text = rules.map(({ expr, record = '' }) => `${record} ${expr}`).join('\n');
    expect(
      [...new Set(text.match(/(?<=\[|offset |_rate|:rate)(\d+(ms|[smhd]))+/g))].sort(),
    ).toEqual(['15s', '18m', '1h12m', '1m30s', '3h36m', '3m', '6m', '6s'].sort());
    const holds = new Set(rules.map((rule) => rule.for));
    expect(holds).toEqual(new Set([undefined, '3s', '6s', '15s', '30s', '45s']));
  });

  test.each([
    [15_000, '6s'],
    [300_000, '2m'],
    // Beyond five minutes Prometheus would not find the sample before.
    [3_600_000, '2m'],
  ])('with a window of %i ms days are read every %s', (windowMs, interval) => {
    const groups = ruleGroups({ ...STANDARD_OPTIONS, windowMs });
    const long = groups.filter((group) => group.interval !== undefined);
    expect(long.map((group) => [group.name, group.interval])).toEqual([
      ['rxscope.budgets_long', interval],
    ]);
  });

  test('native rules read no buckets, classic ones nothing else', () => {
    const native = rulesYaml({ ...STANDARD_OPTIONS, histograms: 'native' });
    expect(native).not.toMatch(/_seconds_(bucket|count)\b/);
    expect(native).toContain('histogram_count(');
    const classic = rulesYaml({ ...STANDARD_OPTIONS, histograms: 'classic' });
    expect(classic).not.toMatch(/histogram_count\(|_socket_seconds\{/);
  });

  test('each threshold is in the rules', () => {
    const standard = rulesYaml(STANDARD_OPTIONS);
    for (const name of Object.keys(STANDARD_OPTIONS.thresholds)) {
      const thresholds = { ...STANDARD_OPTIONS.thresholds, [name]: 0.123_457 };
      const changed = rulesYaml({ ...STANDARD_OPTIONS, thresholds });
      expect(changed, name).not.toBe(standard);
      expect(changed, name).toContain('0.123457');
    }
  });

  test('a further reason of loss joins the others', () => {
    const expr = rulesOf(rulesYaml({ ...STANDARD_OPTIONS, lossReasons: ['NO_SOCKET'] })).find(
      ({ alert }) => alert === 'RxscopeDrops',
    )?.expr;
    expect(expr).toMatch(/reason=~"\\\\\(card\\\\\)\|PROTO_MEM\|.*\|NO_SOCKET"/);
  });
});

describe('each alert', () => {
  const alerts = alertingRules();
  const names = [...new Set(alerts.map(({ alert }) => alert))];

  test('there are alerts', () => expect(names.length).toBeGreaterThan(10));

  test.each(alerts.map((rule) => ({ ...rule, severity: rule.labels.severity })))(
    '$alert ($severity) has all of its texts',
    ({ alert, annotations, severity = '' }) => {
      expect(alert).toMatch(/^Rxscope[A-Z]\w+$/);
      expect(['critical', 'warning', 'info']).toContain(severity);
      expect(Object.keys(annotations)).toEqual(['summary', 'description', 'runbook_url']);
      // Notifications are grouped by it.
      expect(annotations.summary).toMatch(/^[^{]+\.$/);
      expect(annotations.description).toMatch(/\{\{.*\.$/);
      // Without its unit a number says nothing; what is up or not has none.
      if (!/Agent(Down|Absent)|ProbeDown|ConfigurationRefused/.test(alert))
        expect(annotations.description).toMatch(/\$value \| humanize/);
    },
  );

  test('occurs once for each severity', () => {
    const keys = alerts.map(({ alert, labels }) => `${alert} ${labels.severity}`);
    expect(new Set(keys).size).toBe(keys.length);
  });

  test('has a section of the runbook, and each section an alert', () => {
    const sections = [...alertsFile('runbook.md').matchAll(/^## (.+)$/gm)].map(([, name]) => name);
    expect(sections).toEqual(names);
    for (const { alert, annotations } of alerts)
      expect(annotations.runbook_url).toBe(`runbook.md#${alert.toLowerCase()}`);
  });

  test.each(names)('%s has a runbook that says what to do', (name) => {
    const section = alertsFile('runbook.md').split(`## ${name}\n`)[1]?.split(/\n#+ /)[0] ?? '';
    expect(section).toMatch(/\*\*What it means\.\*\* .{40}/);
    expect(section).toMatch(/\*\*What to look at\*\*\n\n1\. /);
    expect(section).toMatch(/\n```\n[^`]+\n```\n/);
    expect(section).toMatch(/\| what to change \| what it costs \|\n\|---\|---\|\n\| .+ \| .+ \|/);
  });

  test('fires in a unit test for each severity, and is silent in it for others', () => {
    const expectations = unitTests().flatMap((one) => one.alert_rule_test);
    const firing = expectations.flatMap(({ alertname, exp_alerts }) =>
      exp_alerts.map(({ exp_labels }) => `${alertname} ${exp_labels.severity}`),
    );
    const wanted = alerts.map(({ alert, labels }) => `${alert} ${labels.severity}`);
    expect([...new Set(firing)].sort()).toEqual(wanted.sort());
    // Before its time, or with a value just below.
    const silent = expectations.filter(({ exp_alerts }) => exp_alerts.length === 0);
    expect([...new Set(silent.map(({ alertname }) => alertname))].sort()).toEqual(names.sort());
  });
});

describe('the expressions', () => {
  const rules = rulesOf(alertsFile('rxscope.rules.yaml'));

  test('read only metrics that an agent exports, with labels that they have', async () => {
    const agent = new WholeAgent(writeMachine(join(folder)));
    const { families } = await agent.uncapped(1_009);
    const programs = { probes: [], packets: undefined, collectors: [], reloadSucceeded: true };
    const tls = { certificateExpiresAt: 1, lostLogLines: 0 };
    const build = { version: '', revision: '', kernel: '', nodeversion: '' };
    const more = selfFamilies({ ...programs, ...tls, build, programs: [], programShare: 0.5 });
    const labels = new Map([['up', new Set<string>()]]);
    for (const { name, samples } of [
      ...families,
      ...agent.capped({ families, foldedCpus: new Map() }),
      ...more,
    ])
      labels.set(name, new Set(samples.flatMap((sample) => Object.keys(sample.labels))));
    const selectors = rules.flatMap(({ expr }) => [
      ...expr.matchAll(/(?<![\w:])(\w+)\{([^}]*)\}/g),
    ]);
    const wrong = selectors.flatMap(([selector, name = '', matchers = '']) => {
      const known = labels.get(name.replace(/_seconds_(bucket|count)$/, '_seconds'));
      if (known === undefined) return [`no metric: ${selector}`];
      return [...matchers.matchAll(/(\w+)(=~|!~|!=|=)"/g)]
        .map(([, label = '']) => label)
        .filter((label) => label !== 'job' && !known.has(label))
        .map((label) => `no label ${label}: ${selector}`);
    });
    expect(selectors.length).toBeGreaterThan(80);
    expect(wrong).toEqual([]);
  });

  test('read only what is recorded', () => {
    const records = new Set(rules.flatMap(({ record }) => record ?? []));
    const read = rules.flatMap(({ expr }) => expr.match(/\brxscope:[\w:]+/g) ?? []);
    expect(new Set(read).size).toBeGreaterThan(10);
    expect(read.filter((name) => !records.has(name))).toEqual([]);
  });

  test('all select the job', () => {
    for (const { expr } of rules) {
      const selectors =
        expr.match(/\b(up|rxscope[_:][\w:]*|process_\w+)\b(?!")\{?[^}[)\s]*/g) ?? [];
      for (const one of selectors) expect(one).toContain('{job="rxscope"');
    }
  });
});
