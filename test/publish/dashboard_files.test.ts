// What `rxscope dashboards` makes of the checked-in files: forms of histograms, job, runbook.

import { describe, expect, test } from 'vitest';
import { PROBES } from '../../src/probes/index.ts';
import {
  adapt,
  DASHBOARD_NAMES,
  type DashboardJson,
  type DashboardOptions,
  fileNameOf,
  inForm,
  readDashboard,
} from '../../src/publish/dashboard_files.ts';
import { textOf } from '../repo/project_files.ts';
import {
  type DashboardFile,
  EXAMPLES,
  FILES,
  FOLDER,
  interpolated,
  queriesOf,
} from './dashboards.ts';
import { promqlFacts } from './promql.ts';

const LATENCIES = PROBES.map(({ id }) => `rxscope_${id}_seconds`);

test('with both forms of histograms the files are left as they are', () => {
  expect(DASHBOARD_NAMES.map(fileNameOf).sort()).toEqual(FILES);
  for (const name of DASHBOARD_NAMES)
    expect(readDashboard(name, { histograms: 'auto' })).toEqual(
      JSON.parse(textOf(`${FOLDER}/${fileNameOf(name)}`)),
    );
});

describe('a query of two forms', () => {
  const query = 'max(\na{} # native\nor # either\nb{} # classic\n) / c{}';

  test.each([
    ['native', 'max(\na{}\n) / c{}'],
    ['classic', 'max(\nb{}\n) / c{}'],
    ['auto', query],
  ] as const)('as %s', (form, expected) => {
    expect(inForm(query, form)).toBe(expected);
  });
});

describe.each(DASHBOARD_NAMES)('%s', (name) => {
  const metrics = (histograms: 'native' | 'classic') =>
    queriesOf(read(name, { histograms })).flatMap(({ place, expr }) => {
      const { errors, selections } = promqlFacts(interpolated(expr, EXAMPLES));
      expect(errors, place).toEqual([]);
      return selections.map(({ metric }) => metric);
    });

  test('in its native form asks for no classic latency', () => {
    const classic = LATENCIES.flatMap((one) => [`${one}_bucket`, `${one}_sum`, `${one}_count`]);
    expect(metrics('native').filter((metric) => classic.includes(metric))).toEqual([]);
  });

  test('in its classic form asks for no native latency', () => {
    expect(metrics('classic').filter((metric) => LATENCIES.includes(metric))).toEqual([]);
  });

  test('has the same panels in every form, each with a query', () => {
    const panels = (['auto', 'native', 'classic'] as const).map((histograms) => {
      const dashboard = read(name, { histograms });
      return [...new Set(queriesOf(dashboard).map(({ panel }) => panel.id))];
    });
    expect(panels[1]).toEqual(panels[0]);
    expect(panels[2]).toEqual(panels[0]);
  });

  test('opens with the job and the runbook that are asked for, all else as before', () => {
    const options = { histograms: 'auto', job: 'edge', runbookUrl: 'https://wiki/rx' } as const;
    const changed = readDashboard(name, options);
    const plain = readDashboard(name, { histograms: 'auto' });
    const value = variable(changed, 'job').multi === true ? ['edge'] : 'edge';
    expect(variable(changed, 'job')).toEqual({
      ...variable(plain, 'job'),
      current: { selected: true, text: value, value },
    });
    expect(variable(changed, 'runbook')).toEqual({
      ...variable(plain, 'runbook'),
      query: 'https://wiki/rx',
    });
    expect({ ...changed, templating: 0 }).toEqual({ ...plain, templating: 0 });
  });
});

test('queries of folded rows are adapted too', () => {
  const targets = [{ expr: 'a{} # native\nor # either\nb{} # classic' }];
  const folded = { panels: [{ panels: [{ targets }] }], templating: { list: [] } };
  const adapted = adapt(folded as unknown as DashboardJson, { histograms: 'classic' });
  expect(adapted.panels).toEqual([{ panels: [{ targets: [{ expr: 'b{}' }] }] }]);
});

function read(name: string, options: DashboardOptions): Pick<DashboardFile, 'uid' | 'panels'> {
  const { uid, panels } = readDashboard(name, options) as unknown as DashboardFile;
  return { uid, panels: panels.map((panel) => withLists(panel)) };
}

/** Rows and panels without the lists that the JSON may leave out. */
function withLists(panel: DashboardFile['panels'][number]): DashboardFile['panels'][number] {
  const { targets = [], panels = [] } = panel;
  return {
    ...panel,
    targets,
    panels: panels.map((one) => ({ ...one, targets: one.targets ?? [] })),
  };
}

function variable(dashboard: DashboardJson, name: string) {
  return dashboard.templating.list.find((one) => one.name === name) ?? expect.fail(name);
}
