// The families about packets, from readings made up for it: names, labels, zeros.

import { describe, expect, test } from 'vitest';
import { PROTOCOLS, VECTORS } from '../../src/capture/slots.ts';
import { CLASSIC_BOUNDS } from '../../src/histogram/histogram.ts';
import { cpuLabelFits } from '../../src/metrics/families.ts';
import type { Labels } from '../../src/metrics/model.ts';
import { PROBES } from '../../src/probes/index.ts';
import type { By } from '../../src/probes/probe.ts';
import {
  context,
  familiesOf,
  familyOf,
  histogram,
  histograms,
  packet,
  reading,
  scalars,
} from './readings.ts';

const DEVICES = ['lo', 'eth0', '(other netns)'];
/** The label sets of a probe before the first packet, by what its histograms are by. */
const KNOWN: Readonly<Record<By, readonly Labels[]>> = {
  irq: [{ device: 'eth0' }],
  device: DEVICES.map((device) => ({ device })),
  device_protocol: DEVICES.flatMap((device) => PROTOCOLS.map((protocol) => ({ device, protocol }))),
  protocol: PROTOCOLS.map((protocol) => ({ protocol })),
  vector: VECTORS.map((vector) => ({ vector })),
};

test('the names and types are those that dashboards build on', () => {
  expect(familiesOf(reading(), context()).map(({ type, name }) => [type, name])).toEqual([
    ['histogram', 'rxscope_irq_to_softirq_seconds'],
    ['histogram', 'rxscope_softirq_to_socket_seconds'],
    ['histogram', 'rxscope_receive_to_socket_seconds'],
    ['histogram', 'rxscope_softirq_raise_to_entry_seconds'],
    ['histogram', 'rxscope_backlog_wait_seconds'],
    ['histogram', 'rxscope_socket_to_read_seconds'],
    ['histogram', 'rxscope_wakeup_to_run_seconds'],
    ['histogram', 'rxscope_napi_poll_seconds'],
    ['histogram', 'rxscope_hardirq_duration_seconds'],
    ['histogram', 'rxscope_softirq_duration_seconds'],
    ['histogram', 'rxscope_napi_poll_packets'],
    ['counter', 'rxscope_napi_budget_exhausted_total'],
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
    const families = familiesOf(empty, context());
    for (const { id: probe, by } of PROBES) {
      const known = KNOWN[by];
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
      const devices = new Set(known.map(({ device = '' }) => device));
      expect(budgets.filter(([labels]) => labels.probe === probe)).toEqual(
        [...devices].map((device) => [{ probe, device }, 0]),
      );
    }
    expect(scalars(families, 'rxscope_received_packets_total')).toEqual(
      DEVICES.map((device) => [{ device }, 0]),
    );
    expect(scalars(families, 'rxscope_pending_packets')).toEqual([[{}, 0]]);
    expect(scalars(families, 'rxscope_deliveries_without_start_total')).toEqual([[{}, 0]]);
  });

  test('budgets are in seconds', () => {
    const probes = PROBES.slice(0, 3);
    expect(scalars(familiesOf(undefined, context({ probes })), 'rxscope_budget_seconds')).toEqual([
      [{ probe: 'irq_to_softirq' }, 0.0001],
      [{ probe: 'softirq_to_socket' }, 0.0005],
      [{ probe: 'receive_to_socket' }, 0.000001],
    ]);
  });

  test('a probe that is switched off has no series', () => {
    const probes = PROBES.filter(({ id }) => id !== 'irq_to_softirq');
    const unmatched = { irq_to_softirq: { clock: 1 }, receive_to_socket: { clock: 2 } };
    const families = familiesOf(reading({ unmatched }), context({ probes }));
    expect(families.map(({ name }) => name)).not.toContain('rxscope_irq_to_softirq_seconds');
    for (const name of ['over_budget_total', 'budget_seconds', 'unmatched_total']) {
      const ids = scalars(families, `rxscope_${name}`).map(([labels]) => labels.probe);
      expect(ids).not.toContain('irq_to_softirq');
    }
  });
});

describe('counts', () => {
  test('of all CPUs make one series; count is the sum of the buckets', () => {
    const latencies = [packet(2, 0, 1009, 3), packet(2, 1, 503, 2)];
    const families = familiesOf(reading({ latencies }), context());
    const labels = { device: 'eth0', protocol: 'udp' };
    const found = histograms(families, 'receive_to_socket').filter(({ count }) => count > 0);
    expect(found).toMatchObject([{ labels, count: 1512, sum: 0.001512 }]);
    const [sample] = found;
    expect(Array.from(sample?.classic.counts ?? []).reduce((a, b) => a + b, 0)).toBe(1512);
    const over = scalars(families, 'rxscope_over_budget_total');
    expect(over).toContainEqual([{ probe: 'receive_to_socket', device: 'eth0' }, 5]);
  });

  test('of an interrupt carry the device behind it; several interrupts of it add up', () => {
    const seen = [
      { irq: 38, cpu: 0, histogram: histogram(7) },
      { irq: 38, cpu: 1, histogram: histogram(11) },
      { irq: 9, cpu: 0, histogram: histogram(2) },
      { irq: 'overflow' as const, cpu: 0, histogram: histogram(3) },
    ];
    for (const probe of ['irq_to_softirq', 'hardirq_duration']) {
      const latencies = seen.map((latency) => ({ probe, ...latency }));
      const families = familiesOf(reading({ latencies }), context());
      expect(
        histograms(families, probe).map(({ labels, count }) => [Object.entries(labels), count]),
      ).toEqual([
        [[['device', 'eth0']], 18],
        [[['device', '']], 2],
        [[['device', '(other)']], 3],
      ]);
    }
  });

  test('of a softirq carry its vector, and over budget no device', () => {
    const probe = 'softirq_raise_to_entry';
    const latencies = [
      { probe, vector: 'NET_RX', cpu: 0, histogram: histogram(7, 2) },
      { probe, vector: 'NET_RX', cpu: 1, histogram: histogram(11, 3) },
      { probe, vector: 'TIMER', cpu: 1, histogram: histogram(13) },
      { probe: 'softirq_duration', vector: 'RCU', cpu: 1, histogram: histogram(17) },
    ];
    const families = familiesOf(reading({ latencies }), context());
    const filled = (id: string) => histograms(families, id).filter(({ count }) => count > 0);
    expect(filled(probe).map(({ labels, count }) => [labels, count])).toEqual([
      [{ vector: 'TIMER' }, 13],
      [{ vector: 'NET_RX' }, 18],
    ]);
    expect(filled('softirq_duration')).toMatchObject([{ labels: { vector: 'RCU' }, count: 17 }]);
    const over = scalars(families, 'rxscope_over_budget_total');
    expect(over.filter(([labels]) => labels.probe === probe)).toEqual([[{ probe, device: '' }, 5]]);
  });

  test('of a reader carry the protocol alone', () => {
    const latencies = ['socket_to_read', 'wakeup_to_run'].map((probe, i) => ({
      ...{ probe, protocol: 'udp' as const, cpu: 0 },
      histogram: histogram(7 + i),
    }));
    const families = familiesOf(reading({ latencies }), context());
    for (const [i, { probe }] of latencies.entries()) {
      const samples = histograms(families, probe).map(({ labels, count }) => [labels, count]);
      expect(samples).toEqual([
        [{ protocol: 'tcp' }, 0],
        [{ protocol: 'udp' }, 7 + i],
        [{ protocol: 'other' }, 0],
      ]);
    }
  });

  test('of polls without a device are those of the backlog; of a wait there is no such', () => {
    const latencies = ['napi_poll', 'backlog_wait'].map((probe) => ({
      ...{ probe, device: 'none' as const, cpu: 0 },
      histogram: histogram(7),
    }));
    const families = familiesOf(reading({ latencies }), context());
    const devices = (probe: string) =>
      histograms(families, probe)
        .filter(({ count }) => count > 0)
        .map(({ labels }) => labels.device);
    expect([devices('napi_poll'), devices('backlog_wait')]).toEqual([['(backlog)'], ['']]);
  });

  test('do not change the reading that they come from', () => {
    const latencies = [packet(2, 0, 7), packet(2, 1, 11)];
    const before = structuredClone(latencies);
    familiesOf(reading({ latencies }), context());
    expect(latencies).toEqual(before);
  });

  test('of received packets are by device, overflow and other namespaces included', () => {
    const received = [
      { device: 2, packets: 100_003 },
      { device: 'other_netns' as const, packets: 13 },
      { device: 'overflow' as const, packets: 5 },
    ];
    const families = familiesOf(reading({ received, pending: 3 }), context());
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
    const families = familiesOf(reading({ unmatched }), context());
    expect(scalars(families, 'rxscope_unmatched_total')).toEqual([
      [{ probe: 'irq_to_softirq', cause: 'clock' }, 1],
      [{ probe: 'receive_to_socket', cause: 'dropped' }, 19],
      [{ probe: 'receive_to_socket', cause: 'clock' }, 0],
    ]);
  });
});

describe('a device that is gone', () => {
  test('goes on as one of the removed devices', () => {
    const latencies = [packet(7, 0, 1009), packet(2, 0, 3)];
    const received = [{ device: 7, packets: 1009 }];
    const polls = [{ device: 7, polls: POLLS, packets: 131, exhausted: 3 }];
    const families = familiesOf(reading({ latencies, received, polls }), context());
    const removed = { device: '(removed)' };
    expect(scalars(families, 'rxscope_napi_budget_exhausted_total')).toEqual([[removed, 3]]);
    const counts = histograms(families, 'receive_to_socket').filter(({ count }) => count > 0);
    expect(counts.map(({ labels, count }) => [labels.device, count])).toEqual([
      ['eth0', 3],
      ['(removed)', 1009],
    ]);
    expect(
      scalars(families, 'rxscope_received_packets_total').filter(([, value]) => value > 0),
    ).toEqual([[removed, 1009]]);
  });

  test('and was renamed meanwhile has its counts under the new name', () => {
    const renamed = context({ known: { devices: ['lan0'], irqDevices: [] } });
    const families = familiesOf(reading({ latencies: [packet(2, 0, 7)] }), renamed, {
      deviceLabel: () => 'lan0',
    });
    const devices = histograms(families, 'receive_to_socket').map(({ labels }) => labels.device);
    expect(new Set(devices)).toEqual(new Set(['lan0']));
  });
});

describe('the cpu label', () => {
  test('splits each series by CPU, zeros included', () => {
    const latencies = [packet(2, 0, 7), packet(2, 3, 11)];
    const families = familiesOf(reading({ latencies }), context({ cpus: [0, 1, 2, 3] }));
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
    const families = familiesOf(reading(), context({ cpus: [0, 1] }));
    const others = families.filter(({ type }) => type !== 'histogram');
    expect(others).toHaveLength(7);
    for (const { name } of others) {
      for (const [labels] of scalars(families, name)) expect(labels).not.toHaveProperty('cpu');
    }
  });

  test('fits while the latencies of all CPUs take at most 60 % of the cap', () => {
    // A device with interrupts, and three devices by three protocols for two probes: 19 label sets of
    // 32 series for each of four CPUs, 2,432 series.
    const { known, probes } = context();
    const fits = (cpus: number, seriesMax: number, of: typeof probes = probes.slice(0, 3)) =>
      cpuLabelFits(of, known, cpus, seriesMax);
    expect([fits(4, 4054), fits(4, 4053)]).toEqual([true, false]);
    expect([fits(1, 2000), fits(2, 2000)]).toEqual([true, false]);
    // Every probe that is on needs room.
    expect(fits(4, 4054, probes)).toBe(false);
  });
});

/** By POLL_BOUNDS: 2 polls without a packet, 3 of one, 5 of 65 to 128. */
const POLLS = [2, 3, 0, 0, 0, 0, 0, 0, 5, 0, 0];

describe('what polls handed over', () => {
  test('is a histogram of packets, and the polls that used up their budget', () => {
    const polls = [
      { device: 2, polls: POLLS, packets: 503, exhausted: 5 },
      { device: 'none' as const, polls: POLLS, packets: 509, exhausted: 0 },
    ];
    const families = familiesOf(reading({ polls }), context());
    const family = familyOf(families, 'rxscope_napi_poll_packets');
    expect(family.samples).toEqual(
      [
        { device: 'eth0', sum: 503 },
        { device: '(backlog)', sum: 509 },
      ].map(({ device, sum }) => ({
        labels: { device },
        sum,
        count: 10,
        classic: { bounds: [0, 1, 2, 4, 8, 16, 32, 64, 128, 256], counts: POLLS },
      })),
    );
    expect(scalars(families, 'rxscope_napi_budget_exhausted_total')).toEqual([
      [{ device: 'eth0' }, 5],
      [{ device: '(backlog)' }, 0],
    ]);
  });

  test('is left out where polls are not measured', () => {
    const probes = PROBES.filter(({ id }) => id !== 'napi_poll');
    const names = familiesOf(reading(), context({ probes })).map(({ name }) => name);
    expect(names.filter((name) => name.includes('napi'))).toEqual([]);
  });
});

test('exemplars are asked for by probe and the labels of the series', () => {
  const asked: [string, Labels][] = [];
  const exemplar = { labels: { cpu: '1' }, value: 0.001, timestampMs: 1 };
  const families = familiesOf(
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
  const wanted = PROBES.flatMap(({ id, by }) =>
    KNOWN[by].map((labels) => [id, { ...labels, cpu: '1' }]),
  );
  expect(asked).toEqual(wanted);
  expect(histograms(families, 'irq_to_softirq')[0]?.exemplars).toEqual([exemplar]);
});
