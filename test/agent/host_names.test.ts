// Names of devices and interrupts while devices come, go and are renamed.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { HostNames } from '../../src/agent/host_names.ts';
import { readInterrupts } from '../../src/host/interrupts.ts';
import { machine, type Tree, withTree } from '../host/machines.ts';

test('the guest has labels for all devices that are up, and interrupts for its cards', () => {
  const names = new HostNames(machine('guest'));
  names.read();
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

const VECTOR = { eth0: 60, eth1: 61 } as const;

function addCard(tree: Tree, folder: string, card: keyof typeof VECTOR, ifindex: number): void {
  const hardware = `sys/devices/pci0000:00/0000:00:0${ifindex}.0`;
  mkdirSync(join(folder, hardware), { recursive: true });
  tree.write({
    [`${hardware}/msi_irqs/${VECTOR[card]}`]: 'msix\n',
    [`sys/class/net/${card}/ifindex`]: `${ifindex}\n`,
    [`sys/class/net/${card}/flags`]: '0x1003\n',
  });
  tree.link({ [`sys/class/net/${card}/device`]: join(folder, hardware) });
}

function writeTable(tree: Tree, lines: readonly string[]): void {
  const text = ['           CPU0       CPU1       ', ...lines, ''].join('\n');
  tree.write({ 'proc/interrupts': text });
}

const ETH0 = ' 60:          1          2   PCI-MSI 0-edge      eth0-TxRx-0';
const ETH1 = ' 61:          1          2   PCI-MSI 1-edge      eth1-TxRx-0';

test('a card that comes later has its name at the next refresh, and loses it when it goes', () => {
  withTree((tree, folder) => {
    addCard(tree, folder, 'eth0', 2);
    writeTable(tree, [ETH0, ETH1]);
    const names = new HostNames(tree.roots);
    names.read();
    expect([names.device(2), names.irq(60), names.device(3), names.irq(61)]).toEqual([
      'eth0',
      'eth0',
      undefined,
      '',
    ]);
    addCard(tree, folder, 'eth1', 3);
    expect(names.refreshDevices([2])).toEqual(new Set());
    expect([names.device(3), names.irq(61)]).toEqual(['eth1', 'eth1']);
    tree.remove('sys/class/net/eth0');
    expect(names.refreshDevices([2, 3, 'other_netns'])).toEqual(new Set([2]));
    expect([names.device(2), names.irq(60), names.irq(61)]).toEqual([undefined, '', 'eth1']);
  });
});

test('a renamed card has its new name for its packets and its interrupts', () => {
  withTree((tree, folder) => {
    addCard(tree, folder, 'eth0', 2);
    writeTable(tree, [ETH0]);
    const names = new HostNames(tree.roots);
    names.read();
    tree.rename('sys/class/net/eth0', 'sys/class/net/lan0');
    expect(names.refreshDevices([2])).toEqual(new Set());
    expect([names.device(2), names.irq(60)]).toEqual(['lan0', 'lan0']);
  });
});

test('devices that the caller has read are taken as they are', () => {
  withTree((tree) => {
    writeTable(tree, []);
    const names = new HostNames(tree.roots);
    names.read();
    const seen = names.refreshDevices([4, 5], [{ name: 'veth4', ifindex: 4, up: true }]);
    expect(seen).toEqual(new Set([5]));
    expect(names.device(4)).toBe('veth4');
  });
});

test('an interrupt that appears in a table read for its counts is named from then on', () => {
  withTree((tree, folder) => {
    addCard(tree, folder, 'eth0', 2);
    writeTable(tree, []);
    const names = new HostNames(tree.roots);
    names.read();
    // Asked, and unknown: its handler is not there yet.
    names.refreshInterrupts([60]);
    expect(names.irq(60)).toBe('');
    writeTable(tree, [ETH0]);
    names.useInterrupts(readInterrupts(tree.roots));
    expect(names.irq(60)).toBe('eth0');
    expect([...names.interrupts]).toEqual([[60, { device: 'eth0', queue: 0, direction: 'rxtx' }]]);
  });
});

test('an interrupt number that goes to another card changes its name with the table', () => {
  withTree((tree, folder) => {
    addCard(tree, folder, 'eth0', 2);
    addCard(tree, folder, 'eth1', 3);
    writeTable(tree, [ETH0, ETH1]);
    const names = new HostNames(tree.roots);
    names.read();
    tree.remove('sys/devices/pci0000:00/0000:00:03.0/msi_irqs/61');
    tree.write({ 'sys/devices/pci0000:00/0000:00:02.0/msi_irqs/61': 'msix\n' });
    writeTable(tree, [ETH0, ETH1.replace('eth1-TxRx-0', 'eth0-TxRx-1')]);
    names.useInterrupts(readInterrupts(tree.roots));
    expect(names.irq(61)).toBe('eth0');
  });
});
