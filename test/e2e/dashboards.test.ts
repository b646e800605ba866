// Every query of every dashboard, asked of real Prometheus servers that have scraped a real agent under real
// traffic: two versions, with native histograms and without. There is no Grafana here: how it draws is not
// tested.

import { describe, expect, test } from 'vitest';
import { PROBES } from '../../src/probes/index.ts';
import { DASHBOARD_NAMES, readDashboard } from '../../src/publish/dashboard_files.ts';
import { startPrometheus } from '../metrics/prometheus_server.ts';
import {
  DASHBOARD_FILES,
  type DashboardFile,
  EXAMPLES,
  interpolated,
  type PanelQuery,
  panelsOf,
  queriesOf,
  variableQueriesOf,
} from '../publish/dashboards.ts';
import { startAgent } from './agent_process.ts';
import { busyAgent, type Form, JOB, labelsByMetric, unknownIn } from './busy_agent.ts';

/**
 * Panels that may be empty here, by dashboard and id: they are about a card's interrupts. Packets over
 * loopback and veth come without, and no test may send to others. When somebody else's traffic made the
 * card interrupt meanwhile, as this query tells, they must have data like all others.
 */
const CARD_INTERRUPTS = 'sum(rate(rxscope_interrupts_total{device!=""}[$__rate_interval])) > 0';
const CARD_SOFTIRQS = `sum(
  histogram_count(rate(rxscope_irq_to_softirq_seconds[$__rate_interval]))
  or rate(rxscope_irq_to_softirq_seconds_count[$__rate_interval])
) > 0`;
const MAY_BE_EMPTY: Readonly<Record<string, string>> = {
  'rxscope-overview 60': CARD_SOFTIRQS,
  'rxscope-path 102': CARD_SOFTIRQS,
  'rxscope-path 103': CARD_SOFTIRQS,
  'rxscope-cpus 16': CARD_INTERRUPTS,
};

/** What the traffic of this test must be seen in, as more than 0. */
const BUSY = [
  'rxscope-overview 14 A (Packets received)',
  'rxscope-overview 16 A (Worst P99 / budget)',
  'rxscope-overview 41 A (Drops by reason)',
  'rxscope-path 13 A (Over budget)',
  'rxscope-drops 11 A (Dropped)',
  'rxscope-drops 16 A (Drops by device)',
  'rxscope-cpus 21 A (NET_RX by CPU)',
  'rxscope-cpus 31 A (Packets handled by CPU)',
  'rxscope-agent 41 A (Events shown)',
];

const NOTE =
  'no Grafana here: that every query runs and has data is tested, how it is drawn is not';

/** Longer than the tests take, so that the traffic is in it. */
const RATE_INTERVAL = '5m';

const busy = busyAgent();

describe.each(busy.settings)('$title', (setting) => {
  const { form } = setting;
  const server = () => busy.server(setting);
  const filled = (expr: string): string => {
    const values = { job: JOB, instance: busy.instance(), __rate_interval: RATE_INTERVAL };
    return interpolated(expr, { ...EXAMPLES, ...values });
  };

  /** Whether the query yields a number; what is not a number is what Grafana shows nothing of. */
  async function hasData(expr: string): Promise<boolean> {
    const samples = await server().query(filled(expr));
    return samples.some(({ value }) => value[1] !== 'NaN');
  }

  test.each(DASHBOARD_FILES.map((one) => [one.uid, one] as const))(
    '%s: every query runs, and has data where there was traffic',
    async (_uid, dashboard) => {
      expect(await emptyQueries(dashboard)).toEqual([]);
      console.log(`${dashboard.uid}: ${queriesOf(dashboard).length} queries, ${form}; ${NOTE}`);
    },
  );

  test.each(DASHBOARD_NAMES)('%s has data in the form of its own, too', async (name) => {
    const histograms = form === 'both' ? 'auto' : form;
    const dashboard = readDashboard(name, { histograms }) as unknown as DashboardFile;
    expect(await emptyQueries(dashboard)).toEqual([]);
  });

  test('finds nothing strange in any query', async () => {
    const strange: string[] = [];
    for (const { place, expr } of DASHBOARD_FILES.flatMap(queriesOf)) {
      const { remarks } = await server().ask(filled(expr));
      strange.push(...remarks.map((remark) => `${place}: ${remark}`));
    }
    expect(strange).toEqual([]);
    // Prometheus 2 has nothing to say of a rate of a gauge either.
    const { remarks } = await server().ask(
      filled('rate(rxscope_budget_seconds[$__rate_interval])'),
    );
    expect(remarks.length > 0).toBe(setting.version.major >= 3);
  });

  test('a query for both forms shows what that of the stored form shows, and nothing twice', async () => {
    const histograms = form === 'both' ? 'native' : form;
    const own = new Map(
      DASHBOARD_NAMES.flatMap((name) =>
        queriesOf(readDashboard(name, { histograms }) as unknown as DashboardFile),
      ).map(({ place, expr }) => [place, expr]),
    );
    const queries = DASHBOARD_FILES.flatMap(queriesOf).filter(({ expr }) => expr.includes('or #'));
    expect(queries.length).toBeGreaterThan(PROBES.length);
    // A scrape between two queries may bring a series that is new.
    const differ = async (): Promise<string[]> => {
      const found: string[] = [];
      for (const { place, expr } of queries) {
        const [both, one] = await Promise.all([labelsOf(expr), labelsOf(own.get(place) ?? '')]);
        if (both.join() !== one.join()) found.push(place);
      }
      return found;
    };
    await expect.poll(differ, { timeout: 20_000, interval: 500 }).toEqual([]);
  });

  async function labelsOf(expr: string): Promise<string[]> {
    const samples = await server().query(filled(expr));
    return samples.map(({ metric }) => JSON.stringify(Object.entries(metric).sort())).sort();
  }

  test.each(BUSY)('%s shows more than nothing', async (place) => {
    const query = DASHBOARD_FILES.flatMap(queriesOf).find((one) => one.place.startsWith(place));
    const samples = await server().query(filled(query?.expr ?? ''));
    const values = samples.map(({ value }) => Number(value[1]));
    expect(Math.max(...values.filter((value) => !Number.isNaN(value)))).toBeGreaterThan(0);
  });

  test('outliers are there as exemplars for the panels that show dots', async () => {
    const asked = DASHBOARD_FILES.flatMap(queriesOf).filter(({ target }) => target.exemplar);
    const found = await Promise.all(
      asked.map(async (query) => ({
        place: query.place,
        exemplars: await server().exemplars(filled(query.expr)),
      })),
    );
    const shown = found.filter(({ exemplars }) => exemplars.length > 0);
    expect(shown.length, 'not one panel has a dot').toBeGreaterThan(PROBES.length);
  });

  test('in the waterfall each stage begins where the packet has come so far', async () => {
    // A scrape between its two queries may change one of them only.
    await expect.poll(async () => (await waterfallBars()).size, { timeout: 10_000 }).toBe(6);
    await expect
      .poll(
        async () => {
          const bars = await waterfallBars();
          const toSocket = bars.get('2 softirq_to_socket');
          const received = bars.get('4 receive_to_socket');
          if (toSocket === undefined || received === undefined) return 'no bars';
          const socket = toSocket.begins + toSocket.takes;
          return {
            // Both end at the socket, unless the latter is so long that it would begin before 0.
            together: received.begins === 0 || near(received.begins + received.takes, socket),
            afterwards: near(bars.get('5 socket_to_read')?.begins, socket),
            negative: [...bars.values()].filter(({ begins }) => begins < 0),
          };
        },
        { timeout: 10_000 },
      )
      .toEqual({ together: true, afterwards: true, negative: [] });
  });

  async function waterfallBars(): Promise<Map<string, { begins: number; takes: number }>> {
    const waterfall = DASHBOARD_FILES.flatMap(panelsOf).find(({ type }) => type === 'barchart');
    const [begins = [], takes = []] = await Promise.all(
      (waterfall?.targets ?? []).map(({ expr }) => server().query(filled(expr))),
    );
    const numbers = new Map(begins.map(({ metric, value }) => [metric.stage, Number(value[1])]));
    return new Map(
      takes.map(({ metric: { stage = '' }, value }) => [
        stage,
        { begins: numbers.get(stage) ?? 0, takes: Number(value[1]) },
      ]),
    );
  }

  /** Queries without a number, less those that the exceptions allow. */
  async function emptyQueries(dashboard: Pick<DashboardFile, 'uid' | 'panels'>): Promise<string[]> {
    const empty: string[] = [];
    const excused: string[] = [];
    for (const query of queriesOf(dashboard)) {
      if (otherForm(query, form)) continue;
      if (await hasData(query.expr)) continue;
      const allowed = Object.keys(MAY_BE_EMPTY).find((key) => query.place.startsWith(`${key} `));
      const unless = allowed === undefined ? undefined : MAY_BE_EMPTY[allowed];
      // The card may have interrupted between the two questions.
      const wanted = unless === undefined || (await hasData(unless));
      if (!wanted) excused.push(query.place);
      else if (!(await hasData(query.expr))) empty.push(query.place);
    }
    if (excused.length > 0)
      console.log(`${setting.title}: may be empty, the card was quiet: ${excused.join(', ')}`);
    return empty;
  }
});

test('an agent that has died is shown as down, and not as idle', async () => {
  const mortal = await startAgent();
  const instance = new URL(mortal.url).host;
  const prometheus = await startPrometheus(
    [{ name: JOB, target: instance, path: '/metrics' }],
    ['exemplar-storage'],
  );
  try {
    await mortal.stop();
    const values = { ...EXAMPLES, job: JOB, instance, __rate_interval: '4s' };
    const shown = async (): Promise<[string, string][]> => {
      const queries = DASHBOARD_FILES.filter(({ uid }) => uid === 'rxscope-overview');
      const found: [string, string][] = [];
      for (const { place, expr } of queries.flatMap(queriesOf)) {
        const [first] = await prometheus.query(interpolated(expr, values));
        if (first !== undefined) found.push([place, first.value[1]]);
      }
      return found;
    };
    // What it measured before is gone once the rates' window has passed.
    await expect.poll(shown, { timeout: 30_000, interval: 500 }).toEqual([
      ['rxscope-overview 11 A (Agents up)', '0'],
      ['rxscope-overview 12 A (Agents down)', '1'],
      ['rxscope-overview 51 A (Worst hosts)', '0'],
    ]);
  } finally {
    await prometheus.stop();
  }
});

test('queries ask only for metrics and labels that the agent has', async () => {
  const known = labelsByMetric((await busy.agent().scrape()).body);
  const variables = DASHBOARD_FILES.flatMap(variableQueriesOf);
  expect(variables.length).toBeGreaterThan(2 * DASHBOARD_FILES.length);
  const asked = [...DASHBOARD_FILES.flatMap(queriesOf), ...variables];
  const wrong = asked.flatMap(({ place, expr }) =>
    unknownIn(interpolated(expr, EXAMPLES), known).map((one) => `${place}: ${one}`),
  );
  expect(wrong).toEqual([]);
});

function near(a: number | undefined, b: number): boolean {
  return a !== undefined && Math.abs(a - b) < 1e-9;
}

/** A heatmap has two queries, of which only that of the form at hand brings data. */
function otherForm({ expr }: PanelQuery, form: Form): boolean {
  if (form === 'both') return false;
  const lines = expr.split('\n');
  return lines.length === 1 && expr.endsWith(form === 'native' ? ' # classic' : ' # native');
}
