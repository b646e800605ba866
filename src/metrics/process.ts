// The agent's own process_* and nodejs_* metrics, from prom-client, as families of the model.
// prom-client's renderers stay unused: its OpenMetrics output strips `_total` from later text.

import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { ClassicBuckets, Family, HistogramSample, Labels, ScalarSample } from './model.ts';

let registry: Registry | undefined;

/** Reads them now. The first call begins to count garbage collections. */
export async function processFamilies(): Promise<Family[]> {
  if (registry === undefined) {
    registry = new Registry();
    collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: NEVER_MS });
    replaceLag(registry);
  }
  const metrics = (await registry.getMetricsAsJSON()) as unknown as readonly PromMetric[];
  return metrics.flatMap((metric) => familyOf(metric) ?? []);
}

/**
 * prom-client samples the event loop's delay by a timer, every 10 ms by default: a hundred wake-ups
 * a second while nobody scrapes. This one (24 days) never fires; what depends on it is left out.
 */
const NEVER_MS = 2 ** 31 - 1;

/**
 * prom-client's gauge of the lag works out a standard deviation of delays that nobody samples, which takes a
 * quarter of a millisecond in each scrape. This one has the same value: that of the scrape before.
 */
function replaceLag(register: Registry): void {
  register.removeSingleMetric(LAG);
  const lag = new Gauge({
    name: LAG,
    help: 'Lag of event loop in seconds.',
    registers: [register],
    collect: () => {
      const started = performance.now();
      setImmediate(() => lag.set((performance.now() - started) / 1000));
    },
  });
}

const LAG = 'nodejs_eventloop_lag_seconds';

/** What getMetricsAsJSON yields; its own types leave out the histograms' metricName. */
interface PromMetric {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly values: readonly PromValue[];
}

interface PromValue {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  readonly metricName?: string;
}

/** Undefined for what rxscope does not export. */
function familyOf(metric: PromMetric): Family | undefined {
  const { name, help, type } = metric;
  if (name.startsWith('nodejs_eventloop_lag_') && name !== LAG) {
    return undefined;
  }
  switch (type) {
    case 'counter': {
      const samples = metric.values.map(scalarSample);
      return { type, name: name.endsWith('_total') ? name : `${name}_total`, help, samples };
    }
    case 'gauge':
      // nodejs_active_handles_total and its like: sums, by type already in nodejs_active_handles,
      // under a suffix that belongs to counters.
      if (name.endsWith('_total')) return undefined;
      return { type, name, help, samples: metric.values.map(scalarSample) };
    case 'histogram':
      return { type, name, help, samples: histogramSamples(name, metric.values) };
    default:
      // A summary has no place in the model, and prom-client's defaults have none.
      return undefined;
  }
}

function scalarSample({ labels, value }: PromValue): ScalarSample {
  return { labels: textLabels(labels), value };
}

/** prom-client cumulates its buckets and lists all values of all label sets in one row. */
function histogramSamples(name: string, values: readonly PromValue[]): HistogramSample[] {
  const byLabels = new Map<string, { labels: Labels; values: PromValue[] }>();
  for (const value of values) {
    const { le: _, ...labels } = textLabels(value.labels);
    const key = JSON.stringify(labels);
    const group = byLabels.get(key) ?? { labels, values: [] };
    group.values.push(value);
    byLabels.set(key, group);
  }
  return Array.from(byLabels.values(), (group) => ({
    labels: group.labels,
    sum: group.values.find((value) => value.metricName === `${name}_sum`)?.value ?? 0,
    count: group.values.find((value) => value.metricName === `${name}_count`)?.value ?? 0,
    classic: classicBuckets(group.values.filter((value) => value.metricName === `${name}_bucket`)),
  }));
}

function classicBuckets(buckets: readonly PromValue[]): ClassicBuckets {
  const ascending = buckets
    .map(({ labels, value }) => ({
      bound: labels.le === '+Inf' ? Infinity : Number(labels.le),
      cumulated: value,
    }))
    .sort((a, b) => a.bound - b.bound);
  return {
    bounds: ascending.map(({ bound }) => bound).filter(Number.isFinite),
    counts: ascending.map(({ cumulated }, i) => cumulated - (ascending[i - 1]?.cumulated ?? 0)),
  };
}

function textLabels(labels: PromValue['labels']): Labels {
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [name, String(value)]));
}
