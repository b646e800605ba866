// grafana/SCALE.md: its examples are what Prometheus reads, and ask for nothing that is not recorded.

import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { rulesYaml } from '../../src/publish/rules/files.ts';
import { STANDARD_OPTIONS } from '../../src/publish/rules/options.ts';
import { scratch } from '../e2e/scratch.ts';
import { rulesOf } from '../publish/rule_files.ts';
import { textOf } from '../repo/project_files.ts';

const PAGE = textOf('grafana/SCALE.md');
const EXAMPLES = [...PAGE.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, yaml = '']) => ({
  title: yaml.split('\n')[0] ?? '',
  yaml,
}));
const files = scratch();

test('the page has examples of sharding, remote writing, federation and rules', () => {
  const keys = new Set(EXAMPLES.flatMap(({ yaml }) => Object.keys(parse(yaml) as object)));
  expect([...keys].sort()).toEqual(['global', 'groups', 'remote_write', 'scrape_configs']);
});

describe('promtool accepts', () => {
  test.each(EXAMPLES)('$title', async ({ yaml }) => {
    const file = files.write('example.yaml', yaml);
    const what = 'groups' in (parse(yaml) as object) ? ['rules'] : ['config', '--syntax-only'];
    const { stdout } = await execa('promtool', ['check', ...what, file]);
    expect(stdout).toContain('SUCCESS');
  });
});

test('every recorded name on the page is one that the rules, or the page, record', () => {
  const ofPage = EXAMPLES.filter(({ yaml }) => yaml.includes('\ngroups:'));
  const rules = [rulesYaml(STANDARD_OPTIONS), ...ofPage.map(({ yaml }) => yaml)].flatMap(rulesOf);
  const known = new Set(rules.map(({ record }) => record));
  const named = [...PAGE.matchAll(/\brxscope\w*:\w+:\w+/g)].map(([name]) => name);
  expect(named.length).toBeGreaterThan(3);
  expect(named.filter((name) => !known.has(name))).toEqual([]);
});
