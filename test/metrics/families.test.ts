// The families about packets, from readings made up for it: names, labels, zeros, the cap.

import { describe, expect, test } from 'vitest';
import type { DeviceKey, Reading } from '../../src/capture/reading.ts';
import { cpuLabelFits, type FamilyContext, packetFamilies } from '../../src/metrics/families.ts';
import type { Family, HistogramSample, Labels } from '../../src/metrics/model.ts';
import { PROBES } from '../../src/probes/index.ts';
import { CLASSIC_BOUNDS, emptyHistogram, type Histogram } from '../../src/stages/histogram.ts';

const NAMES: ReadonlyMap<DeviceKey, string> = new Map<DeviceKey, string>([
  [1, 'lo'],
  [2, 'eth0'],
  ['other_netns', '(other netns)'],
  ['overflow', '(other)'],
]);

function context(changes: Partial<FamilyContext> = {}): FamilyContext {
  return {
    probes: PROBES,
    budgets_ns: { irq_to_softirq: 100_000, softirq_to_socket: 500_000, receive_to_socket: 1_000 },
    deviceLabel: (device) => NAMES.get(device),
    irqLabel: (irq) => (irq === 38 ? 'eth0' : irq === 'overflow' ? '(other)' : ''),
    devices: ['lo', 'eth0', '(other netns)'],
    irqDevices: ['eth0'],
    exemplars: () => [],
    cpus: [],
    seriesMax: 2000,
    dropped: new Map(),
    ...changes,
  };
}

function reading(changes: Partial<Reading> = {}): Reading {
  return {
    packets: [],
    irqs: [],
    received: [],
    unmatched: {},
    deliveriesWithoutStart: 0,
    pending: 0,
    events: [0, 0, 0],
    eventsLost: [0, 0, 0],
    ...changes,
  };
}

/** `n` observations in bucket 64, of 1 µs each, and how many of them are over budget. */
function histogram(n: number, overBudget = 0): Histogram {
  const h = emptyHistogram();
  h.counts[64] = n;
  h.sumNs = n * 1000;
  h.overBudget = overBudget;
  return h;
}

function packet(device: DeviceKey, cpu: number, n: number, overBudget = 0) {
  const histogramOfIt = histogram(n, overBudget);
  return {
    probe: 'receive_to_socket' as const,
    device,
    protocol: 'udp' as const,
    cpu,
    histogram: histogramOfIt,
  };
}

function familyOf(families: readonly Family[], name: string): Family {
  const family = families.find((candidate) => candidate.name === name);
  if (family === undefined) throw new Error(`no family ${name}`);
  return family;
}

function histograms(families: readonly Family[], probe: string): readonly HistogramSample[] {
  const family = familyOf(families, `rxscope_${probe}_seconds`);
  if (family.type !== 'histogram') throw new Error(`${family.name} is a ${family.type}`);
  return family.samples;
}

function scalars(families: readonly Family[], name: string): [Labels, number][] {
  const family = familyOf(families, name);
  if (family.type === 'histogram') throw new Error(`${name} is a histogram`);
  return family.samples.map(({ labels, value }) => [labels, value]);
}

test('the names and types are those that dashboards build on', () => {
  expect(packetFamilies(reading(), context()).map(({ type, name }) => [type, name])).toEqual([
    ['histogram', 'rxscope_irq_to_softirq_seconds'],
    ['histogram', 'rxscope_softirq_to_socket_seconds'],
    ['histogram', 'rxscope_receive_to_socket_seconds'],
    ['counter', 'rxscope_over_budget_total'],
    ['gauge', 'rxscope_budget_seconds'],
    ['counter', 'rxscope_received_packets_total'],
    ['counter', 'rxscope_unmatched_total'],
    ['gauge', 'rxscope_pending_packets'],
    ['counter', 'rxscope_deliveries_without_start_total'],
  ]);
});

describe('before the first packet', () => {
  test.each([
    ['nothing has been counted', reading()],
    ['nothing could be loaded', undefined],
  ])('every series that can be known exists with 0 when %s', (_, empty) => {
    const families = packetFamilies(empty, context());
    expect(histograms(families, 'irq_to_softirq').map(({ labels }) => labels)).toEqual([
      { device: 'eth0' },
    ]);
    const devices = ['lo', 'eth0', '(other netns)'];
    const protocols = ['tcp', 'udp', 'other'];
    const known = devices.flatMap((device) => protocols.map((protocol) => ({ device, protocol })));
    for (const probe of ['softirq_to_socket', 'receive_to_socket']) {
      const samples = histograms(families, probe);
      expect(samples.map(({ labels }) => labels)).toEqual(known);
      for (const { count, sum, classic } of samples) {
        expect([count, sum, Array.from(classic.counts).every((n) => n === 0)]).toEqual([
          0,
          0,
          true,
        ]);
        expect(classic.bounds).toBe(CLASSIC_BOUNDS);
      }
      const budgets = scalars(families, 'rxscope_over_budget_total');
      expect(budgets.filter(([labels]) => labels.probe === probe)).toEqual(
        devices.map((device) => [{ probe, device }, 0]),
      );
    }
    expect(scalars(families, 'rxscope_received_packets_total')).toEqual(
      devices.map((device) => [{ device }, 0]),
    );
    expect(scalars(families, 'rxscope_pending_packets')).toEqual([[{}, 0]]);
    expect(scalars(families, 'rxscope_deliveries_without_start_total')).toEqual([[{}, 0]]);
  });

  test('budgets are in seconds', () => {
    expect(scalars(packetFamilies(undefined, context()), 'rxscope_budget_seconds')).toEqual([
      [{ probe: 'irq_to_softirq' }, 0.0001],
      [{ probe: 'softirq_to_socket' }, 0.0005],
      [{ probe: 'receive_to_socket' }, 0.000001],
    ]);
  });

  test('a probe that is switched off has no series', () => {
    const probes = PROBES.filter(({ id }) => id !== 'irq_to_softirq');
    const unmatched = { irq_to_softirq: { clock: 1 }, receive_to_socket: { clock: 2 } };
    const families = packetFamilies(reading({ unmatched }), context({ probes }));
    expect(families.map(({ name }) => name)).not.toContain('rxscope_irq_to_softirq_seconds');
    for (const name of ['over_budget_total', 'budget_seconds', 'unmatched_total']) {
      const ids = scalars(families, `rxscope_${name}`).map(([labels]) => labels.probe);
      expect(ids).not.toContain('irq_to_softirq');
    }
  });
});

describe('counts', () => {
  test('of all CPUs make one series; count is the sum of the buckets', () => {
    const packets = [packet(2, 0, 1009, 3), packet(2, 1, 503, 2)];
    const families = packetFamilies(reading({ packets }), context());
    const labels = { device: 'eth0', protocol: 'udp' };
    const found = histograms(families, 'receive_to_socket').filter(({ count }) => count > 0);
    expect(found).toMatchObject([{ labels, count: 1512, sum: 0.001512 }]);
    const [sample] = found;
    expect(Array.from(sample?.classic.counts ?? []).reduce((a, b) => a + b, 0)).toBe(1512);
    const over = scalars(families, 'rxscope_over_budget_total');
    expect(over).toContainEqual([{ probe: 'receive_to_socket', device: 'eth0' }, 5]);
  });

  test('of an interrupt carry the device behind it; several interrupts of it add up', () => {
    const irqs = [
      { irq: 38, cpu: 0, histogram: histogram(7) },
      { irq: 38, cpu: 1, histogram: histogram(11) },
      { irq: 9, cpu: 0, histogram: histogram(2) },
      { irq: 'overflow' as const, cpu: 0, histogram: histogram(3) },
    ];
    const samples = histograms(packetFamilies(reading({ irqs }), context()), 'irq_to_softirq');
    expect(samples.map(({ labels, count }) => [labels.device, count])).toEqual([
      ['eth0', 18],
      ['', 2],
      ['(other)', 3],
    ]);
  });

  test('do not change the reading that they come from', () => {
    const packets = [packet(2, 0, 7), packet(2, 1, 11)];
    const before = structuredClone(packets);
    packetFamilies(reading({ packets }), context());
    expect(packets).toEqual(before);
  });

  test('of received packets are by device, overflow and other namespaces included', () => {
    const received = [
      { device: 2, packets: 100_003 },
      { device: 'other_netns' as const, packets: 13 },
      { device: 'overflow' as const, packets: 5 },
    ];
    const families = packetFamilies(reading({ received, pending: 3 }), context());
    expect(scalars(families, 'rxscope_received_packets_total')).toEqual([
      [{ device: 'lo' }, 0],
      [{ device: 'eth0' }, 100_003],
      [{ device: '(other netns)' }, 13],
      [{ device: '(other)' }, 5],
    ]);
    expect(scalars(families, 'rxscope_pending_packets')).toEqual([[{}, 3]]);
  });

  test('of what could not be used are by probe and cause', () => {
    const unmatched = {
      receive_to_socket: { dropped: 19, clock: 0 },
      irq_to_softirq: { clock: 1 },
    };
    const families = packetFamilies(reading({ unmatched }), context());
    expect(scalars(families, 'rxscope_unmatched_total')).toEqual([
      [{ probe: 'irq_to_softirq', cause: 'clock' }, 1],
      [{ probe: 'receive_to_socket', cause: 'dropped' }, 19],
      [{ probe: 'receive_to_socket', cause: 'clock' }, 0],
    ]);
  });
});

describe('a device that is gone', () => {
  test('takes its series with it', () => {
    const packets = [packet(7, 0, 1009), packet(2, 0, 3)];
    const received = [{ device: 7, packets: 1009 }];
    const families = packetFamilies(reading({ packets, received }), context());
    const counts = histograms(families, 'receive_to_socket').filter(({ count }) => count > 0);
    expect(counts.map(({ labels }) => labels.device)).toEqual(['eth0']);
    expect(
      scalars(families, 'rxscope_received_packets_total').filter(([, value]) => value > 0),
    ).toEqual([]);
  });

  test('and was renamed meanwhile has its counts under the new name', () => {
    const renamed = context({ deviceLabel: () => 'lan0', devices: ['lan0'] });
    const families = packetFamilies(reading({ packets: [packet(2, 0, 7)] }), renamed);
    const devices = histograms(families, 'receive_to_socket').map(({ labels }) => labels.device);
    expect(new Set(devices)).toEqual(new Set(['lan0']));
  });
});

describe('the cpu label', () => {
  test('splits each series by CPU, zeros included', () => {
    const packets = [packet(2, 0, 7), packet(2, 3, 11)];
    const families = packetFamilies(reading({ packets }), context({ cpus: [0, 1, 2, 3] }));
    const udp = histograms(families, 'receive_to_socket').filter(
      ({ labels }) => labels.device === 'eth0' && labels.protocol === 'udp',
    );
    expect(udp.map(({ labels, count }) => [labels.cpu, count])).toEqual([
      ['0', 7],
      ['1', 0],
      ['2', 0],
      ['3', 11],
    ]);
  });

  test('is on no other family', () => {
    const families = packetFamilies(reading(), context({ cpus: [0, 1] }));
    const others = families.filter(({ type }) => type !== 'histogram');
    for (const { name } of others) {
      for (const [labels] of scalars(families, name)) expect(labels).not.toHaveProperty('cpu');
    }
  });

  test('fits up to 64 label sets of a family', () => {
    // Three devices and three protocols: nine label sets for each CPU.
    expect([cpuLabelFits(context(), 7), cpuLabelFits(context(), 8)]).toEqual([true, false]);
  });
});

describe('the cap on label sets', () => {
  test('is kept to, and each label set left out is counted once, however often it comes', () => {
    const dropped = new Map<string, Set<string>>();
    const capped = context({ seriesMax: 7, dropped });
    for (let scrape = 0; scrape < 3; scrape++) {
      expect(histograms(packetFamilies(reading(), capped), 'receive_to_socket')).toHaveLength(7);
    }
    expect(dropped.get('rxscope_receive_to_socket_seconds')?.size).toBe(2);
    expect(dropped.get('rxscope_softirq_to_socket_seconds')?.size).toBe(2);
    expect(dropped.has('rxscope_irq_to_softirq_seconds')).toBe(false);
  });

  test('leaves the counts over budget whole', () => {
    const packets = [packet('overflow', 0, 7, 5)];
    const families = packetFamilies(reading({ packets }), context({ seriesMax: 1 }));
    const over = scalars(families, 'rxscope_over_budget_total');
    expect(over).toContainEqual([{ probe: 'receive_to_socket', device: '(other)' }, 5]);
  });
});

test('exemplars are asked for by probe and the labels of the series', () => {
  const asked: [string, Labels][] = [];
  const exemplar = { labels: { cpu: '1' }, value: 0.001, timestampMs: 1 };
  const families = packetFamilies(
    reading(),
    context({
      cpus: [1],
      exemplars: (probe, labels) => {
        asked.push([probe, labels]);
        return [exemplar];
      },
    }),
  );
  expect(asked[0]).toEqual(['irq_to_softirq', { device: 'eth0', cpu: '1' }]);
  expect(asked).toHaveLength(1 + 9 + 9);
  expect(histograms(families, 'irq_to_softirq')[0]?.exemplars).toEqual([exemplar]);
});
