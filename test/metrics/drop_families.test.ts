// The families about drops: labels, sums, zeros from the start, and a total that counts nothing twice.

import { expect, test } from 'vitest';
import { type DeviceKey, type DropCount, OTHER_REASON } from '../../src/capture/reading.ts';
import { type DropReasons, dropReasons } from '../../src/host/drop_reasons.ts';
import { type DropInput, type DropLink, dropFamilies } from '../../src/metrics/drop_families.ts';
import type { Labels } from '../../src/metrics/model.ts';
import { namePackets } from '../../src/readings/named_reading.ts';
import { reasonLabel } from '../../src/readings/names.ts';
import { reading } from './readings.ts';

const REASONS = dropReasons([
  {
    name: 'skb_drop_reason',
    values: [
      ['SKB_NOT_DROPPED_YET', 0],
      ['SKB_DROP_REASON_NOT_SPECIFIED', 2],
      ['SKB_DROP_REASON_NO_SOCKET', 3],
      ['SKB_DROP_REASON_SOCKET_RCVBUFF', 6],
      ['SKB_DROP_REASON_TCP_RESET', 45],
    ],
  },
]);

const NAMES: ReadonlyMap<DeviceKey, string> = new Map<DeviceKey, string>([
  [2, 'eth0'],
  [3, 'veth1'],
  ['other_netns', '(other netns)'],
  ['overflow', '(other)'],
]);

const SYMBOLS = {
  nameOf: () => undefined,
  nameOfLow: (low: number) =>
    new Map([
      [0x81a00105, 'udp_queue_rcv_one_skb'],
      [0x81a00207, 'udp_queue_rcv_one_skb'],
      [0x81b00000, 'nf_hook_slow'],
    ]).get(low),
};

interface Setting {
  readonly counted: boolean;
  /** Undefined: nothing could be read. */
  readonly drops: readonly DropCount[] | undefined;
  readonly transmitDrops: number;
  readonly reasons: DropReasons;
  readonly devices: readonly string[];
  readonly links: readonly DropLink[];
  readonly protocols: ReadonlyMap<string, ReadonlyMap<string, number>>;
}

const SETTING: Setting = {
  counted: true,
  drops: [],
  transmitDrops: 0,
  reasons: REASONS,
  devices: ['eth0'],
  links: [],
  protocols: new Map(),
};

function input(changes: Partial<Setting> = {}): DropInput {
  const { counted, drops, transmitDrops, reasons, devices, links, protocols } = {
    ...SETTING,
    ...changes,
  };
  const names = { deviceLabel: (device: DeviceKey) => NAMES.get(device), irqLabel: () => '' };
  return {
    counted,
    packets:
      drops &&
      namePackets(reading({ drops, transmitDrops }), names, (reason) =>
        reasonLabel(reason, reasons, SYMBOLS),
      ),
    known: { devices, dropReasons: reasons.names },
    host: { links, protocols },
  };
}

function samples(changes: Partial<Setting>, name: string): [Labels, number][] {
  const family = dropFamilies(input(changes)).find((candidate) => candidate.name === name);
  if (family === undefined || family.type === 'histogram') throw new Error(`no scalars ${name}`);
  return family.samples.map(({ labels, value }) => [labels, value]);
}

function link(ifindex: number, name: string, missed: number, more: object = {}) {
  return { ifindex, name, stats: { rx_missed_errors: missed }, ...more };
}

test('the names and types are those that dashboards build on', () => {
  expect(dropFamilies(input()).map(({ type, name }) => [type, name])).toEqual([
    ['counter', 'rxscope_drops_total'],
    ['counter', 'rxscope_transmit_drops_total'],
    ['counter', 'rxscope_packets_dropped_total'],
    ['counter', 'rxscope_protocol_drops_total'],
  ]);
});

test('drops are summed by reason and device, the zeros behind them', () => {
  const drops = [
    { reason: 6, device: 2, packets: 100_003 },
    { reason: 45, device: 3, packets: 7 },
    { reason: 6, device: 2, packets: 10 },
    { reason: OTHER_REASON, device: 'overflow', packets: 5 },
    { reason: 9999, device: 'other_netns', packets: 1 },
  ] as const;
  expect(samples({ drops }, 'rxscope_drops_total')).toEqual([
    [{ reason: 'SOCKET_RCVBUFF', device: 'eth0' }, 100_013],
    [{ reason: 'TCP_RESET', device: 'veth1' }, 7],
    [{ reason: '(other)', device: '(other)' }, 5],
    [{ reason: 'UNKNOWN_9999', device: '(other netns)' }, 1],
    [{ reason: 'NOT_SPECIFIED', device: 'eth0' }, 0],
    [{ reason: 'NO_SOCKET', device: 'eth0' }, 0],
  ]);
});

test('drops of a device that is gone go on as those of removed devices', () => {
  const drops = [{ reason: 45, device: 17, packets: 7 }];
  const setting = { drops, devices: [], reasons: dropReasons([]) };
  const device = '(removed)';
  expect(samples(setting, 'rxscope_drops_total')).toEqual([[{ reason: '(unknown)', device }, 7]]);
  expect(samples(setting, 'rxscope_packets_dropped_total')).toEqual([
    [{ where: 'kernel', device }, 7],
  ]);
});

test('without a reading the expected reasons stand at 0, for no more than 64 devices', () => {
  const devices = Array.from({ length: 100 }, (_, at) => `veth${at}`);
  const rows = samples({ drops: undefined, devices }, 'rxscope_drops_total');
  expect(rows).toHaveLength(64 * 3);
  expect(rows.every(([, value]) => value === 0)).toBe(true);
});

test('where drops are switched off, no row says that there were none', () => {
  const families = dropFamilies(input({ counted: false, links: [link(2, 'eth0', 5)] }));
  expect(families.map(({ name }) => name)).toEqual([
    'rxscope_packets_dropped_total',
    'rxscope_protocol_drops_total',
  ]);
  expect(families[0]?.samples).toEqual([{ labels: { where: 'device', device: 'eth0' }, value: 5 }]);
});

test('a kernel without reasons names the function, and never an address', () => {
  const drops = [
    { reason: 0x81a00105, device: 2, packets: 3 },
    { reason: 0x81a00207, device: 2, packets: 4 },
    { reason: 0x81b00000, device: 2, packets: 5 },
    { reason: 0x12345678, device: 2, packets: 6 },
    { reason: OTHER_REASON, device: 2, packets: 1 },
  ];
  expect(samples({ drops, reasons: dropReasons([]) }, 'rxscope_drops_total')).toEqual([
    [{ reason: 'udp_queue_rcv_one_skb', device: 'eth0' }, 7],
    [{ reason: 'nf_hook_slow', device: 'eth0' }, 5],
    [{ reason: '(unknown)', device: 'eth0' }, 6],
    [{ reason: '(other)', device: 'eth0' }, 1],
  ]);
});

test('a link that has a kind and sits on hardware is a card, too', () => {
  const links = [
    link(2, 'ib0', 7, { kind: 'ipoib', parentDevice: '0000:81:00.0' }),
    link(3, 'can0', 5, { kind: 'can', parentDevice: 'spi0.0' }),
    link(4, 'vcan0', 3, { kind: 'vcan' }),
  ];
  const rows = samples({ links }, 'rxscope_packets_dropped_total');
  expect(rows.filter(([{ where }]) => where === 'device')).toEqual([
    [{ where: 'device', device: 'ib0' }, 7],
    [{ where: 'device', device: 'can0' }, 5],
  ]);
});

test("the total is the cards' missed packets and the kernel's drops, each once", () => {
  const links = [
    link(1, 'lo', 0),
    link(2, 'eth0', 1009, { master: 5 }),
    link(3, 'eth1', 31, { master: 6 }),
    // A bond and a failover device report the sum of their members; a VLAN has no card.
    link(5, 'bond0', 1009, { kind: 'bond' }),
    link(6, 'eth2', 31),
    link(7, 'eth0.5', 13, { kind: 'vlan' }),
  ];
  const drops = [
    { reason: 3, device: 2, packets: 11 },
    { reason: 6, device: 2, packets: 2 },
    { reason: 6, device: 3, packets: 5 },
  ];
  const rows = samples({ links, drops }, 'rxscope_packets_dropped_total');
  expect(rows).toEqual([
    [{ where: 'device', device: 'lo' }, 0],
    [{ where: 'device', device: 'eth0' }, 1009],
    [{ where: 'device', device: 'eth1' }, 31],
    [{ where: 'kernel', device: 'eth0' }, 13],
    [{ where: 'kernel', device: 'veth1' }, 5],
  ]);
  const sum = (name: string) =>
    samples({ links, drops }, name).reduce((total, [, value]) => total + value, 0);
  expect(sum('rxscope_packets_dropped_total')).toBe(1009 + 31 + sum('rxscope_drops_total'));
});

test('what is dropped on the way out has a number of its own', () => {
  expect(samples({ transmitDrops: 13 }, 'rxscope_transmit_drops_total')).toEqual([[{}, 13]]);
});

test("the protocols' counters keep the kernel's names, and those it lacks are left out", () => {
  const protocols = new Map([
    [
      'Udp',
      new Map([
        ['InDatagrams', 100_003],
        ['NoPorts', 3],
        ['RcvbufErrors', 5],
      ]),
    ],
    ['TcpExt', new Map([['ListenOverflows', 0]])],
  ]);
  expect(samples({ protocols }, 'rxscope_protocol_drops_total')).toEqual([
    [{ protocol: 'Udp', counter: 'RcvbufErrors' }, 5],
    [{ protocol: 'Udp', counter: 'NoPorts' }, 3],
    [{ protocol: 'TcpExt', counter: 'ListenOverflows' }, 0],
  ]);
});
