// What devices that are gone have counted goes on as that of one device, "removed", so that no sum over all
// devices falls when one goes. Pure.

import { emptyHistogram, merge } from '../histogram/histogram.ts';
import type { DeviceKey, DeviceRows, DropCount, Latency, PollWork } from './reading.ts';

export const NO_ROWS: DeviceRows = { latencies: [], received: [], drops: [], polls: [] };

/** `rows` with those of the devices that are gone as one; `earlier`: what such devices had before. */
export function withRemoved<Rows extends DeviceRows>(
  rows: Rows,
  gone: ReadonlySet<DeviceKey>,
  earlier: DeviceRows = NO_ROWS,
): Rows {
  const fold = <Row extends { readonly device?: DeviceKey }>(
    all: readonly Row[],
    before: readonly Row[],
    sum: (rows: readonly Row[]) => readonly Row[],
  ): readonly Row[] => {
    const isGone = ({ device }: Row): boolean =>
      device !== undefined && (device === 'removed' || gone.has(device));
    const left = all.filter(isGone);
    if (left.length + before.length === 0) return all;
    return [...all.filter((row) => !isGone(row)), ...sum([...before, ...left])];
  };
  return {
    ...rows,
    latencies: fold(rows.latencies, earlier.latencies, sumLatencies),
    received: fold(rows.received, earlier.received, sumReceived),
    drops: fold(rows.drops, earlier.drops, sumDrops),
    polls: fold(rows.polls, earlier.polls, sumPolls),
  };
}

function sumLatencies(rows: readonly Latency[]): Latency[] {
  const sums = new Map<string, Latency>();
  for (const row of rows) {
    const key = `${row.probe} ${row.protocol} ${row.cpu}`;
    const sum = sums.get(key) ?? { ...row, device: 'removed', histogram: emptyHistogram() };
    merge(sum.histogram, row.histogram);
    sums.set(key, sum);
  }
  return [...sums.values()];
}

function sumReceived(rows: DeviceRows['received']): DeviceRows['received'] {
  const packets = rows.reduce((sum, row) => sum + row.packets, 0);
  return packets === 0 ? [] : [{ device: 'removed', packets }];
}

function sumDrops(rows: readonly DropCount[]): DropCount[] {
  const sums = new Map<number, number>();
  for (const { reason, packets } of rows) sums.set(reason, (sums.get(reason) ?? 0) + packets);
  return [...sums].map(([reason, packets]) => ({ reason, device: 'removed', packets }));
}

function sumPolls(rows: readonly PollWork[]): PollWork[] {
  if (rows.length === 0) return [];
  const sum = (of: (row: PollWork) => number): number => rows.reduce((n, row) => n + of(row), 0);
  const buckets = Math.max(...rows.map(({ polls }) => polls.length));
  return [
    {
      device: 'removed',
      polls: Array.from({ length: buckets }, (_, i) => sum(({ polls }) => polls[i] ?? 0)),
      packets: sum(({ packets }) => packets),
      exhausted: sum(({ exhausted }) => exhausted),
    },
  ];
}
