// What was captured, taken apart by the labels of its probe.

import { expect, test } from 'vitest';
import type { Latency } from '../../src/capture/reading.ts';
import { recordParts } from '../../src/commands/record/parts.ts';
import { boundSeconds } from '../../src/histogram/bounds.ts';
import { PROBES } from '../../src/probes/index.ts';
import { namePackets } from '../../src/readings/named_reading.ts';
import { histogram, reading } from '../metrics/readings.ts';

const names = {
  deviceLabel: (device: unknown) => (device === 2 ? 'eth0' : device === 'none' ? '' : undefined),
  irqLabel: (irq: unknown) => (irq === 38 || irq === 39 ? 'eth0' : ''),
};

function partsOf(id: string, latencies: readonly Omit<Latency, 'probe'>[]) {
  const others: Latency[] = PROBES.filter((one) => one.id !== id).map((one) => ({
    probe: one.id,
    histogram: histogram(10_007),
  }));
  const ours = latencies.map((latency) => ({ probe: id, ...latency }));
  return recordParts(id, named([...others, ...ours])).map(({ labels, count }) => [labels, count]);
}

function named(latencies: readonly Latency[]) {
  return namePackets(reading({ latencies }), names, String);
}

test('devices and protocols are apart, CPUs are not, and the most observed comes first', () => {
  const udp = { device: 2, protocol: 'udp' } as const;
  expect(
    partsOf('receive_to_socket', [
      { device: 2, protocol: 'tcp', cpu: 0, histogram: histogram(11) },
      { ...udp, cpu: 0, histogram: histogram(7) },
      { ...udp, cpu: 1, histogram: histogram(13) },
    ]),
  ).toEqual([
    [{ device: 'eth0', protocol: 'udp' }, 20],
    [{ device: 'eth0', protocol: 'tcp' }, 11],
  ]);
});

test('interrupts of one device are together', () => {
  expect(
    partsOf('irq_to_softirq', [
      { irq: 38, histogram: histogram(7) },
      { irq: 39, histogram: histogram(11) },
      { irq: 9, histogram: histogram(2) },
    ]),
  ).toEqual([
    [{ device: 'eth0' }, 18],
    [{ device: '' }, 2],
  ]);
});

test('a vector has its name, and a protocol alone no device', () => {
  expect(partsOf('softirq_duration', [{ vector: 'NET_RX', histogram: histogram(7) }])).toEqual([
    [{ vector: 'NET_RX' }, 7],
  ]);
  expect(partsOf('socket_to_read', [{ protocol: 'tcp', histogram: histogram(7) }])).toEqual([
    [{ protocol: 'tcp' }, 7],
  ]);
});

test('a device that went meanwhile is said to have been removed', () => {
  expect(partsOf('backlog_wait', [{ device: 7, histogram: histogram(3) }])).toEqual([
    [{ device: '(removed)' }, 3],
  ]);
});

test('each has its quantiles, and nothing was observed where nothing was read', () => {
  const probe = 'irq_to_softirq';
  const [part] = recordParts(probe, named([{ probe, irq: 38, histogram: histogram(101) }]));
  for (const seconds of [part?.p50_seconds, part?.p99_seconds]) {
    expect(seconds).toBeGreaterThan(boundSeconds(63));
    expect(seconds).toBeLessThanOrEqual(boundSeconds(64));
  }
  expect(recordParts(probe, undefined)).toEqual([]);
});
