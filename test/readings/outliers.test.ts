// The recent outliers: bounded, newest first, named, and found again as exemplars of their series.

import { describe, expect, test } from 'vitest';
import type { Outlier } from '../../src/capture/records.ts';
import { exemplarOf } from '../../src/metrics/exemplars.ts';
import { Outliers } from '../../src/readings/outliers.ts';

const NET_RX = 3;
const TCP = 0;
const UDP = 1;

/** One that has just ended: a UDP datagram from port 5000 to 53 on interface 2. */
function outlier(changes: Partial<Outlier> = {}): Outlier {
  const timeNs = Number(process.hrtime.bigint());
  return {
    probe: 'receive_to_socket',
    latencyNs: 150_000,
    timeNs,
    irqNs: timeNs - 400_000,
    softirqNs: timeNs - 300_000,
    receivedNs: timeNs - 150_000,
    cpu: 1,
    irq: 38,
    ifindex: 2,
    otherNetns: false,
    protocol: UDP,
    localPort: 53,
    remotePort: 5000,
    length: 129,
    cgroupId: 4711,
    pid: 1009,
    comm: 'resolver',
    inSoftirq: true,
    vector: 0,
    ...changes,
  };
}

function listOf(max: number): Outliers {
  return new Outliers(max, ({ ifindex }) => `eth${ifindex}`);
}

describe('the list', () => {
  test('is bounded: the oldest makes room, and the newest comes first', () => {
    const outliers = listOf(3);
    for (const pid of [2, 3, 5, 7, 11]) outliers.add(outlier({ pid }));
    expect(outliers.list().map(({ pid }) => pid)).toEqual([11, 7, 5]);
  });

  test('names what is known of an outlier, in seconds', () => {
    const outliers = listOf(3);
    const startedMs = Date.now();
    const named = outliers.add(outlier());
    expect(named).toEqual({
      time: named.time,
      probe: 'receive_to_socket',
      seconds: 0.00015,
      device: 'eth2',
      protocol: 'udp',
      cpu: 1,
      irq: 38,
      local_port: 53,
      remote_port: 5000,
      bytes: 129,
      cgroup_id: 4711,
      pid: 1009,
      comm: 'resolver',
      since_irq_seconds: 0.0004,
      since_softirq_seconds: 0.0003,
      since_receive_seconds: 0.00015,
    });
    expect(named.time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(Math.abs(Date.parse(named.time) - startedMs)).toBeLessThan(1000);
  });

  test('leaves out what is not known', () => {
    const named = listOf(3).add(
      outlier({ irq: 0, irqNs: 0, softirqNs: 0, localPort: 0, remotePort: 0, cgroupId: 0 }),
    );
    expect(Object.keys(named).sort()).toEqual(
      ['bytes', 'comm', 'cpu', 'device', 'pid', 'probe', 'protocol', 'seconds', 'time']
        .concat('since_receive_seconds')
        .sort(),
    );
  });

  test('an interrupt has neither a protocol nor a length', () => {
    const named = listOf(3).add(outlier({ probe: 'irq_to_softirq', receivedNs: 0, length: 0 }));
    expect(named).toMatchObject({ probe: 'irq_to_softirq', irq: 38 });
    expect(named).not.toHaveProperty('protocol');
    expect(named).not.toHaveProperty('bytes');
  });

  test('of a vector has that and no device, no protocol and no length', () => {
    const named = listOf(3).add(
      outlier({ probe: 'softirq_raise_to_entry', vector: NET_RX, length: 0 }),
    );
    expect(named).toMatchObject({ probe: 'softirq_raise_to_entry', vector: 'NET_RX', device: '' });
    expect(named).not.toHaveProperty('protocol');
    expect(named).not.toHaveProperty('bytes');
  });

  test('of a protocol alone has no device, and a vector only where the probe is by vector', () => {
    const named = listOf(3).add(outlier({ probe: 'socket_to_read', vector: NET_RX }));
    expect(named).toMatchObject({ probe: 'socket_to_read', protocol: 'udp', device: '' });
    expect(named).not.toHaveProperty('vector');
  });

  test('of a poll has its device and its packets, and neither bytes nor a protocol', () => {
    const named = listOf(3).add(outlier({ probe: 'napi_poll', length: 61 }));
    expect(named).toMatchObject({ probe: 'napi_poll', device: 'eth2', packets: 61 });
    expect(named).not.toHaveProperty('bytes');
    expect(named).not.toHaveProperty('protocol');
  });

  test('of a wait in the backlog has its device and its bytes, and no protocol', () => {
    const named = listOf(3).add(outlier({ probe: 'backlog_wait' }));
    expect(named).toMatchObject({ probe: 'backlog_wait', device: 'eth2', bytes: 129 });
    expect(named).not.toHaveProperty('packets');
    expect(named).not.toHaveProperty('protocol');
  });

  test('a time after the end is not shown as a negative duration', () => {
    const timeNs = Number(process.hrtime.bigint());
    const named = listOf(3).add(outlier({ timeNs, softirqNs: timeNs + 1 }));
    expect(named).not.toHaveProperty('since_softirq_seconds');
  });

  test('tells the wall-clock time of an old outlier, not that of its arrival', () => {
    const timeNs = Number(process.hrtime.bigint()) - 60e9;
    const { time } = listOf(3).add(outlier({ timeNs }));
    expect(Math.abs(Date.now() - Date.parse(time) - 60_000)).toBeLessThan(1000);
  });
});

describe('exemplars', () => {
  const exemplars = (outliers: Outliers, probe: string, labels: Record<string, string>) =>
    outliers.ofSeries(probe, labels).map(exemplarOf);

  test('are those of the probe, device, protocol and CPU of the series', () => {
    const outliers = listOf(100);
    outliers.add(outlier({ comm: 'ours' }));
    outliers.add(outlier({ comm: 'other probe', probe: 'softirq_to_socket' }));
    outliers.add(outlier({ comm: 'other device', ifindex: 3 }));
    outliers.add(outlier({ comm: 'other protocol', protocol: TCP }));
    outliers.add(outlier({ comm: 'other CPU', cpu: 0 }));
    const commsOf = (labels: Record<string, string>) =>
      exemplars(outliers, 'receive_to_socket', labels).map((exemplar) => exemplar.labels.comm);
    expect(commsOf({ device: 'eth2', protocol: 'udp', cpu: '1' })).toEqual(['ours']);
    expect(commsOf({ device: 'eth2', protocol: 'udp' })).toEqual(['other CPU', 'ours']);
    expect(commsOf({ device: 'eth4', protocol: 'udp' })).toEqual([]);
  });

  test('of an interrupt series match without a protocol', () => {
    const outliers = listOf(3);
    outliers.add(outlier({ probe: 'irq_to_softirq', localPort: 0 }));
    expect(exemplars(outliers, 'irq_to_softirq', { device: 'eth2' })).toMatchObject([
      { labels: { cpu: '1', comm: 'resolver' }, value: 0.00015 },
    ]);
  });

  test('of a vector series are those of its vector', () => {
    const outliers = listOf(3);
    for (const vector of [NET_RX, NET_RX - 1])
      outliers.add(outlier({ probe: 'softirq_raise_to_entry', vector, localPort: vector }));
    const of = (vector: string) =>
      exemplars(outliers, 'softirq_raise_to_entry', { vector }).map(({ labels }) => labels.port);
    expect([of('NET_RX'), of('NET_TX'), of('TIMER')]).toEqual([['3'], ['2'], []]);
  });

  test('have cpu, comm and port as labels, in this order, and the value in seconds', () => {
    const outliers = listOf(3);
    const { time } = outliers.add(outlier());
    const labels = { device: 'eth2', protocol: 'udp' };
    const [exemplar, ...others] = exemplars(outliers, 'receive_to_socket', labels);
    expect(others).toEqual([]);
    expect(Object.entries(exemplar?.labels ?? {})).toEqual([
      ['cpu', '1'],
      ['comm', 'resolver'],
      ['port', '53'],
    ]);
    expect(exemplar?.value).toBe(0.00015);
    expect(new Date(exemplar?.timestampMs ?? 0).toISOString()).toBe(time);
  });

  test('leave out an empty comm and a port that is not known', () => {
    const outliers = listOf(3);
    outliers.add(outlier({ comm: '', localPort: 0 }));
    const labels = { device: 'eth2', protocol: 'udp' };
    expect(exemplars(outliers, 'receive_to_socket', labels)[0]?.labels).toEqual({ cpu: '1' });
  });

  test('are the ten newest of a series, however many are kept', () => {
    const outliers = listOf(101);
    for (let pid = 1; pid <= 101; pid++) outliers.add(outlier({ localPort: pid }));
    const labels = { device: 'eth2', protocol: 'udp' };
    const ports = exemplars(outliers, 'receive_to_socket', labels).map((e) => e.labels.port);
    expect(ports).toEqual(Array.from({ length: 10 }, (_, i) => String(101 - i)));
  });
});
