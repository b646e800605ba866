// The rules on live Prometheus servers of two versions that scrape one target whose counters rise: with native
// histograms, which promtool's tests cannot have, without, and with both forms at once. What is recorded
// equals our own arithmetic.

import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DeviceKey, Latency } from '../../src/capture/reading.ts';
import { bucketOf } from '../../src/histogram/bounds.ts';
import { emptyHistogram, type Histogram, merge } from '../../src/histogram/histogram.ts';
import { encoderFor } from '../../src/metrics/negotiate.ts';
import { rulesYaml } from '../../src/publish/rules/files.ts';
import { type Histograms, STANDARD_OPTIONS } from '../../src/publish/rules/options.ts';
import { scratch } from '../e2e/scratch.ts';
import {
  type Feature,
  type PrometheusServer,
  startPrometheus,
} from '../metrics/prometheus_server.ts';
import { type PrometheusVersion, prometheusVersions } from '../metrics/prometheus_versions.ts';
import { classicQuantile, nativeQuantile } from '../metrics/quantiles.ts';
import { context, familiesOf, reading } from '../metrics/readings.ts';

/** In each tenth of a second, and CPU; the budget is 100 µs. */
const DEVICES: Readonly<Record<string, readonly (readonly [ns: number, n: number])[]>> = {
  // P99 is between 94 and 103 µs, below where the budget lies in it.
  below: [
    [50_000, 49],
    [95_000, 1],
  ],
  above: [
    [50_000, 49],
    [105_000, 1],
  ],
  // P99 is above five budgets, in the classic form, too.
  far: [
    [50_000, 49],
    [600_000, 1],
  ],
};
const NAMES = [...Object.keys(DEVICES), 'idle'];
/** Five a second on one CPU, all of them far over budget. */
const IDLE_NS = 600_000;
const BUDGET_NS = 100_000;
/** Rates over four scrapes. */
const WINDOW_MS = 4_000;

const { folder } = scratch();
const started = Date.now();

function histogram(
  counts: readonly (readonly [ns: number, n: number])[],
  times: number,
): Histogram {
  const h = emptyHistogram();
  for (const [ns, n] of counts) {
    h.counts[bucketOf(ns) ?? 0] = n * times;
    h.sumNs += ns * n * times;
    if (ns > BUDGET_NS) h.overBudget += n * times;
  }
  return h;
}

/** What an agent would export now. */
function families() {
  const ticks = Math.floor((Date.now() - started) / 100);
  const row = (device: DeviceKey, cpu: number, of: Histogram): Latency => {
    return { probe: 'receive_to_socket', device, protocol: 'udp', cpu, histogram: of };
  };
  const latencies = Object.values(DEVICES).flatMap((counts, device) =>
    [0, 1].map((cpu) => row(device, cpu, histogram(counts, ticks))),
  );
  const idle = row(NAMES.length - 1, 0, histogram([[IDLE_NS, 1]], Math.floor(ticks / 2)));
  const known = { devices: NAMES, irqDevices: [] };
  const about = context({ cpus: [0, 1], known, budgets_ns: { receive_to_socket: BUDGET_NS } });
  return familiesOf(reading({ latencies: [...latencies, idle] }), about, {
    deviceLabel: (device) => NAMES[Number(device)],
  });
}

const FIRING = { alertname: 'RxscopeLatencyHigh', alertstate: 'firing' };
const FAR = [
  { ...FIRING, device: 'far', severity: 'critical' },
  { ...FIRING, device: 'far', severity: 'warning' },
];
const ABOVE = { ...FIRING, device: 'above', severity: 'warning' };

const NATIVE: readonly Feature[] = ['native-histograms'];
const TEXT = { scrape_protocols: ['OpenMetricsText1.0.0'] };
type Row = [string, Histograms, Setting['quantileOf'], readonly Feature[], job?: Setting['job']];

/** What a user of a version can choose. */
function settingsOf(version: PrometheusVersion): Setting[] {
  const native = nativeQuantile(version);
  const rows: Row[] = [
    ['native histograms, rules for both', 'auto', native, NATIVE],
    ['native histograms, rules for them', 'native', native, NATIVE],
    ['classic histograms, rules for both', 'auto', classicQuantile, []],
  ];
  if (version.major >= 3) {
    const both = { always_scrape_classic_histograms: true };
    const converted = { ...TEXT, convert_classic_histograms_to_nhcb: true };
    rows.push(
      ['both at once, rules for both', 'auto', native, NATIVE, both],
      ['both at once, rules for classic', 'classic', classicQuantile, NATIVE, both],
      ['classic made native, rules for both', 'auto', classicQuantile, NATIVE, converted],
    );
  }
  return rows.map(([title, histograms, quantileOf, features, job = {}]) => ({
    title: `${version.name}: ${title}`,
    version,
    features: ['exemplar-storage', ...features],
    histograms,
    job,
    quantileOf,
    // The classic bucket that holds the budget ends at 122 µs: its middle stands for all of it.
    alerts: quantileOf === classicQuantile ? FAR : [ABOVE, ...FAR],
  }));
}

const SETTINGS = prometheusVersions().flatMap(settingsOf);

let target: http.Server;
/** By title of the setting; all are started at once, since each has to wait. */
const servers = new Map<string, PrometheusServer>();

beforeAll(async () => {
  target = http.createServer((request, response) => {
    const encoder = encoderFor(request.headers.accept);
    response.writeHead(200, { 'content-type': encoder.contentType });
    response.end(encoder.encode(families()));
  });
  target.listen(0, '127.0.0.1');
  await once(target, 'listening');
  const address = `127.0.0.1:${(target.address() as AddressInfo).port}`;
  await Promise.all(
    SETTINGS.map(async ({ title, version, features, histograms, job }) => {
      const jobs = [{ name: 'rxscope', target: address, path: '/metrics', settings: job }];
      const file = join(folder, `${title}.yaml`);
      writeFileSync(file, rulesYaml({ ...STANDARD_OPTIONS, histograms, windowMs: WINDOW_MS }));
      servers.set(title, await startPrometheus(jobs, features, { rules: [file], version }));
    }),
  );
});

afterAll(async () => {
  await Promise.all([...servers.values()].map((server) => server.stop()));
  target.closeAllConnections();
  target.close();
});

describe.each(SETTINGS)('$title', ({ title, quantileOf, alerts }) => {
  let prometheus: PrometheusServer;

  beforeAll(async () => {
    const server = servers.get(title);
    if (server === undefined) throw new Error('Prometheus has not been started');
    prometheus = server;
    // What fires does so within a window and its `for`, two fifths of it, of the first scrape.
    await until(async () => (await firing()).length >= alerts.length);
  });

  async function firing() {
    const found = await prometheus.query('ALERTS{alertstate="firing"}');
    return found
      .map(({ metric: { alertname, alertstate, device, severity } }) => {
        return { alertname, alertstate, device, severity };
      })
      .sort((a, b) => `${a.device} ${a.severity}`.localeCompare(`${b.device} ${b.severity}`));
  }

  test.each([
    ['p50', 0.5],
    ['p99', 0.99],
    ['p999', 0.999],
  ] as const)('%s of each device that received is recorded as we compute it', async (name, q) => {
    const found = await prometheus.query(`rxscope:latency_seconds:${name}`);
    const byDevice = new Map(found.map(({ metric, value }) => [metric.device, Number(value[1])]));
    for (const [device, counts] of Object.entries(DEVICES)) {
      const both = histogram(counts, 1);
      merge(both, histogram(counts, 1));
      expect(byDevice.get(device)).toBeCloseTo(quantileOf(both, q), 9);
    }
    expect([...byDevice.keys()].sort()).toEqual([...NAMES].sort());
    expect(Object.keys(found[0]?.metric ?? {}).sort()).toEqual(
      ['__name__', 'device', 'instance', 'job', 'probe', 'protocol'].sort(),
    );
  });

  test('the share over budget and the rate are recorded', async () => {
    const share = 'rxscope:over_budget:ratio_rate4s';
    expect(await prometheus.value(`${share}{device="above"}`)).toBeCloseTo(0.02, 3);
    expect(await prometheus.value(`${share}{device="below"}`)).toBe(0);
    expect(await prometheus.value(`${share}{device="idle"}`)).toBeCloseTo(1, 6);
    // Fifty a tenth of a second on each of two CPUs; scrapes are not quite a second apart.
    const rate = await prometheus.value(
      'rxscope:observations:rate4s{device="above",probe="receive_to_socket",protocol="udp"}',
    );
    expect(rate).toBeGreaterThan(500);
    expect(rate).toBeLessThan(2_000);
  });

  test('what is over its budget fires, and nothing else', async () => {
    // A scrape that comes late on a busy machine may end one for a moment.
    await expect.poll(firing, { timeout: 30_000, interval: 500 }).toEqual(alerts);
  });
});

interface Setting {
  readonly title: string;
  readonly version: PrometheusVersion;
  readonly features: readonly Feature[];
  readonly histograms: Histograms;
  /** Settings of the scrape job. */
  readonly job: Readonly<Record<string, unknown>>;
  readonly quantileOf: (histogram: Histogram, q: number) => number;
  readonly alerts: readonly object[];
}

async function until(done: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 40_000;
  while (!(await done())) {
    if (Date.now() > deadline) throw new Error('the alerts that are due do not fire');
    await sleep(200);
  }
}
