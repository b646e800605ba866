// The families of probes that bpftrace measures, from readings made up for it.

import { describe, expect, test } from 'vitest';
import type { ScriptDevice, ScriptReading } from '../../src/capture/bpftrace/script_reading.ts';
import { COARSE_BOUNDS, coarseBucket, emptyCoarse } from '../../src/histogram/coarse_histogram.ts';
import type { FamilyContext } from '../../src/metrics/families.ts';
import type { Family, HistogramSample } from '../../src/metrics/model.ts';
import { PROBES } from '../../src/probes/index.ts';
import { nameScript } from '../../src/readings/named_reading.ts';
import { familiesOf, reading } from './readings.ts';

const NOTHING: ScriptReading = {
  latencies: [],
  received: [],
  unmatched: {},
  deliveriesWithoutStart: 0,
  pending: 0,
};

/** What libbpf would say; none of it may show where bpftrace measures. */
const LIBBPF = reading({
  received: [{ device: 1, packets: 5003 }],
  unmatched: { irq_to_softirq: { already_raised: 7 }, receive_to_socket: { no_socket: 11 } },
  deliveriesWithoutStart: 13,
  pending: 17,
});

function families(
  scripts: Record<string, ScriptReading>,
  changes: Partial<FamilyContext> = {},
): Family[] {
  const names = {
    scriptDevice: (device: ScriptDevice) => {
      if (typeof device !== 'string') return device.name === 'gone' ? undefined : device.name;
      return { other_netns: '(other netns)', overflow: '(other)', removed: '(removed)' }[device];
    },
    irqLabel: () => 'eth0',
  };
  const named = Object.entries(scripts).map(
    ([probe, script]) => [probe, nameScript(probe, script, names)] as const,
  );
  return familiesOf(LIBBPF, {
    probes: PROBES,
    budgets_ns: {},
    known: { devices: ['lo', '(other netns)'], irqDevices: ['eth0'] },
    exemplars: () => [],
    cpus: [0, 1],
    scripts: new Map(named),
    ...changes,
  });
}

function samples(found: readonly Family[], name: string) {
  return found.find((family) => family.name === name)?.samples ?? [];
}

function histograms(found: readonly Family[], probe: string): HistogramSample[] {
  return samples(found, `rxscope_${probe}_seconds`) as HistogramSample[];
}

function coarse(ns: number, n: number) {
  const histogram = emptyCoarse();
  histogram.counts[coarseBucket(ns)] = n;
  histogram.sumNs = n * (ns - 1);
  return histogram;
}

const UDP = { protocol: 'udp' } as const;
const RECEIVE: ScriptReading = {
  ...NOTHING,
  latencies: [
    { device: { name: 'lo' }, ...UDP, histogram: coarse(1024, 101) },
    { device: 'other_netns', ...UDP, histogram: coarse(4096, 103) },
    { device: 'other_netns', ...UDP, histogram: coarse(8192, 107) },
    { device: { name: 'gone' }, ...UDP, histogram: coarse(1024, 109) },
  ],
  received: [
    { device: { name: 'lo' }, packets: 211 },
    { device: 'overflow', packets: 3 },
  ],
  unmatched: { not_queued: 113, clock: 0 },
  deliveriesWithoutStart: 127,
  pending: 2,
};

test('the bounds are powers of two of a nanosecond and stand there before the first packet', () => {
  expect(COARSE_BOUNDS[0]).toBe(64e-9);
  expect(COARSE_BOUNDS.at(-1)).toBe(2.147483648);
  const [sample, ...others] = histograms(families({ irq_to_softirq: NOTHING }), 'irq_to_softirq');
  expect(others).toEqual([]);
  expect(sample).toMatchObject({ labels: { device: 'eth0' }, count: 0, sum: 0 });
  expect(sample?.classic.bounds).toBe(COARSE_BOUNDS);
  expect(Array.from(sample?.classic.counts ?? [])).toEqual(Array(COARSE_BOUNDS.length + 1).fill(0));
});

test.each([
  [0, 0],
  [1, 0],
  [64, 0],
  [128, 1],
  [2 ** 31, COARSE_BOUNDS.length - 1],
  [2 ** 32, COARSE_BOUNDS.length],
  [Infinity, COARSE_BOUNDS.length],
])('observations up to %i ns are in bucket %i', (ns, bucket) => {
  expect(coarseBucket(ns)).toBe(bucket);
});

describe('a probe that bpftrace measures', () => {
  const found = families({ receive_to_socket: RECEIVE });

  test('has rows of the same labels in one histogram, without native form, CPU or exemplars', () => {
    const filled = histograms(found, 'receive_to_socket').filter(({ count }) => count > 0);
    expect(filled.map(({ labels, count }) => [labels, count])).toEqual([
      [{ device: 'lo', protocol: 'udp' }, 101],
      [{ device: '(other netns)', protocol: 'udp' }, 210],
      [{ device: '(removed)', protocol: 'udp' }, 109],
    ]);
    for (const sample of filled) expect(Object.keys(sample)).not.toContain('native');
    expect(filled[1]?.sum).toBeCloseTo((103 * 4095 + 107 * 8191) / 1e9, 15);
  });

  test('has its own books; the others keep those of libbpf', () => {
    expect(samples(found, 'rxscope_unmatched_total')).toEqual([
      { labels: { probe: 'irq_to_softirq', cause: 'already_raised' }, value: 7 },
      { labels: { probe: 'receive_to_socket', cause: 'not_queued' }, value: 113 },
      { labels: { probe: 'receive_to_socket', cause: 'clock' }, value: 0 },
    ]);
    expect(samples(found, 'rxscope_received_packets_total')).toEqual([
      { labels: { device: 'lo' }, value: 211 },
      { labels: { device: '(other netns)' }, value: 0 },
      { labels: { device: '(other)' }, value: 3 },
    ]);
    expect(samples(found, 'rxscope_pending_packets')).toEqual([{ labels: {}, value: 2 }]);
    expect(samples(found, 'rxscope_deliveries_without_start_total')).toEqual([
      { labels: {}, value: 127 },
    ]);
  });

  test('says nothing of what was over budget; the others do', () => {
    const probes = samples(found, 'rxscope_over_budget_total').map(({ labels }) => labels.probe);
    expect(new Set(probes)).toEqual(
      new Set(PROBES.map(({ id }) => id).filter((id) => id !== 'receive_to_socket')),
    );
  });
});

test('where only irq_to_softirq is left to bpftrace, packets are those of libbpf', () => {
  const found = families({ irq_to_softirq: NOTHING });
  expect(samples(found, 'rxscope_received_packets_total')[0]).toEqual({
    labels: { device: 'lo' },
    value: 5003,
  });
  expect(samples(found, 'rxscope_pending_packets')).toEqual([{ labels: {}, value: 17 }]);
});
