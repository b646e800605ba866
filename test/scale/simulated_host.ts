// One of many hosts: a template's exposition with a load, latencies and, on some, a fault of its own. Pure and
// the same for the same number: the server that is scraped and the test that knows better compute it alike.

import { bucketOf } from '../../src/histogram/bounds.ts';
import {
  count,
  emptyHistogram,
  type Histogram,
  toClassic,
  toNative,
} from '../../src/histogram/histogram.ts';
import type { Family, HistogramSample, ScalarSample } from '../../src/metrics/model.ts';
import { type LatencyTemplate, probeOf, type ScalarTemplate, type Template } from './template.ts';

/**
 * What is wrong with a host, by its number's last two digits. Of late ones there are two in a hundred, so that
 * the fleet's P99 is in the midst of theirs and not at the cliff before it.
 */
export const FAULTS = {
  late: { places: [17, 18], alerts: ['RxscopeLatencyHigh warning'] },
  veryLate: {
    places: [37, 38],
    alerts: ['RxscopeLatencyHigh critical', 'RxscopeLatencyHigh warning'],
  },
  fullSockets: {
    places: [57],
    alerts: ['RxscopeSocketBufferFull critical', 'RxscopeSocketBufferFull warning'],
  },
  busyCpu: { places: [77], alerts: ['RxscopeSoftirqBusy warning'] },
  down: { places: [97], alerts: ['RxscopeAgentDown warning'] },
} as const;
export type Fault = keyof typeof FAULTS;

export function faultOf(host: number): Fault | undefined {
  const names = Object.keys(FAULTS) as Fault[];
  return names.find((name) => (FAULTS[name].places as readonly number[]).includes(host % 100));
}

export function instanceOf(host: number): string {
  return `host-${String(host).padStart(4, '0')}`;
}

/** P99 of a healthy host is below this share of its budget, also as classic buckets tell it. */
const HEALTHY_P99 = 0.25;
/** Late enough for a warning, and for no more where classic buckets are off by a factor of two. */
const LATE = { probe: 'receive_to_socket', factor: 2.2 };
/** Above five times the budget in any case. */
const VERY_LATE = { probe: 'softirq_to_socket', factor: 12 };
/** Each observation of the template happens once in this time, times the load of the host. */
const TICK_MS = 100;
/** Packets received, a second; more than the alerts on shares of drops ask for. */
const RECEIVED_PER_SECOND = 1_000;

/** The highest rates of a host that is well. The template's machine may have been busy otherwise. */
const CALM_PER_SECOND: Readonly<Record<string, number>> = {
  rxscope_cpu_seconds_total: 0.05,
  process_cpu_seconds_total: 0.005,
  rxscope_softnet_times_squeezed_total: 0.1,
  rxscope_interrupts_total: 1_000,
  rxscope_softirqs_total: 5_000,
  rxscope_drops_total: 0,
  rxscope_packets_dropped_total: 0,
  rxscope_protocol_drops_total: 0,
  rxscope_softnet_dropped_total: 0,
  rxscope_events_lost_total: 0,
};
/** The same on each CPU, so that no host is out of balance. */
const EVEN_PER_SECOND: Readonly<Record<string, number>> = {
  rxscope_softnet_processed_total: RECEIVED_PER_SECOND,
  rxscope_received_packets_total: RECEIVED_PER_SECOND,
};

interface Row {
  readonly labels: Readonly<Record<string, string>>;
  /** In each tick. */
  readonly each: Histogram;
  readonly total: number;
}

export class SimulatedHost {
  readonly fault: Fault | undefined;
  /** How often each observation of the template is made in a tick: 1 to 5. */
  readonly load: number;
  readonly #template: Template;
  readonly #spread: number;
  readonly #rows: ReadonlyMap<string, readonly Row[]>;

  constructor(template: Template, host: number) {
    this.#template = template;
    this.fault = faultOf(host);
    this.load = 1 + (host % 5);
    // Low-discrepancy: hosts from half to one and a half times as slow as the template.
    this.#spread = 0.5 + ((host * 0.618034) % 1);
    this.#rows = new Map(
      this.#latencies().map((family) => [family.name, this.#rowsOf(family)] as const),
    );
  }

  /** Observations of a probe, in ns, each as often as any other; all label sets together. */
  values_ns(probe: string): number[] {
    const family = this.#latencies().find((one) => probeOf(one) === probe);
    return (family?.samples ?? []).flatMap((sample) => {
      const factor = this.#factor(probe, sample.values_ns);
      return sample.values_ns.map((ns) => Math.round(ns * factor));
    });
  }

  /** What the host exports when it has run for so long. */
  snapshot(elapsedMs: number): Family[] {
    const times = Math.floor(elapsedMs / TICK_MS) * this.load;
    return this.#template.families.map((family): Family => {
      const { name, help } = family;
      if (family.type === 'histogram') {
        const rows = this.#rows.get(name) ?? [];
        return { type: 'histogram', name, help, samples: rows.map((row) => sampleOf(row, times)) };
      }
      return { type: family.type, name, help, samples: this.#scalars(family, elapsedMs, times) };
    });
  }

  #latencies(): LatencyTemplate[] {
    return this.#template.families.filter((family) => family.type === 'histogram');
  }

  #rowsOf(family: LatencyTemplate): Row[] {
    const probe = probeOf(family);
    const budgetNs = this.#budgetNs(probe);
    return family.samples.map(({ labels, values_ns }) => {
      const each = emptyHistogram();
      const factor = this.#factor(probe, values_ns);
      for (const value of values_ns) {
        const ns = Math.round(value * factor);
        const bucket = bucketOf(ns);
        if (bucket === undefined) throw new Error(`${probe}: ${ns} ns is no latency`);
        each.counts[bucket] = (each.counts[bucket] ?? 0) + 1;
        each.sumNs += ns;
        if (ns > budgetNs) each.overBudget += 1;
      }
      return { labels, each, total: count(each) };
    });
  }

  /** By which a label set's latencies are multiplied. */
  #factor(probe: string, values_ns: readonly number[]): number {
    const budgetNs = this.#budgetNs(probe);
    const p99 = values_ns[Math.floor(values_ns.length * 0.99)] ?? 0;
    if (p99 === 0) return 1;
    if (this.fault === 'late' && probe === LATE.probe) return (LATE.factor * budgetNs) / p99;
    if (this.fault === 'veryLate' && probe === VERY_LATE.probe) {
      return (VERY_LATE.factor * budgetNs) / p99;
    }
    const highest = values_ns.at(-1) ?? p99;
    // P99.9 within budget, too: no burn rate.
    return Math.min(1, (HEALTHY_P99 * budgetNs) / p99, (0.6 * budgetNs) / highest) * this.#spread;
  }

  #budgetNs(probe: string): number {
    const budgets = this.#template.families.find(({ name }) => name === 'rxscope_budget_seconds');
    const samples = budgets?.type === 'gauge' ? budgets.samples : [];
    return (samples.find(({ labels }) => labels.probe === probe)?.value ?? Infinity) * 1e9;
  }

  #scalars(family: ScalarTemplate, elapsedMs: number, times: number): ScalarSample[] {
    const { name, type } = family;
    const samples = family.samples.map(({ labels, value, perSecond }) => {
      if (name === 'rxscope_over_budget_total') return { labels, value: this.#over(labels, times) };
      if (name === 'rxscope_events_total') return { labels, value: this.#over(labels, times) };
      if (type === 'gauge') return { labels, value };
      const rate = this.#perSecond(name, labels, perSecond);
      return { labels, value: value + Math.floor(rate * elapsedMs) / 1000 };
    });
    if (this.fault === 'fullSockets' && name === 'rxscope_drops_total') {
      const labels = { reason: 'SOCKET_RCVBUFF', device: 'lo' };
      const others = samples.filter((one) => one.labels.reason !== labels.reason);
      // A twentieth of what one device receives: more than one in a hundred of all devices together.
      const value = Math.floor((elapsedMs / 1000) * this.load * RECEIVED_PER_SECOND * 0.2);
      return [...others, { labels, value }];
    }
    return samples;
  }

  #perSecond(name: string, labels: Row['labels'], perSecond: number): number {
    const even = EVEN_PER_SECOND[name];
    if (even !== undefined) return even * this.load;
    const softirq = name === 'rxscope_cpu_seconds_total' && labels.mode === 'softirq';
    if (this.fault === 'busyCpu' && softirq && labels.cpu === '0') return 0.6;
    return Math.min(perSecond, CALM_PER_SECOND[name] ?? Infinity);
  }

  #over(labels: Row['labels'], times: number): number {
    const rows = this.#rows.get(`rxscope_${labels.probe}_seconds`) ?? [];
    return rows
      .filter((row) => (row.labels.device ?? '') === (labels.device ?? ''))
      .reduce((sum, row) => sum + row.each.overBudget * times, 0);
  }
}

function sampleOf({ labels, each, total }: Row, times: number): HistogramSample {
  const histogram: Histogram = {
    counts: each.counts.map((one) => one * times),
    sumNs: each.sumNs * times,
    overBudget: 0,
  };
  return {
    labels,
    sum: histogram.sumNs / 1e9,
    count: total * times,
    classic: toClassic(histogram),
    native: toNative(histogram),
  };
}
