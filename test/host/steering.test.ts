// RPS, RFS, XPS and the kernel's settings: of captured machines, and of this one while they are set.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readDeviceSteering, readNetworkSettings } from '../../src/host/steering.ts';
import { machine, withTree } from './machines.ts';

test('masks set by hand in the guest are read from its queues', () => {
  expect(readDeviceSteering('eth0', machine('guest'))).toEqual({
    device: 'eth0',
    receive: [{ queue: 0, rpsCpus: [2, 3], rfsFlows: 2048 }],
    // The kernel has a mask for several queues only.
    transmit: [{ queue: 0, xpsCpus: undefined }],
    threadedNapi: false,
    napiDeferHardIrqs: 0,
    groFlushTimeoutNs: 0,
  });
  expect(readDeviceSteering('veth0', machine('guest')).transmit).toEqual([
    { queue: 0, xpsCpus: [0] },
    { queue: 1, xpsCpus: [] },
  ]);
});

test('bond, bridge and VLAN have queues without hardware', () => {
  const queues = (name: string): number =>
    readDeviceSteering(name, machine('guest')).receive.length;
  expect({ bond0: queues('bond0'), br0: queues('br0'), vlan: queues('eth0.100') }).toEqual({
    bond0: 16,
    br0: 1,
    vlan: 1,
  });
});

test('RPS on every queue of a cloud card', () => {
  const { receive } = readDeviceSteering('enp39s0', machine('ena'));
  expect(receive.map(({ queue }) => queue)).toEqual([0, 1, 2, 3]);
  for (const { rpsCpus, rfsFlows } of receive) {
    expect({ rpsCpus, rfsFlows }).toEqual({ rpsCpus: [0, 1, 2, 3], rfsFlows: 4096 });
  }
});

test('queues come by number, also beyond ten', () => {
  const { receive, transmit } = readDeviceSteering('ens1f0np0', machine('mlx5'));
  const numbers = Array.from({ length: 16 }, (_, queue) => queue);
  expect(receive.map(({ queue }) => queue)).toEqual(numbers);
  expect(transmit.map(({ queue }) => queue)).toEqual(numbers);
});

test('XPS of one CPU a queue', () => {
  const { transmit } = readDeviceSteering('eth2', machine('ixgbe'));
  expect(transmit.map(({ xpsCpus }) => xpsCpus)).toEqual([0, 1, 2, 3, 4, 5, 6, 7].map((n) => [n]));
});

test('a device that is gone has nothing', () => {
  expect(readDeviceSteering('gone0')).toEqual({
    device: 'gone0',
    receive: [],
    transmit: [],
    threadedNapi: undefined,
    napiDeferHardIrqs: undefined,
    groFlushTimeoutNs: undefined,
  });
});

test('settings are those of the guest', () => {
  expect(readNetworkSettings(machine('guest'))).toEqual({
    rpsSockFlowEntries: 4096,
    netdevBudget: 300,
    netdevBudgetUsecs: 8000,
    netdevMaxBacklog: 1000,
    devWeight: 64,
    busyPollUsecs: 0,
    busyReadUsecs: 0,
  });
});

test('a setting that cannot be read, or says no number, is undefined', () => {
  withTree(({ roots, write }) => {
    write({ 'proc/sys/net/core/netdev_budget': '600\n', 'proc/sys/net/core/busy_poll': 'x\n' });
    const settings = readNetworkSettings(roots);
    expect(settings.netdevBudget).toBe(600);
    expect(settings.busyPollUsecs).toBeUndefined();
    expect(settings.devWeight).toBeUndefined();
  });
});

test('this machine has loopback with one queue and the budget that its file says', () => {
  expect(readDeviceSteering('lo').receive.length).toBe(1);
  const budget = readFileSync('/proc/sys/net/core/netdev_budget', 'utf8');
  expect(readNetworkSettings().netdevBudget).toBe(Number(budget));
});
