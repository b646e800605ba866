// The names behind the kernel's numbers.

import { describe, expect, test } from 'vitest';
import type { Latency } from '../../src/capture/reading.ts';
import type { DropRecord, Outlier } from '../../src/capture/records.ts';
import { emptyHistogram } from '../../src/histogram/histogram.ts';
import { listDevices } from '../../src/host/devices.ts';
import { type IrqOwner, interruptOwners, readInterrupts } from '../../src/host/interrupts.ts';
import {
  HostNames,
  labelOf,
  placeOfDrop,
  placeOfOutlier,
  REMOVED,
} from '../../src/readings/names.ts';
import { machine } from '../host/machines.ts';

test('the guest has labels for all devices that are up, and interrupts for its cards', () => {
  const roots = machine('guest');
  const names = new HostNames();
  names.use(listDevices(roots.sys), interruptOwners(readInterrupts(roots), roots));
  const { devices, irqDevices } = names.known();
  expect(devices).toEqual(expect.arrayContaining(['lo', 'bond0', 'br0', 'veth0', 'eth0.100']));
  expect(irqDevices.sort()).toEqual(['eth0', 'eth1', 'eth2', 'eth3']);
  expect([
    names.irqLabel(30),
    names.irqLabel(10),
    names.irqLabel(28),
    names.irqLabel('overflow'),
  ]).toEqual(['eth0', 'eth2', '', '(other)']);
});

describe('a place has one label', () => {
  const POLL = 'napi_poll';
  const RECEIVE = 'receive_to_socket';
  const IRQ = 'irq_to_softirq';
  const names = new HostNames();
  names.use(
    [{ name: 'eth0', ifindex: 2, up: true }],
    new Map([[38, { device: 'eth0', queue: 0, direction: 'both' } as unknown as IrqOwner]]),
  );
  const HERE = { otherNetns: false, noDevice: false, ifindex: 0, irq: 0 };

  test.each([
    ['eth0', RECEIVE, { device: 2 }, { ifindex: 2 }],
    ['(other netns)', RECEIVE, { device: 'other_netns' }, { ifindex: 2, otherNetns: true }],
    ['', RECEIVE, { device: 'none' }, { noDevice: true }],
    ['(removed)', RECEIVE, { device: 9 }, { ifindex: 9 }],
    ['(backlog)', POLL, { device: 'none' }, { irq: 38 }],
    ['eth0', POLL, { device: 2 }, { ifindex: 2, irq: 38 }],
    ['eth0', IRQ, { irq: 38 }, { irq: 38 }],
    ['', IRQ, { irq: 5 }, { irq: 5 }],
  ] as const)('%s', (label, probe, key, event) => {
    const latency: Latency = { probe, ...key, histogram: emptyHistogram() };
    expect(labelOf(probe, latency, names) ?? REMOVED).toBe(label);
    const outlier = { ...HERE, ...event, probe } as unknown as Outlier;
    expect(labelOf(probe, placeOfOutlier(outlier), names) ?? REMOVED).toBe(label);
    if (probe !== RECEIVE) return;
    const drop = { ...HERE, ...event } as unknown as DropRecord;
    expect(labelOf('drops', placeOfDrop(drop), names) ?? REMOVED).toBe(label);
  });
});

test('a device that has come since is known once it is learnt, until the host is read again', () => {
  const names = new HostNames();
  const devices = [{ name: 'eth0', ifindex: 2, up: true }];
  names.use(devices, new Map());
  expect(names.deviceLabel(3)).toBeUndefined();
  names.learn([
    { name: 'lan0', ifindex: 2 },
    { name: 'veth1', ifindex: 3 },
  ]);
  expect([names.deviceLabel(2), names.deviceLabel(3)]).toEqual(['eth0', 'veth1']);
  names.use([...devices], new Map());
  expect(names.deviceLabel(3)).toBeUndefined();
});

test('bpftrace’s devices are known by the bytes of their names', () => {
  const names = new HostNames();
  const devices = ['unicodeé', 'caf\\xe9', '\\x28other)'].map((name, at) => ({
    name,
    ifindex: at + 2,
    up: true,
  }));
  names.use(devices, new Map());
  const bytes = [Buffer.from('unicodeé').toString('latin1'), 'caf\xe9', '(other)', 'gone'];
  expect(bytes.map((name) => names.scriptDevice({ name }))).toEqual([
    'unicodeé',
    'caf\\xe9',
    '\\x28other)',
    undefined,
  ]);
  expect(names.scriptDevice('overflow')).toBe('(other)');
});
