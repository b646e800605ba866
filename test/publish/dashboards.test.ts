// The checked-in dashboards against their source, Grafana's types and the rules of the house. What only
// a Grafana server could tell, how a panel is drawn, is not tested: there is none here.

import * as units from '@grafana/grafana-foundation-sdk/units';
import { describe, expect, test } from 'vitest';
import { dashboardTexts } from '../../tools/dashboards/index.ts';
import { variable } from '../../tools/dashboards/panel.ts';
import { projectFiles, textOf } from '../repo/project_files.ts';
import {
  DASHBOARD_FILES,
  EXAMPLES,
  FILES,
  FOLDER,
  interpolated,
  panelsOf,
  queriesOf,
} from './dashboards.ts';
import { complaints, type Judged } from './grafana_types.ts';
import { promqlFacts } from './promql.ts';

const RUNBOOK = variable('runbook');
const GENERATE = 'run: npx tsx tools/dashboards/generate.ts';

test('the checked-in files are what their source generates', () => {
  const texts = dashboardTexts();
  expect(FILES, GENERATE).toEqual([...texts.keys()].sort());
  for (const [file, text] of texts)
    expect(textOf(`${FOLDER}/${file}`) === text, `${file}: ${GENERATE}`).toBe(true);
});

describe('by the types that Grafana publishes', () => {
  const files = () =>
    FILES.map((file) => ({
      name: file.replace('.json', ''),
      ...(JSON.parse(textOf(`${FOLDER}/${file}`)) as Omit<Judged, 'name'>),
    }));

  test('every dashboard, panel option and query is of its type, and nothing else', () => {
    expect(complaints(files())).toEqual([]);
    console.log('no Grafana server here: types are checked, how panels are drawn is not');
  });

  test.each([
    ['an option that the panel does not have', { options: { nonsense: 1 } }, /nonsense/],
    ['a value that no enum has', { options: { graphMode: 'areal' } }, /areal/],
    ['a setting that no panel has', { unknown: 1 }, /unknown/],
    [
      'an override of a setting that no field has',
      { fieldConfig: { overrides: [{ properties: [{ id: 'colour', value: 1 }] }] } },
      /colour/,
    ],
  ])('%s would be found', (_, change, message) => {
    const [first] = files();
    const panels = structuredClone(first?.panels ?? []);
    const stat = panels.findIndex(({ type }) => type === 'stat');
    const { options = {} } = change as { options?: object };
    const changed = { ...panels[stat], ...change, type: 'stat' };
    const whole = { ...changed, options: { ...(panels[stat]?.options as object), ...options } };
    const broken = { ...first, name: 'broken', panels: panels.with(stat, whole) };
    expect(complaints([broken]).join('\n')).toMatch(message);
  });
});

describe('names', () => {
  test('uids stay: bookmarks, links and provisioning name a dashboard by them', () => {
    expect(DASHBOARD_FILES.map(({ uid }) => uid).sort()).toEqual([
      'rxscope-agent',
      'rxscope-cpus',
      'rxscope-drops',
      'rxscope-overview',
      'rxscope-path',
    ]);
  });

  test.each(each())('%s: every panel and row has an id of its own', (_, { panels }) => {
    const ids = panels.flatMap(({ id, panels: inner }) => [id, ...inner.map((one) => one.id)]);
    expect(ids.length).toBe(new Set(ids).size);
  });
});

describe('variables', () => {
  test.each(each())('%s: the data source is a variable everywhere', (_, dashboard) => {
    const expected = { type: 'prometheus', uid: variable('datasource') };
    for (const panel of panelsOf(dashboard))
      for (const { datasource } of [panel, ...panel.targets])
        expect(datasource, panel.title).toEqual(expected);
    for (const one of dashboard.templating.list)
      if (one.type === 'query') expect(one.datasource, one.name).toEqual(expected);
  });

  test.each(each())('%s: has job, instance and, where it is asked for, device', (_, dashboard) => {
    const used = queriesOf(dashboard).some(({ expr }) => expr.includes('$device'));
    expect(dashboard.templating.list.map(({ name }) => name)).toEqual([
      ...['datasource', 'job', 'instance'],
      ...(used ? ['device'] : []),
      'runbook',
    ]);
  });

  test.each(each())('%s: every selector takes job and instance from them', (_, dashboard) => {
    const several = dashboard.templating.list.find(({ name }) => name === 'job')?.multi === true;
    const pair = several ? 'job=~"$job",instance=~"$instance"' : 'job="$job",instance="$instance"';
    for (const { place, expr } of queriesOf(dashboard)) {
      const { selections } = promqlFacts(interpolated(expr, EXAMPLES));
      expect(selections.length, place).toBeGreaterThan(0);
      expect(expr.split(pair).length - 1, `${place}: ${pair}`).toBe(selections.length);
      // And from nowhere else.
      expect(expr.match(/\bjob\s*[=!]~?"/g)?.length, place).toBe(selections.length);
    }
  });
});

describe('panels', () => {
  const known = new Set<unknown>(Object.values(units));

  test.each(each())('%s: each has a unit that Grafana knows', (_, dashboard) => {
    for (const { title, fieldConfig } of panelsOf(dashboard))
      expect(known.has(fieldConfig?.defaults.unit), `${title}: ${fieldConfig?.defaults.unit}`).toBe(
        true,
      );
  });

  test.each(each())('%s: each says how to read it and what to do', (_, dashboard) => {
    for (const { title, description = '' } of panelsOf(dashboard)) {
      const [reading = '', remedy = ''] = description.split(
        /\*\*What to do when it is [\w ]+:\*\*/,
      );
      expect(reading.trim().length, title).toBeGreaterThan(20);
      expect(remedy.trim().length, title).toBeGreaterThan(20);
    }
  });

  test.each(each())('%s: they fill the grid without lying on each other', (_, { panels }) => {
    const open = panels.map(({ gridPos }) => gridPos);
    const folded = panels.filter(({ panels: inner }) => inner.length > 0);
    for (const places of [open, ...folded.map((row) => row.panels.map((one) => one.gridPos))]) {
      for (const place of places) expect(place.x + place.w).toBeLessThanOrEqual(24);
      for (const [index, a] of places.entries())
        for (const b of places.slice(index + 1))
          expect(
            a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h,
            JSON.stringify([a, b]),
          ).toBe(false);
    }
  });
});

describe('queries', () => {
  test.each(each())('%s: all are PromQL', (_, dashboard) => {
    for (const { place, expr } of queriesOf(dashboard))
      expect(promqlFacts(interpolated(expr, EXAMPLES)).errors, place).toEqual([]);
  });

  test.each(each())('%s: rates have the interval that suits the scrapes', (_, dashboard) => {
    const intervals = queriesOf(dashboard).flatMap(({ expr }) => expr.match(/\[[^\]]*\]/g) ?? []);
    expect(new Set(intervals)).toEqual(new Set(['[$__rate_interval]']));
  });

  test.each(each())('%s: nothing makes a dead agent look idle', (_, dashboard) => {
    for (const { place, expr } of queriesOf(dashboard))
      expect(expr, place).not.toMatch(/\bvector\s*\(|\babsent/);
  });
});

describe('links', () => {
  test.each(each())('%s: leads to the others, with its variables and its time', (_, { links }) => {
    const toOthers = links.find(({ type }) => type === 'dashboards');
    expect(toOthers).toMatchObject({ tags: ['rxscope'], includeVars: true, keepTime: true });
    expect(links.find(({ title }) => title === 'Runbook')?.url).toBe(RUNBOOK);
  });

  test('links within panels lead to dashboards that exist', () => {
    const text = FILES.map((file) => textOf(`${FOLDER}/${file}`)).join('\n');
    const uids = [...text.matchAll(/\/d\/([\w-]+)/g)].map((match) => match[1]);
    expect(uids.length).toBeGreaterThan(0);
    for (const uid of uids) expect(DASHBOARD_FILES.map((one) => one.uid)).toContain(uid);
  });

  test('links to the runbook lead to sections that exist', () => {
    const headings = [...textOf('grafana/alerts/runbook.md').matchAll(/^#+ (.+)$/gm)];
    const anchors = headings.map((match) => match[1]?.toLowerCase());
    for (const dashboard of DASHBOARD_FILES)
      for (const { title, links } of panelsOf(dashboard))
        for (const { url } of links)
          expect(anchors, title).toContain(url?.replace(`${RUNBOOK}#`, ''));
  });
});

test('only the generator of the dashboards needs the SDK, which users do not install', () => {
  const users = projectFiles()
    .filter((file) => file.startsWith('src/'))
    .filter((file) => importsOf(file).includes('grafana-foundation-sdk'));
  expect(users, 'take it from src/publish/dashboard_files.ts').toEqual([]);
});

function importsOf(file: string): string {
  return (textOf(file).match(/^(?:import|export) [^;]*from '[^']*'/gm) ?? []).join('\n');
}

function each() {
  return DASHBOARD_FILES.map((one) => [one.uid, one] as const);
}
