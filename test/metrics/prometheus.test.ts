// Real Prometheus servers of two versions scrape the encoders' output from loopback and are asked for it back:
// with native histograms (protobuf), without them (OpenMetrics), and the text format beside both.

import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { emptyHistogram } from '../../src/histogram/histogram.ts';
import type { Exemplar, Snapshot } from '../../src/metrics/model.ts';
import { encoderFor } from '../../src/metrics/negotiate.ts';
import { processFamilies } from '../../src/metrics/process.ts';
import { type Feature, type PrometheusServer, startPrometheus } from './prometheus_server.ts';
import { type PrometheusVersion, prometheusVersions } from './prometheus_versions.ts';
import { classicQuantile, expectSame, nativeQuantile } from './quantiles.ts';
import { BUSY, DEVICE_LABELS, EXEMPLAR, sampleOf, TYPICAL } from './snapshots.ts';

const NAME = 'rxscope_softirq_to_socket_seconds';
const BUSY_SELECTOR = '{device="eth0",job="negotiated"}';
const QUANTILES = [0, 0.011, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999, 1];

/** Without quotes: Prometheus 2.42 does not unescape the labels of an exemplar in OpenMetrics. */
const exemplar: Exemplar = {
  ...EXEMPLAR,
  labels: { cpu: '1', comm: 'nginx: worker', port: '443' },
  timestampMs: Date.now(),
};

async function snapshot(): Promise<Snapshot> {
  const samples = [
    sampleOf(BUSY, DEVICE_LABELS, [exemplar]),
    sampleOf(emptyHistogram(), { device: 'idle0', protocol: 'tcp' }),
  ];
  return [
    { type: 'histogram', name: NAME, help: 'Busy and idle.', samples },
    ...TYPICAL,
    ...(await processFamilies()),
  ];
}

const VERSIONS = prometheusVersions();
const CLASSIC = VERSIONS.map((version) => ({
  ...version,
  prometheus: prometheusFixture(version, ['exemplar-storage'], 'application/openmetrics-text'),
}));
const NATIVE = VERSIONS.map((version) => ({
  ...version,
  prometheus: prometheusFixture(
    version,
    ['native-histograms', 'exemplar-storage'],
    'application/vnd.google.protobuf',
  ),
}));
const ALL = [...CLASSIC, ...NATIVE];

// At once: each waits five seconds for its targets.
beforeAll(() => Promise.all(ALL.map(({ prometheus }) => prometheus.start())));
afterAll(() => Promise.all(ALL.map(({ prometheus }) => prometheus.stop())));

describe.each(CLASSIC)('$name without native histograms', ({ prometheus }) => {
  test('both jobs are up and bring the same series, whatever the format', async () => {
    const own = (labels: Labels) => labels.__name__?.startsWith('rxscope_') === true;
    const seriesOf = async (job: string) => {
      const found = (await prometheus.query(`{job="${job}"}`)).filter((s) => own(s.metric));
      return found
        .map(({ metric: { job: _, ...labels }, value }) => JSON.stringify([labels, value[1]]))
        .sort();
    };
    const negotiated = await seriesOf('negotiated');
    // Four histograms of 32 series, 2 + 1 counters and 1 + 4 gauges.
    expect(negotiated).toHaveLength(4 * 32 + 8);
    expect(await seriesOf('text')).toEqual(negotiated);
  });

  test('counts and sums are ours', async () => {
    expect(await prometheus.value(`${NAME}_count${BUSY_SELECTOR}`)).toBe(1634);
    expect(await prometheus.value(`${NAME}_sum${BUSY_SELECTOR}`)).toBe(2.017282478);
    expect(await prometheus.value(`${NAME}_count{device="idle0",job="negotiated"}`)).toBe(0);
  });

  test.each(QUANTILES)('histogram_quantile(%d) is that of the classic buckets', async (q) => {
    const theirs = await prometheus.value(
      `histogram_quantile(${q}, ${NAME}_bucket${BUSY_SELECTOR})`,
    );
    expectSame(theirs, classicQuantile(BUSY, q));
  });

  test('keeps the exemplar of an OpenMetrics bucket', async () => {
    await prometheus.expectExemplar(`${NAME}_bucket${BUSY_SELECTOR}`);
  });
});

describe.each(NATIVE)('$name with native histograms', ({ prometheus, ...version }) => {
  test('counts and sums are ours, of an empty histogram too', async () => {
    expect(await prometheus.value(`histogram_count(${NAME}${BUSY_SELECTOR})`)).toBe(1634);
    expect(await prometheus.value(`histogram_sum(${NAME}${BUSY_SELECTOR})`)).toBe(2.017282478);
    const idle = '{device="idle0",job="negotiated"}';
    expect(await prometheus.value(`histogram_count(${NAME}${idle})`)).toBe(0);
  });

  test.each(QUANTILES)('histogram_quantile(%d) is that of our buckets', async (q) => {
    const theirs = await prometheus.value(`histogram_quantile(${q}, ${NAME}${BUSY_SELECTOR})`);
    expectSame(theirs, nativeQuantile(version)(BUSY, q));
  });

  test('every bucket bound is where Prometheus has it', async () => {
    // The fraction up to a bound is the count up to it, and nothing has to be interpolated.
    const below = await prometheus.value(
      `histogram_fraction(0, ${2 ** (-131 / 8)}, ${NAME}${BUSY_SELECTOR})`,
    );
    expectSame(below, (2 + 1009) / 1634);
  });

  test('the classic form is there from the job that sends text', async () => {
    expect(await prometheus.value(`${NAME}_count{device="eth0",job="text"}`)).toBe(1634);
  });

  test('keeps the exemplar of a protobuf message', async () => {
    await prometheus.expectExemplar(`${NAME}${BUSY_SELECTOR}`);
  });

  test('counters and gauges arrive with their values', async () => {
    const job = 'job="negotiated"';
    const big = await prometheus.value(`rxscope_received_packets_total{device="big",${job}}`);
    expect(big).toBe(2 ** 53);
    expect(await prometheus.value(`rxscope_strange{is="nan",${job}}`)).toBeNaN();
    expect(await prometheus.value(`rxscope_strange{is="neg",${job}}`)).toBe(-Infinity);
    expect(await prometheus.value(`process_resident_memory_bytes{${job}}`)).toBeGreaterThan(1e6);
  });
});

type Labels = Readonly<Record<string, string>>;

/** One Prometheus and the server that it scrapes. */
function prometheusFixture(
  version: PrometheusVersion,
  features: readonly Feature[],
  negotiatedType: string,
) {
  let server: PrometheusServer | undefined;
  let target: http.Server | undefined;
  const served = new Set<string>();

  async function start(): Promise<void> {
    target = http.createServer((request, response) => {
      const encoder = encoderFor(request.url === '/text' ? undefined : request.headers.accept);
      if (request.url === '/metrics') served.add(encoder.contentType.split(';')[0] ?? '');
      void snapshot().then((families) => {
        response.writeHead(200, { 'content-type': encoder.contentType });
        response.end(encoder.encode(families));
      });
    });
    target.listen(0, '127.0.0.1');
    await once(target, 'listening');
    const address = `127.0.0.1:${(target.address() as AddressInfo).port}`;
    server = await startPrometheus(
      [
        { name: 'negotiated', target: address, path: '/metrics' },
        { name: 'text', target: address, path: '/text' },
      ],
      features,
      { version },
    );
    expect([...served]).toEqual([negotiatedType]);
  }

  async function stop(): Promise<void> {
    await server?.stop();
    target?.closeAllConnections();
    target?.close();
  }

  function started(): PrometheusServer {
    if (server === undefined) throw new Error('Prometheus has not been started');
    return server;
  }

  async function expectExemplar(selector: string): Promise<void> {
    const [found, ...others] = await started().exemplars(selector);
    expect(others).toEqual([]);
    expect(found).toMatchObject({ labels: exemplar.labels, value: exemplar.value });
    // Prometheus cuts a text timestamp to whole milliseconds after a multiplication of floats.
    const apart = Math.abs((found?.timestamp ?? 0) - exemplar.timestampMs / 1000);
    expect(apart).toBeLessThan(0.0015);
  }

  return {
    start,
    stop,
    query: (expression: string) => started().query(expression),
    value: (expression: string) => started().value(expression),
    expectExemplar,
  };
}
