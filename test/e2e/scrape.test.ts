// The real agent under real packets, scraped: by hand in three formats, by promtool, and by real Prometheus
// servers of two versions, with and without native histograms.

import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { BUCKETS, FIRST_INDEX } from '../../src/histogram/bounds.ts';
import { emptyHistogram, type Histogram, merge } from '../../src/histogram/histogram.ts';
import { interruptOwners, readInterrupts } from '../../src/host/interrupts.ts';
import { PROBES } from '../../src/probes/index.ts';
import { Lab, RECEIVER } from '../kernel/lab.ts';
import {
  classicSeries,
  decodeProtobuf,
  nativeCounts,
  type ProtoHistogram,
  parseText,
} from '../metrics/decode.ts';
import {
  type Feature,
  type PrometheusServer,
  startPrometheus,
} from '../metrics/prometheus_server.ts';
import { type PrometheusVersion, prometheusVersions } from '../metrics/prometheus_versions.ts';
import { classicQuantile, expectSame, nativeQuantile } from '../metrics/quantiles.ts';
import { type AgentProcess, startAgent } from './agent_process.ts';
import { LATENCIES } from './catalogue.ts';
import { sendOverLoopback, underTraffic } from './loopback.ts';
import { Numbers } from './numbers.ts';
import { scrapePipelined } from './pipelined.ts';
import { scratch } from './scratch.ts';

const files = scratch();
const VERSIONS = prometheusVersions();

const ACCEPT = {
  text: 'text/plain;version=0.0.4',
  openmetrics: 'application/openmetrics-text;version=1.0.0',
  protobuf:
    'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited',
};

/** Budgets that most packets exceed, so that there are outliers, and room for all of them. */
const OUTLIERS_YAML = `
probes:
  irq_to_softirq: { budget: 1us }
  softirq_to_socket: { budget: 1us }
  receive_to_socket: { budget: 1us }
events: { per_cpu_per_second: 100000, pages_per_cpu: 256 }
outliers_kept: 10000
`;

/** The series of datagrams over loopback. */
const LOOPBACK = { device: 'lo', protocol: 'udp' } as const;
/** Datagrams of others over the same loopback meanwhile: a resolver's, perhaps. */
const NOISE_MAX = 16;
/** Scrapes come each second, and outliers of a flood elsewhere may push ours out before one. */
const SOON = { timeout: 20_000, interval: 100 };

let lab: Lab;
let agent: AgentProcess;
beforeAll(async () => {
  lab = new Lab();
  agent = await startAgent(['--config.file', files.write('outliers.yaml', OUTLIERS_YAML)]);
});
afterAll(async () => {
  await agent?.stop();
  lab?.close();
});

describe('counts of known traffic', () => {
  test.each(['softirq_to_socket', 'receive_to_socket'])(
    '%s has 1009 observations more after 1009 datagrams over loopback',
    async (probe) => {
      const name = `rxscope_${probe}_seconds_count`;
      const before = (await agent.numbers()).total(name, LOOPBACK);
      await sendOverLoopback(1009);
      const more = (await agent.numbers()).total(name, LOOPBACK) - before;
      expect(more).toBeGreaterThanOrEqual(1009);
      expect(more).toBeLessThan(1009 + NOISE_MAX);
    },
  );

  test('datagrams between two other namespaces are those of "(other netns)"', async () => {
    const n = 10_007;
    const labels = { device: '(other netns)', protocol: 'udp' };
    const name = 'rxscope_receive_to_socket_seconds_count';
    const before = (await agent.numbers()).total(name, labels);
    const receiver = lab.receive('udp', RECEIVER, 5301, n, { buffer: 50_000_000 });
    await receiver.ready;
    await lab.send('udp', RECEIVER, 5301, n);
    expect((await receiver.result).received).toBe(n);
    // At least, for others may send there too.
    expect((await agent.numbers()).total(name, labels) - before).toBeGreaterThanOrEqual(n);
  });
});

/** What dashboards and alerts build on, besides a histogram for each latency that is on. */
const CONTRACT = [
  ...['over_budget_total', 'budget_seconds', 'received_packets_total', 'unmatched_total'],
  ...['drops_total', 'transmit_drops_total', 'packets_dropped_total', 'protocol_drops_total'],
  ...['softnet_processed_total', 'softnet_dropped_total', 'softnet_times_squeezed_total'],
  ...['softnet_received_rps_total', 'softnet_flow_limit_total', 'softnet_backlog_packets'],
  ...['interrupts_total', 'softirqs_total', 'cpu_seconds_total', 'context_switches_total'],
  ...['interface_receive_packets_total', 'interface_receive_drops_total'],
  ...['interface_receive_errors_total', 'probe_up', 'probe_info', 'events_total'],
  ...['events_lost_total', 'series_dropped_total', 'collector_success'],
  ...['collector_duration_seconds', 'build_info'],
];
const SERIES_MAX = 2000;

test('a scrape has every family of the contract, with rows, and keeps to the cap on series', async () => {
  const { series } = parseText((await agent.scrape()).body, 'text');
  const numbers = new Numbers(series);
  // Of a machine whose cards have no interrupts nothing is known before the first.
  const known = PROBES.filter(
    ({ by }) => by !== 'irq' || interruptOwners(readInterrupts()).size > 0,
  );
  const latencies = known.map(({ id }) => id).filter((id) => LATENCIES.includes(id));
  const names = [...CONTRACT, ...latencies.map((id) => `${id}_seconds_count`)];
  const without = names.filter((name) => numbers.find(`rxscope_${name}`).length === 0);
  expect(without).toEqual([]);
  expect(series.size).toBeLessThanOrEqual(SERIES_MAX);
  expect(numbers.find('rxscope_collector_success').filter(({ value }) => value !== 1)).toEqual([]);
});

describe('the three formats', () => {
  test('tell the same numbers, of one gather, while packets arrive', async () => {
    const bodies = await underTraffic(async () => {
      await sendOverLoopback(503);
      return scrapePipelined(agent.url, Object.values(ACCEPT));
    });
    const [text, openMetrics, protobuf] = bodies.map((body) => body ?? new Uint8Array());
    if (text === undefined || openMetrics === undefined || protobuf === undefined) {
      throw new Error('an answer is missing');
    }
    const { series } = parseText(text, 'text');
    // Some 30 buckets of each histogram: an agreement about nothing would be none.
    expect(series.size).toBeGreaterThan(300);
    expect(parseText(openMetrics, 'openmetrics').series).toEqual(series);
    expect(classicSeries(decodeProtobuf(protobuf))).toEqual(series);
  });

  test('protobuf has the classic and the native form of the same observations', async () => {
    const { body } = await agent.scrape(ACCEPT.protobuf);
    const families = decodeProtobuf(body).filter(({ name }) => name.startsWith('rxscope_'));
    const histograms = families.flatMap(({ metric }) => metric.flatMap((m) => m.histogram ?? []));
    expect(histograms.length).toBeGreaterThan(6);
    for (const histogram of histograms) {
      const native = [...nativeCounts(histogram).values()].reduce((sum, n) => sum + n, 0);
      expect(native + (histogram.zero_count ?? 0)).toBe(histogram.sample_count);
      expect(histogram.bucket.at(-1)?.cumulative_count).toBe(histogram.sample_count);
    }
  });

  test('name their types in the answer', async () => {
    expect((await agent.scrape()).contentType).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect((await agent.scrape(ACCEPT.openmetrics)).contentType).toMatch(
      /^application\/openmetrics-text; version=1\.0\.0/,
    );
    expect((await agent.scrape(ACCEPT.protobuf)).contentType).toMatch(
      /^application\/vnd\.google\.protobuf; proto=io\.prometheus\.client\.MetricFamily/,
    );
  });
});

test.each(VERSIONS)(
  '`promtool check metrics` of $name finds nothing to say about the text format',
  async ({ promtool }) => {
    const { body } = await agent.scrape();
    const { status, stdout, stderr } = spawnSync(promtool, ['check', 'metrics'], { input: body });
    expect({ status, stdout: String(stdout), stderr: String(stderr) }).toEqual({
      status: 0,
      stdout: '',
      stderr: '',
    });
  },
);

test('the list of outliers has those of a port with all that is known of them', async () => {
  const ours = await vi.waitFor(async () => {
    const port = await sendOverLoopback(211);
    const { outliers } = (await agent.json('/api/v1/outliers')) as {
      outliers: Record<string, unknown>[];
    };
    const found = outliers.filter((one) => one.local_port === port);
    expect(found.length).toBeGreaterThan(0);
    return found;
  }, SOON);
  for (const one of ours) {
    expect(one).toMatchObject({ device: 'lo', protocol: 'udp', pid: expect.any(Number) });
    // IP header, UDP header and one byte.
    expect(one.bytes).toBe(29);
    expect(one.comm).not.toBe('');
    expect(one.seconds).toBeGreaterThan(1e-6);
    expect(one.since_softirq_seconds).toBeGreaterThanOrEqual(Number(one.since_receive_seconds));
    expect(Math.abs(Date.parse(String(one.time)) - Date.now())).toBeLessThan(60_000);
  }
});

const QUANTILES = [0.01, 0.5, 0.9, 0.99, 0.999, 1];
const PACKET_PROBES = ['softirq_to_socket', 'receive_to_socket'];

/** Started together by the first that is needed, as each waits five seconds for its targets. */
const CLASSIC = VERSIONS.map((version) => ({
  ...version,
  prometheus: scraping(version, ['exemplar-storage']),
}));
const NATIVE = VERSIONS.map((version) => ({
  ...version,
  prometheus: scraping(version, ['native-histograms', 'exemplar-storage']),
}));
let allScraping: Promise<void> | undefined;
function startScraping(): Promise<void> {
  allScraping ??= Promise.all(
    [...CLASSIC, ...NATIVE].map(({ prometheus }) => prometheus.start()),
  ).then(() => {});
  return allScraping;
}

describe.each(CLASSIC)('$name without native histograms', ({ prometheus }) => {
  beforeAll(startScraping);

  test.each(PACKET_PROBES)(
    '%s: count, sum and histogram_quantile are those of the agent',
    async (probe) => {
      const selector = (suffix: string) =>
        `rxscope_${probe}_seconds_${suffix}{device="lo",protocol="udp"}`;
      await prometheus.countIs(`sum(${selector('count')})`, probe);
      const { histogram, sum } = await observed(probe);
      expectSame(await prometheus.value(`sum(${selector('sum')})`), sum);
      for (const q of QUANTILES) {
        const theirs = await prometheus.value(
          `histogram_quantile(${q}, sum by (le) (${selector('bucket')}))`,
        );
        expectSame(theirs, classicQuantile(histogram, q));
      }
    },
  );

  test.each(PACKET_PROBES)('%s: exemplars arrive with cpu, comm and port', async (probe) => {
    await prometheus.exemplarsArrive(`rxscope_${probe}_seconds_bucket`);
  });
});

describe.each(NATIVE)('$name with native histograms', ({ prometheus, ...version }) => {
  beforeAll(startScraping);
  const exemplarsOf = version.major < 3 ? 'seconds' : 'seconds_bucket';

  test.each(PACKET_PROBES)(
    '%s: count, sum and histogram_quantile are those of the agent',
    async (probe) => {
      const all = `sum(rxscope_${probe}_seconds{device="lo",protocol="udp"})`;
      await prometheus.countIs(`histogram_count(${all})`, probe);
      const { histogram, sum } = await observed(probe);
      expectSame(await prometheus.value(`histogram_sum(${all})`), sum);
      for (const q of QUANTILES) {
        const theirs = await prometheus.value(`histogram_quantile(${q}, ${all})`);
        expectSame(theirs, nativeQuantile(version)(histogram, q));
      }
    },
  );

  test.each(PACKET_PROBES)('%s: exemplars arrive with cpu, comm and port', async (probe) => {
    await prometheus.exemplarsArrive(`rxscope_${probe}_${exemplarsOf}`);
  });
});

/** A Prometheus that scrapes the agent. */
function scraping(version: PrometheusVersion, features: readonly Feature[]) {
  let server: PrometheusServer | undefined;
  afterAll(() => server?.stop());
  const started = (): PrometheusServer => {
    if (server === undefined) throw new Error('Prometheus has not been started');
    return server;
  };
  return {
    start: async () => {
      // Prometheus 3.5 takes the exemplars of the first series of a native histogram only; those of
      // classic buckets it takes of all.
      const both = version.major >= 3 && features.includes('native-histograms');
      const settings = both ? { always_scrape_classic_histograms: true } : {};
      const target = new URL(agent.url).host;
      const job = { name: 'agent', target, path: '/metrics', settings };
      server = await startPrometheus([job], features, { version });
      await sendOverLoopback(2003);
    },
    value: (expression: string) => started().value(expression),

    /** Waits for the scrape after the last datagram. */
    countIs: (expression: string, probe: string) =>
      vi.waitFor(async () => {
        const { count } = await observed(probe);
        expect(count).toBeGreaterThanOrEqual(2003);
        expect(await started().value(expression)).toBe(count);
      }, SOON),

    exemplarsArrive: (name: string) =>
      underTraffic(() =>
        vi.waitFor(async () => {
          const found = await started().exemplars(`${name}{device="lo",protocol="udp"}`);
          expect(found.length).toBeGreaterThan(0);
          for (const { labels, value } of found) {
            expect(labels.cpu).toMatch(/^\d+$/);
            expect(labels.comm).toMatch(/./);
            expect(Number(labels.port)).toBeGreaterThan(0);
            expect(value).toBeGreaterThan(1e-6);
          }
        }, SOON),
      ),
  };
}

/** What the agent itself has of the loopback's datagrams: all CPUs together. */
async function observed(
  probe: string,
): Promise<{ histogram: Histogram; count: number; sum: number }> {
  const { body } = await agent.scrape(ACCEPT.protobuf);
  const family = decodeProtobuf(body).find(({ name }) => name === `rxscope_${probe}_seconds`);
  const histogram = emptyHistogram();
  let count = 0;
  let sum = 0;
  for (const { label, histogram: one } of family?.metric ?? []) {
    if (label.device !== LOOPBACK.device || label.protocol !== LOOPBACK.protocol || !one) continue;
    merge(histogram, histogramOf(one));
    count += one.sample_count;
    sum += one.sample_sum;
  }
  return { histogram, count, sum };
}

function histogramOf(message: ProtoHistogram): Histogram {
  const histogram = emptyHistogram();
  histogram.counts[0] = message.zero_count ?? 0;
  for (const [index, n] of nativeCounts(message)) {
    const bucket = index - FIRST_INDEX;
    if (bucket < 1 || bucket >= BUCKETS) throw new Error(`${n} observations in bucket ${index}`);
    histogram.counts[bucket] = n;
  }
  return histogram;
}
