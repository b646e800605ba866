// Which counters of the agent correspond to which of node_exporter, and how both rise over the same time.
// A table and its arithmetic: reads and judges nothing.
//
// Each is read between two reads of the other, both ways round: what the other counted in the shorter
// time is at most, and in the longer time at least, what the one did. No tolerance is needed.

import type { Numbers } from './numbers.ts';

/** Two reads of the same counters. */
export interface Reads {
  readonly before: Numbers;
  readonly after: Numbers;
}

export type Counts = ReadonlyMap<string, number>;

/** Sums of a counter by the values of these labels. */
export function by(
  numbers: Numbers,
  name: string,
  ...labels: readonly string[]
): Map<string, number> {
  const sums = new Map<string, number>();
  for (const sample of numbers.find(name)) {
    const key = labels.map((label) => sample.labels[label]).join(' ');
    sums.set(key, (sums.get(key) ?? 0) + sample.value);
  }
  return sums;
}

export function rise(
  { before, after }: Reads,
  of: (numbers: Numbers) => Counts,
): Map<string, number> {
  const earlier = of(before);
  return new Map(
    Array.from(of(after), ([key, value]) => [key, value - (earlier.get(key) ?? Number.NaN)]),
  );
}

/** Seconds as the kernel's hundredths, which are whole. */
function ticks(seconds: Counts): Map<string, number> {
  return new Map(Array.from(seconds, ([key, value]) => [key, Math.round(value * 100)]));
}

export function only(counts: Counts, keys: (key: string) => boolean): Map<string, number> {
  return new Map([...counts].filter(([key]) => keys(key)));
}

export interface Pair {
  readonly what: string;
  of(agent: Numbers): Counts;
  as(exporter: Numbers): Counts;
}

export const PAIRS: readonly Pair[] = [
  {
    what: 'softirqs by vector',
    of: (agent) => by(agent, 'rxscope_softirqs_total', 'vector'),
    as: (exporter) =>
      new Map(
        Array.from(by(exporter, 'node_softirqs_total', 'vector'), ([vector, n]) => [
          // Its own name for one of them.
          vector.toUpperCase().replace('BLOCK_IOPOLL', 'IRQ_POLL'),
          n,
        ]),
      ),
  },
  {
    what: 'interrupts by line of network devices',
    of: (agent) => only(by(agent, 'rxscope_interrupts_total', 'irq'), (irq) => irq !== ''),
    as: (exporter) => by(exporter, 'node_interrupts_total', 'type'),
  },
  {
    what: 'interrupts in all',
    of: (agent) => by(agent, 'rxscope_interrupts_total'),
    as: (exporter) => by(exporter, 'node_interrupts_total'),
  },
  ...['processed', 'dropped', 'times_squeezed'].map((column) => ({
    what: `softnet ${column} by CPU`,
    of: (agent: Numbers) => by(agent, `rxscope_softnet_${column}_total`, 'cpu'),
    as: (exporter: Numbers) => by(exporter, `node_softnet_${column}_total`, 'cpu'),
  })),
  {
    what: 'packets received by device',
    of: (agent) => by(agent, 'rxscope_interface_receive_packets_total', 'device'),
    as: (exporter) => by(exporter, 'node_network_receive_packets_total', 'device'),
  },
  {
    what: 'receive errors by device',
    of: (agent) => byDevice(agent, 'rxscope_interface_receive_errors_total', ['rx_errors']),
    as: (exporter) => by(exporter, 'node_network_receive_errs_total', 'device'),
  },
  {
    what: 'receive drops by device',
    of: (agent) =>
      byDevice(agent, 'rxscope_interface_receive_drops_total', ['rx_dropped', 'rx_missed_errors']),
    as: (exporter) => by(exporter, 'node_network_receive_drop_total', 'device'),
  },
  {
    what: 'context switches',
    of: (agent) => by(agent, 'rxscope_context_switches_total'),
    as: (exporter) => by(exporter, 'node_context_switches_total'),
  },
  {
    what: 'CPU time of interrupts and softirqs',
    of: (agent) => ticks(by(agent, 'rxscope_cpu_seconds_total', 'cpu', 'mode')),
    as: (exporter) => ticks(by(exporter, 'node_cpu_seconds_total', 'cpu', 'mode')),
  },
  {
    what: 'drops that protocols count',
    of: (agent) => by(agent, 'rxscope_protocol_drops_total', 'protocol', 'counter'),
    as: (exporter) =>
      new Map(
        exporter.names(/^node_netstat_/).map((name) => {
          const [, protocol, counter] = /^node_netstat_([^_]+)_(.+)$/.exec(name) ?? [];
          return [`${protocol} ${counter}`, exporter.total(name)];
        }),
      ),
  },
];

function byDevice(agent: Numbers, name: string, counters: readonly string[]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { labels, value } of agent.find(name)) {
    const { device = '', counter = '' } = labels;
    if (counters.includes(counter)) sums.set(device, (sums.get(device) ?? 0) + value);
  }
  return sums;
}

export function sum(counts: Counts): number {
  return [...counts.values()].reduce((total, n) => total + n, 0);
}
