// The host's families from a reading made up for it: labels, zeros, and what CPUs without a label add up to.

import { describe, expect, test } from 'vitest';
import type { DeviceFacts, HostReading } from '../../src/host/host_reading.ts';
import type { Link, LinkStats } from '../../src/host/links.ts';
import { LINK_STATISTICS } from '../../src/host/links.ts';
import { hostFamilies } from '../../src/metrics/host_families.ts';
import type { Family, Labels } from '../../src/metrics/model.ts';
import { ShownCpus } from '../../src/metrics/shown_cpus.ts';

const STATS = Object.fromEntries(
  LINK_STATISTICS.map((name, at) => [name, at]),
) as unknown as LinkStats;

function link(name: string, changes: Partial<Link> = {}): Link {
  return {
    ifindex: 2,
    name,
    flags: 1,
    up: true,
    loopback: name === 'lo',
    operationalState: 'up',
    linkElsewhere: false,
    mtu: 1_500,
    rxQueues: 4,
    txQueues: 4,
    carrierChanges: 0,
    stats: STATS,
    ...changes,
  };
}

function reading(changes: Partial<HostReading> = {}): HostReading {
  return {
    cpus: [0, 1, 4],
    softnet: new Map(),
    backlogPackets: new Map(),
    softirqs: new Map(),
    cpuSeconds: new Map(),
    contextSwitches: undefined,
    interrupts: { cpus: [], sources: [], others: new Float64Array(0) },
    links: [],
    driverDrops: new Map(),
    devices: [],
    settings: undefined,
    protocols: new Map(),
    ...changes,
  };
}

/** With so many CPUs shown as `seriesMax` allows: 125 series are one. */
function rowsOf(name: string, host: HostReading, seriesMax = 2_000): [Labels, number][] {
  const shown = new ShownCpus(seriesMax);
  shown.add(host.cpus, host.softirqs.get('NET_RX'));
  return rows(hostFamilies(host, shown).families, name);
}

function rows(families: readonly Family[], name: string): [Labels, number][] {
  const family = families.find((one) => one.name === name);
  if (family === undefined || family.type === 'histogram') throw new Error(`no family ${name}`);
  return family.samples.map(({ labels, value }) => [labels, value]);
}

describe('CPUs', () => {
  const softirqs = new Map([
    [
      'TIMER',
      new Map([
        [0, 100],
        [1, 200],
        [4, 300],
      ]),
    ],
    [
      'NET_RX',
      new Map([
        [0, 5],
        [1, 9],
        [4, 7],
      ]),
    ],
  ]);

  test('each has a row in every vector, also one that never ran it', () => {
    const host = reading({ softirqs: new Map([['HI', new Map([[1, 3]])]]) });
    expect(rowsOf('rxscope_softirqs_total', host)).toEqual([
      [{ vector: 'HI', cpu: '0' }, 0],
      [{ vector: 'HI', cpu: '1' }, 3],
      [{ vector: 'HI', cpu: '4' }, 0],
    ]);
  });

  test('those with most NET_RX keep a label of their own, the others are one row', () => {
    expect(rowsOf('rxscope_softirqs_total', reading({ softirqs }), 250)).toEqual([
      [{ vector: 'TIMER', cpu: '(other)' }, 100],
      [{ vector: 'TIMER', cpu: '1' }, 200],
      [{ vector: 'TIMER', cpu: '4' }, 300],
      [{ vector: 'NET_RX', cpu: '(other)' }, 5],
      [{ vector: 'NET_RX', cpu: '1' }, 9],
      [{ vector: 'NET_RX', cpu: '4' }, 7],
    ]);
  });

  test('the choice stays as it was, and a CPU that comes later takes what is free', () => {
    const shown = new ShownCpus(375);
    shown.add(
      [0, 1],
      new Map([
        [0, 1],
        [1, 2],
      ]),
    );
    shown.add(
      [0, 1, 2, 3],
      new Map([
        [0, 1],
        [1, 2],
        [2, 5],
        [3, 9],
      ]),
    );
    expect([0, 1, 2, 3].map((cpu) => shown.label(cpu))).toEqual(['0', '1', '(other)', '3']);
    expect(shown.others).toBe(1);
  });

  test('label sets that share a row are told by family', () => {
    const shown = new ShownCpus(250);
    shown.add([0, 1, 4], softirqs.get('NET_RX'));
    const { foldedCpus } = hostFamilies(reading({ softirqs }), shown);
    expect(foldedCpus.get('rxscope_softirqs_total')).toBe(2);
    expect(foldedCpus.get('rxscope_cpu_seconds_total')).toBe(3);
  });

  test('a backlog is a gauge: a CPU that is offline has none', () => {
    const host = reading({ backlogPackets: new Map([[1, 3]]) });
    expect(rowsOf('rxscope_softnet_backlog_packets', host)).toEqual([[{ cpu: '1' }, 3]]);
  });

  test('times are by mode', () => {
    const host = reading({
      cpus: [0],
      cpuSeconds: new Map([[0, { irq: 0.25, softirq: 1.5, steal: 0 }]]),
      contextSwitches: 99,
    });
    expect(rowsOf('rxscope_cpu_seconds_total', host)).toEqual([
      [{ mode: 'irq', cpu: '0' }, 0.25],
      [{ mode: 'softirq', cpu: '0' }, 1.5],
      [{ mode: 'steal', cpu: '0' }, 0],
    ]);
    expect(rowsOf('rxscope_context_switches_total', host)).toEqual([[{}, 99]]);
  });
});

describe('interrupts', () => {
  const source = (irq: string, counts: readonly number[]) => ({
    irq,
    owner: { device: 'eth0', queue: 3, direction: 'rxtx' as const },
    counts: Float64Array.from(counts),
  });

  test('have irq, device, queue and CPU; the others none of the first three', () => {
    const host = reading({
      interrupts: {
        cpus: [0, 4],
        sources: [source('24', [7, 0])],
        others: Float64Array.of(11, 13),
      },
    });
    expect(rowsOf('rxscope_interrupts_total', host)).toEqual([
      [{ irq: '24', device: 'eth0', queue: '3', cpu: '0' }, 7],
      [{ irq: '24', device: 'eth0', queue: '3', cpu: '4' }, 0],
      [{ irq: '', device: '', queue: '', cpu: '0' }, 11],
      [{ irq: '', device: '', queue: '', cpu: '4' }, 13],
    ]);
  });

  test('are summed over CPUs without a label, and rows of zero left out where they would be many', () => {
    const cpus = [0, 1, 2, 3, 4];
    const sources = Array.from({ length: 120 }, (_, at) => source(String(at), [0, 0, at, 1, 0]));
    const host = reading({ cpus, interrupts: { cpus, sources, others: new Float64Array(5) } });
    const found = rowsOf('rxscope_interrupts_total', host, 250);
    expect(found.filter(([{ irq }]) => irq === '7')).toEqual([
      [{ irq: '7', device: 'eth0', queue: '3', cpu: '(other)' }, 8],
    ]);
    expect(found.filter(([{ irq }]) => irq === '')).toHaveLength(3);
  });
});

describe('interfaces', () => {
  test('that are down and never received have no rows', () => {
    const links = [
      link('eth0'),
      link('ifb0', { up: false, stats: { ...STATS, rx_packets: 0 } }),
      link('eth1', { up: false, stats: { ...STATS, rx_packets: 5 } }),
    ];
    expect(rowsOf('rxscope_interface_receive_packets_total', reading({ links }))).toEqual([
      [{ device: 'eth0' }, 0],
      [{ device: 'eth1' }, 5],
    ]);
  });

  test("have the kernel's counters of drops and errors, those that it has", () => {
    const { rx_otherhost_dropped: _, ...older } = STATS;
    const found = (stats: LinkStats): (string | undefined)[] =>
      rowsOf(
        'rxscope_interface_receive_drops_total',
        reading({ links: [link('eth0', { stats })] }),
      ).map(([{ counter }]) => counter);
    expect(found(STATS)).toContain('rx_otherhost_dropped');
    expect(found(older)).toEqual([
      'rx_dropped',
      'rx_missed_errors',
      'rx_over_errors',
      'rx_fifo_errors',
      'rx_nohandler',
    ]);
  });

  test('tell what they are, those with hardware once their facts are read', () => {
    const facts: DeviceFacts = {
      device: 'eth0',
      hardware: {
        name: 'eth0',
        driver: 'ixgbe',
        bus: 'pci',
        busNames: ['0000:01:00.0'],
        numaNode: 1,
        vectors: [],
        line: undefined,
      },
      settings: {
        rings: { rx: 512, rxMax: 4096, tx: 512, txMax: 4096 },
        coalescing: {
          rxUsecs: 50,
          rxFrames: 0,
          adaptiveRx: false,
          txUsecs: 0,
          txFrames: 0,
          adaptiveTx: false,
        },
        problems: [],
      },
      steering: {
        device: 'eth0',
        receive: [
          { queue: 0, rpsCpus: [1, 2], rfsFlows: 0 },
          { queue: 1, rpsCpus: [], rfsFlows: 0 },
          { queue: 2, rpsCpus: undefined, rfsFlows: undefined },
        ],
        transmit: [],
        threadedNapi: false,
        napiDeferHardIrqs: 0,
        groFlushTimeoutNs: 0,
      },
    };
    const links = [
      link('lo'),
      link('veth1', { kind: 'veth' }),
      link('eth0'),
      link('eth1'),
      // Hardware with a kind, whose facts are still to be read.
      link('can0', { kind: 'can', parentDevice: 'spi0.0' }),
    ];
    const host = reading({ links, devices: [facts] });
    const none = { driver: '', bus: '', numa_node: '' };
    expect(rowsOf('rxscope_device_info', host)).toEqual([
      [{ device: 'lo', ...none, kind: 'loopback' }, 1],
      [{ device: 'veth1', ...none, kind: 'veth' }, 1],
      [{ device: 'eth0', driver: 'ixgbe', kind: '', bus: 'pci', numa_node: '1' }, 1],
    ]);
    const gauge = (name: string): number | undefined =>
      rowsOf(`rxscope_device_${name}`, host)[0]?.[1];
    expect(gauge('receive_queues')).toBe(3);
    expect(gauge('receive_ring_descriptors')).toBe(512);
    expect(gauge('receive_ring_descriptors_max')).toBe(4096);
    expect(gauge('receive_coalescing_seconds')).toBe(50e-6);
    expect(gauge('rps_queues')).toBe(1);
  });
});

test('every name begins with rxscope_, and a counter ends in _total', () => {
  const { families } = hostFamilies(reading(), new ShownCpus(2_000));
  for (const { type, name } of families) {
    expect(name).toMatch(/^rxscope_[a-z0-9_]+$/);
    expect(name.endsWith('_total'), name).toBe(type === 'counter');
  }
  expect(new Set(families.map(({ name }) => name)).size).toBe(families.length);
});
