// Every panel up to the point where Grafana draws it: a real agent's packets, a real Prometheus' answers,
// and Grafana's own library for transformations, overrides, units and names. With RXSCOPE_SKETCH=FOLDER it
// also draws sketches of the dashboards there, to look at.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { scratch } from '../e2e/scratch.ts';
import type { Feature, PrometheusServer } from '../metrics/prometheus_server.ts';
import { interpolated } from '../publish/dashboards.ts';
import { complaints, idleOverrides, summary } from './judge.ts';
import { CONFIG, Scene } from './lab.ts';
import {
  type Answers,
  ask,
  BOARDS,
  numbersOf,
  panelsOf,
  type Shown,
  shownOf,
  tableOf,
} from './panels.ts';
import { page, sizeOf } from './sketch.ts';

const NOTE =
  'no Grafana server here: what it would draw is tested with its own library, the drawing is not';

/** Headings of each table as a reader shall see them; of the matrix a column for each CPU follows. */
const HEADINGS: Readonly<Record<string, readonly string[]>> = {
  'rxscope-overview 21': ['probe', 'P50', 'P99', 'P99.9', 'budget', 'over budget', 'P99 / budget'],
  'rxscope-overview 51': [
    ...['instance', 'job', 'up', 'P99 / budget', 'over budget', 'received', 'lost', 'squeezed'],
    'busiest CPU in softirqs',
  ],
  'rxscope-path 16': [
    ...['probe', 'P50', 'P99', 'P99.9', 'budget', 'over budget', 'observed', 'P99 / budget'],
  ],
  'rxscope-drops 44': [
    ...['instance', 'device', 'receive queues', 'with RPS', 'descriptors', 'at most', 'coalescing'],
    'received',
  ],
  'rxscope-cpus 15': ['interrupt', 'CPU 0', 'CPU 1'],
  'rxscope-cpus 36': ['NET_RX packets', 'NET_RX time', 'backlog', 'RFS flows'],
  'rxscope-cpus 37': ['device', 'driver', 'kind', 'bus', 'numa_node'],
  'rxscope-agent 51': [
    ...['instance', 'job', 'up', 'version', 'kernel', 'nodeversion', 'configuration', 'probes up'],
    'probes',
  ],
  'rxscope-agent 52': ['probe', 'backend', 'attach', 'agents'],
  'rxscope-agent 53': ['probe', 'up', 'switched on'],
};

/** Of columns that are labels: Prometheus has none where all are empty, as without NUMA or a card. */
const MAY_LACK: Readonly<Record<string, readonly string[]>> = {
  'rxscope-cpus 37': ['driver', 'kind', 'bus', 'numa_node'],
  'rxscope-cpus 15': ['CPU 1'],
};

/** Seconds of traffic; a sketch is worth looking at when there is something to see. */
const SKETCH = process.env.RXSCOPE_SKETCH;
const SECONDS = SKETCH === undefined ? 8 : 60;

const files = scratch();
let scene: Scene;
beforeAll(async () => {
  scene = await Scene.open(files.write('all.yaml', CONFIG));
});
afterAll(() => scene?.close());

/** Each panel under each circumstance, for what one alone cannot tell. */
const seen = new Map<string, Shown[]>();

describe.each([
  ['with native histograms', ['native-histograms', 'exemplar-storage']],
  ['without native histograms', ['exemplar-storage']],
] as const)('a Prometheus %s', (circumstance, features) => {
  let prometheus: PrometheusServer;
  beforeAll(async () => {
    prometheus = await scene.prometheus([...features] as Feature[]);
    for (let second = 0; second < SECONDS; second++) await scene.traffic();
  }, 240_000);
  afterAll(() => prometheus?.stop());

  test.each(BOARDS.map((board) => [board.uid, board] as const))(
    '%s: names, columns, order, units and values are for people',
    async (uid, board) => {
      const window = scene.window(SECONDS + 2, 1);
      const shown = new Map<number, Shown>();
      for (const panel of panelsOf(board)) {
        const one = await shownOf(uid, panel, await ask(panel, prometheus, window));
        shown.set(panel.id, one);
        seen.set(`${uid} ${panel.id}`, [...(seen.get(`${uid} ${panel.id}`) ?? []), one]);
      }
      console.log([...shown.values()].map(summary).join('\n'));
      console.log(`${uid}: ${shown.size} panels, ${circumstance}; ${NOTE}`);
      if (SKETCH !== undefined) {
        const dots = await dotsOf(board, window.values);
        mkdirSync(SKETCH, { recursive: true });
        const name = `${uid}-${features.length === 2 ? 'native' : 'classic'}`;
        writeFileSync(join(SKETCH, `${name}.html`), page(board, shown, { ...window, dots }));
        const { width, height } = sizeOf(board);
        console.log(`${join(SKETCH, name)}.html: ${width} × ${height}`);
      }
      expect([...shown.values()].flatMap(complaints)).toEqual([]);
    },
  );

  test.each(Object.entries(HEADINGS))(
    '%s has the columns that it is meant to have',
    async (key, wanted) => {
      const { headings } = tableOf(await fresh(key));
      const optional = MAY_LACK[key] ?? [];
      expect(headings.filter((one) => !optional.includes(one) && !/^CPU \d+$/.test(one))).toEqual(
        wanted.filter((one) => !optional.includes(one) && !/^CPU \d+$/.test(one)),
      );
      expect(headings.filter((one) => !wanted.includes(one) && !/^CPU \d+$/.test(one))).toEqual([]);
    },
  );

  test('the worst hosts come first: those that are down, then by their latency, idle ones last', async () => {
    const { panel, answers } = await asked('rxscope-overview 51');
    // The one host's real answers, and those of others that a fleet has.
    const fleet = new Map(
      [...answers].map(([refId, answer]) => {
        const { expr = '' } = panel.targets.find((one) => one.refId === refId) ?? {};
        const isUp = /^max by \(job, instance\) \(up\b/.test(expr);
        const isLatency = expr.includes('rxscope_budget_seconds');
        return [
          refId,
          withOthers(answer, (instance) => {
            if (instance === 'down') return isUp ? 0 : undefined;
            if (instance === 'idle') return isUp ? 1 : isLatency ? undefined : 0;
            return isLatency ? 1e6 : 1;
          }),
        ];
      }),
    );
    const { rows, headings } = tableOf(await shownOf('rxscope-overview', panel, fleet));
    expect(rows.map(([instance]) => instance)).toEqual(['down', 'late', scene.instance, 'idle']);
    expect(rows.map((row) => row[headings.indexOf('up')])).toEqual(['down', 'up', 'up', 'up']);
    expect(rows[0]?.slice(3)).toEqual(headings.slice(3).map(() => '–'));
  });

  test('interrupts and CPUs are in the order of their numbers, so that a spread load is a diagonal', async () => {
    const { panel, answers } = await asked('rxscope-cpus 15');
    const twelve = new Map([...answers].map(([refId, answer]) => [refId, onTwelveCpus(answer)]));
    const { headings, rows } = tableOf(await shownOf('rxscope-cpus', panel, twelve));
    const numbers = Array.from({ length: 12 }, (_, cpu) => cpu);
    expect(headings).toEqual(['interrupt', ...numbers.map((cpu) => `CPU ${cpu}`)]);
    expect(rows.map(([name]) => name)).toEqual(
      numbers.map((queue) => `eth9 queue ${queue} (irq ${99 + queue})`),
    );
    for (const [queue, [, ...cells]] of rows.entries())
      expect(cells.map((cell) => cell !== '0 c/s')).toEqual(numbers.map((cpu) => cpu === queue));
  });

  async function asked(key: string): Promise<{ panel: Shown['panel']; answers: Answers }> {
    const [uid, id] = key.split(' ');
    const board = BOARDS.find((one) => one.uid === uid);
    const panel = board && panelsOf(board).find((one) => one.id === Number(id));
    if (panel === undefined) throw new Error(`there is no panel ${key}`);
    return { panel, answers: await ask(panel, prometheus, scene.window(SECONDS, 1)) };
  }

  async function fresh(key: string): Promise<Shown> {
    const { panel, answers } = await asked(key);
    return shownOf(key.split(' ')[0] ?? '', panel, answers);
  }

  async function dotsOf(board: (typeof BOARDS)[number], values: Readonly<Record<string, string>>) {
    const found = panelsOf(board).map(async ({ id, targets }) => {
      const exemplars = targets
        .filter(({ exemplar }) => exemplar === true)
        .map(({ expr }) => prometheus.exemplars(interpolated(expr, values)));
      const dots = (await Promise.all(exemplars)).flat();
      return [id, dots.map(({ timestamp, value }) => ({ second: timestamp, value }))] as const;
    });
    return new Map(await Promise.all(found));
  }
});

test.each([
  ['NaN, as shares of nothing are', [{ metric: {}, values: [[1, 'NaN']] }]],
  ['no series, as of hosts that are gone', []],
])('a single number that is %s reads No data', async (_, result) => {
  const singles = BOARDS.flatMap((board) => panelsOf(board).filter(({ type }) => type === 'stat'));
  expect(singles.length).toBeGreaterThan(20);
  for (const panel of singles) {
    const answers = new Map(
      panel.targets.map(({ refId }) => [refId, { status: 'success', data: { result } }]),
    );
    const texts = numbersOf(await shownOf('any', panel, answers)).map(({ text }) => text);
    expect(texts, panel.title).toEqual(['No data']);
  }
});

test('no override is idle: each matches a field somewhere', () => {
  expect(seen.size).toBeGreaterThan(100);
  expect([...seen.values()].flatMap(idleOverrides)).toEqual([]);
});

interface Answer {
  readonly data: {
    readonly result: readonly {
      readonly metric: Record<string, string>;
      readonly value: [number, string];
    }[];
  };
}

/** The answer with rows for more hosts: `down`, `idle`, and `late`, of what `valueFor` says. */
function withOthers(answer: unknown, valueFor: (instance: string) => number | undefined): unknown {
  const { data } = answer as Answer;
  const [first] = data.result;
  const others = ['idle', 'down', 'late'].flatMap((instance) => {
    const value = valueFor(instance);
    if (value === undefined || first === undefined) return [];
    return [{ metric: { ...first.metric, instance }, value: [first.value[0], `${value}`] }];
  });
  return { ...(answer as Answer), data: { ...data, result: [...data.result, ...others] } };
}

/** A card of twelve queues, each on a CPU of its own, in the order of text, as Prometheus answers. */
function onTwelveCpus(answer: unknown): unknown {
  const { data } = answer as Answer;
  const numbers = Array.from({ length: 12 }, (_, one) => one).sort((a, b) =>
    `${a}`.localeCompare(`${b}`),
  );
  const second = Date.now() / 1000;
  const result = numbers.flatMap((cpu) =>
    numbers.map((queue) => ({
      metric: {
        ...{ interrupt: `eth9 queue ${queue} (irq ${99 + queue})`, irq: `${99 + queue}` },
        ...{ CPU: `CPU ${cpu}`, cpu: `${cpu}` },
      },
      value: [second, cpu === queue ? '1009' : '0'],
    })),
  );
  return { ...(answer as Answer), data: { ...data, result } };
}
