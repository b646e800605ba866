// The generated machine of 256 CPUs: that the readers of this folder understand all of it.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readCpus } from '../../src/host/cpus.ts';
import { hardwareDevices, listDevices } from '../../src/host/devices.ts';
import { interruptOwners, readInterrupts } from '../../src/host/interrupts.ts';
import { readDeviceSteering } from '../../src/host/steering.ts';
import { readTopology } from '../../src/host/topology.ts';
import { type ManyCpus, writeManyCpus, writeManyCpusCounters } from './many_cpus.ts';

const DEVICES = 16;
const QUEUES = 64;

let folder: string;
let machine: ManyCpus;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'rxscope-many-'));
  machine = writeManyCpus(folder);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('it has 256 possible CPUs with holes, and columns for those online', () => {
  const { possible, online, node } = readCpus(machine);
  expect(possible.length).toBe(256);
  expect(possible.at(-1)).toBe(287);
  expect(possible).not.toContain(100);
  expect(online).toEqual(machine.online);
  expect(readInterrupts(machine).cpus).toEqual(online);
  expect([node.get(0), node.get(287)]).toEqual([0, 1]);
});

test('each of its queues has one interrupt, whatever its driver calls it', () => {
  const table = readInterrupts(machine);
  expect(table.torn).toBe(0);
  const queues = new Map<string, Set<number>>();
  for (const { device, queue, direction } of interruptOwners(table, machine).values()) {
    if (direction === 'other') continue;
    expect(direction).toBe('rxtx');
    queues.set(device, (queues.get(device) ?? new Set()).add(queue ?? -1));
  }
  const numbers = new Set(Array.from({ length: QUEUES }, (_, queue) => queue));
  expect([...queues.keys()].sort()).toEqual([...machine.devices].sort());
  for (const found of queues.values()) expect(found).toEqual(numbers);
});

test('its disk and its architecture own none', () => {
  const table = readInterrupts(machine);
  const owners = interruptOwners(table, machine);
  const others = table.rows.filter(({ irq }) => typeof irq !== 'number' || !owners.has(irq));
  expect(owners.size).toBe(DEVICES * (QUEUES + 1));
  expect(others.filter(({ name }) => name.startsWith('nvme0q')).length).toBe(48);
});

test('each interrupt goes to the CPU that counted it', () => {
  const { cpus, rows } = readInterrupts(machine);
  const counts = new Map(rows.map(({ irq, counts }) => [irq, counts]));
  const { interrupts } = readTopology(machine);
  expect(interrupts.length).toBe(DEVICES * (QUEUES + 1));
  for (const { irq, effective, nodes } of interrupts) {
    const position = cpus.indexOf(effective?.[0] ?? -1);
    expect(counts.get(irq)?.[position]).toBeGreaterThan(0);
    expect(nodes.length).toBe(1);
  }
});

test('a step later every counter of a device is higher', () => {
  const total = (): number[] =>
    readInterrupts(machine)
      .rows.filter(({ name }) => name.includes('eth'))
      .map(({ counts }) => counts.reduce((sum, n) => sum + n, 0));
  const before = total();
  writeManyCpusCounters(folder, { step: 1 });
  const after = total();
  expect(after.length).toBe(before.length);
  expect(after.every((n, index) => n > (before[index] ?? 0))).toBe(true);
});

test('its devices have hardware, a node and masks for CPUs beyond a hole', () => {
  expect(listDevices(machine.sys).length).toBe(DEVICES + 1);
  const hardware = hardwareDevices(machine.sys);
  expect(hardware.map(({ name }) => name)).toEqual(machine.devices);
  expect(hardware.map(({ numaNode }) => numaNode)).toEqual(machine.devices.map((_, at) => at % 2));
  const { receive, transmit } = readDeviceSteering('eth15', machine);
  expect(receive.length).toBe(QUEUES);
  expect(transmit.map(({ xpsCpus }) => xpsCpus)).toEqual(
    transmit.map(({ queue }) => [machine.possible[(15 + queue * 4) % 256]]),
  );
});
