// Interrupt → device → queue → CPU → NUMA node, put together.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseCpuList } from '../../src/host/cpus.ts';
import { type DeviceInterrupt, readTopology } from '../../src/host/topology.ts';
import { machine, machineNames } from './machines.ts';

function interrupt(interrupts: readonly DeviceInterrupt[], name: string): DeviceInterrupt {
  const found = interrupts.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no interrupt ${name}`);
  return found;
}

test('a queue on the other NUMA node than its card shows as that', () => {
  const { interrupts, cpuNode } = readTopology(machine('mlx5'));
  expect(interrupt(interrupts, 'mlx5_comp7@pci:0000:81:00.0')).toMatchObject({
    irq: 295,
    device: 'ens1f0np0',
    queue: 7,
    direction: 'rxtx',
    affinity: [15],
    effective: [15],
    nodes: [1],
    deviceNode: 1,
  });
  const remote = interrupts.filter(
    ({ direction, nodes, deviceNode }) =>
      direction !== 'other' && deviceNode !== undefined && !nodes.includes(deviceNode),
  );
  expect(remote.map(({ queue }) => queue)).toEqual([8, 9, 10, 11, 12, 13, 14, 15]);
  expect([cpuNode.get(7), cpuNode.get(8)]).toEqual([0, 1]);
});

test('where it may go and where it goes are told apart', () => {
  const { interrupts } = readTopology(machine('ixgbe'));
  expect(interrupt(interrupts, 'eth2')).toMatchObject({
    affinity: [0, 1, 2, 3, 4, 5, 6, 7],
    effective: [5],
  });
});

test('a CPU that is offline may stand in the affinity, and never serves', () => {
  const { interrupts } = readTopology(machine('guest'));
  expect(interrupt(interrupts, 'eth2').affinity).toContain(1);
  for (const { effective } of interrupts) expect(effective).not.toContain(1);
});

test('a virtio card has the node of its PCI device, which on a small machine is unknown', () => {
  const { interrupts } = readTopology(machine('virtio'));
  expect(interrupt(interrupts, 'virtio2-input.0')).toMatchObject({
    deviceNode: undefined,
    nodes: [0],
  });
});

test.each(machineNames())('on %s every interrupt has its CPUs and their nodes', (name) => {
  const { interrupts } = readTopology(machine(name));
  expect(interrupts.length).toBeGreaterThan(0);
  for (const { affinity, effective, nodes } of interrupts) {
    expect(affinity?.length).toBeGreaterThan(0);
    expect(effective?.length).toBe(1);
    expect(nodes.length).toBe(1);
  }
});

test('on this machine it is what the files say', () => {
  for (const { irq, affinity, effective } of readTopology().interrupts) {
    const list = (file: string): number[] =>
      parseCpuList(readFileSync(`/proc/irq/${irq}/${file}`, 'utf8'));
    expect(affinity).toEqual(list('smp_affinity_list'));
    expect(effective).toEqual(list('effective_affinity_list'));
  }
});

test('an interrupt that is gone by now has no affinity, and the others have theirs', () => {
  const roots = machine('guest');
  const table = { cpus: [0], torn: 0, rows: [row(10, 'eth2'), row(4711, 'eth1-rx-7')] };
  const { interrupts } = readTopology(roots, table);
  expect(interrupts.map(({ irq, affinity, nodes }) => [irq, affinity?.length, nodes])).toEqual([
    [10, 4, [0]],
    [4711, undefined, []],
  ]);
});

function row(irq: number, name: string) {
  return { irq, name, chip: '', counts: new Float64Array(1) };
}
