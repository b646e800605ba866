// The list of network devices and the hardware behind them, from modelled trees, captured ones and
// from this machine.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hardwareDevices, hardwareOf, listDevices } from '../../src/host/devices.ts';
import { machine, machineNames } from './machines.ts';

test('devices come sorted by ifindex, with their administrative state', () => {
  const sys = mkdtempSync(join(tmpdir(), 'rxscope-devices-'));
  try {
    const device = (name: string, files: Record<string, string>): void => {
      mkdirSync(join(sys, 'class/net', name), { recursive: true });
      for (const [file, text] of Object.entries(files)) {
        writeFileSync(join(sys, 'class/net', name, file), text);
      }
    };
    device('eth0', { ifindex: '7\n', flags: '0x1003\n' });
    device('lo', { ifindex: '1\n', flags: '0x9\n' });
    device('ifb0', { ifindex: '5\n', flags: '0x82\n' });
    // A device that vanished while it was being read, and a file that is no device.
    device('gone0', {});
    writeFileSync(join(sys, 'class/net/bonding_masters'), 'bond0\n');
    expect(listDevices(sys)).toEqual([
      { name: 'lo', ifindex: 1, up: true },
      { name: 'ifb0', ifindex: 5, up: false },
      { name: 'eth0', ifindex: 7, up: true },
    ]);
  } finally {
    rmSync(sys, { recursive: true, force: true });
  }
});

test('this machine has a loopback device', () => {
  expect(listDevices().map(({ name }) => name)).toContain('lo');
});

test('without sysfs it throws, so that the collector can say so', () => {
  expect(() => listDevices('/nonexistent')).toThrow(/ENOENT/);
});

test('the guest lists its bond, bridge, veth pair and VLAN, and has hardware for its cards only', () => {
  const { sys } = machine('guest');
  const names = listDevices(sys).map(({ name }) => name);
  // bonding_masters lies beside them and is no device.
  expect(names.sort()).toEqual(
    ['bond0', 'br0', 'eth0', 'eth0.100', 'eth1', 'eth2', 'eth3', 'lo', 'veth0', 'veth1'].sort(),
  );
  expect(
    hardwareDevices(sys).map(({ name, driver, bus, busNames, line }) => ({
      name,
      driver,
      bus,
      busNames,
      line,
    })),
  ).toEqual([
    {
      name: 'eth0',
      driver: 'virtio_net',
      bus: 'virtio',
      busNames: ['virtio2', '0000:00:04.0'],
      line: undefined,
    },
    { name: 'eth1', driver: 'e1000e', bus: 'pci', busNames: ['0000:00:05.0'], line: undefined },
    { name: 'eth2', driver: '8139cp', bus: 'pci', busNames: ['0000:00:06.0'], line: 10 },
    { name: 'eth3', driver: 'vmxnet3', bus: 'pci', busNames: ['0000:00:07.0'], line: undefined },
  ]);
});

test('a representor comes after the port whose PCI function it shares', () => {
  const { sys } = machine('mlx5');
  expect(hardwareDevices(sys).map(({ name, numaNode }) => [name, numaNode])).toEqual([
    ['ens1f0np0', 1],
    ['ens1f1np1', 1],
    ['enr0', 1],
  ]);
});

test.each(machineNames())('every card of %s has a driver and an interrupt', (name) => {
  for (const { driver, bus, vectors, line } of hardwareDevices(machine(name).sys)) {
    expect(driver).toMatch(/^[a-z0-9_]+$/);
    expect(bus).toMatch(/^(pci|virtio)$/);
    expect(vectors.length > 0 || line !== undefined).toBe(true);
  }
});

test('a device that is gone has no hardware, and no sysfs no devices', () => {
  expect(hardwareOf('gone0')).toBeUndefined();
  expect(hardwareDevices('/nonexistent')).toEqual([]);
});
