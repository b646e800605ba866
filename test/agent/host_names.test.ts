// The names behind the kernel's numbers.

import { expect, test } from 'vitest';
import { HostNames } from '../../src/agent/host_names.ts';
import { listDevices } from '../../src/host/devices.ts';
import { networkInterrupts } from '../../src/host/interrupts.ts';
import { machine } from '../host/machines.ts';

test('the guest has labels for all devices that are up, and interrupts for its cards', () => {
  const roots = machine('guest');
  const names = new HostNames();
  names.use(listDevices(roots.sys), networkInterrupts(roots));
  const { devices, irqDevices } = names.known();
  expect(devices).toEqual(expect.arrayContaining(['lo', 'bond0', 'br0', 'veth0', 'eth0.100']));
  expect(irqDevices.sort()).toEqual(['eth0', 'eth1', 'eth2', 'eth3']);
  expect([names.irq(30), names.irq(10), names.irq(28), names.irq('overflow')]).toEqual([
    'eth0',
    'eth2',
    '',
    '(other)',
  ]);
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
