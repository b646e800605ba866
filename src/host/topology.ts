// The way of a network device's interrupts through the machine: interrupt, device, queue, the CPUs that
// may serve it, the one that does, and on which NUMA nodes all of them are. Facts for advice; it
// judges nothing. Two files an interrupt: not for every scrape.

import { join } from 'node:path';
import { parseCpuList, readCpus } from './cpus.ts';
import { hardwareDevices } from './devices.ts';
import type { Direction } from './interrupt_names.ts';
import { type InterruptTable, interruptOwners, readInterrupts } from './interrupts.ts';
import { HOST_ROOTS, type Roots } from './roots.ts';
import { readText } from './text_files.ts';

export interface DeviceInterrupt {
  readonly irq: number;
  readonly name: string;
  readonly device: string;
  readonly queue?: number;
  readonly direction: Direction;
  /** CPUs that it may be sent to (smp_affinity_list). Undefined: the kernel does not tell. */
  readonly affinity: readonly number[] | undefined;
  /** CPUs that it is sent to: one, on x86 (effective_affinity_list). */
  readonly effective: readonly number[] | undefined;
  /** NUMA nodes of the effective CPUs, or of all that it may be sent to; ascending. */
  readonly nodes: readonly number[];
  /** NUMA node of the device. Undefined where the firmware does not tell. */
  readonly deviceNode: number | undefined;
}

export interface Topology {
  /** Interrupts of network devices only, in the order of /proc/interrupts. */
  readonly interrupts: readonly DeviceInterrupt[];
  /** CPU → NUMA node. */
  readonly cpuNode: ReadonlyMap<number, number>;
}

/** Throws when /proc/interrupts or the list of CPUs cannot be read. */
export function readTopology(
  roots: Roots = HOST_ROOTS,
  table: InterruptTable = readInterrupts(roots),
): Topology {
  const owners = interruptOwners(table, roots);
  const { node: cpuNode } = readCpus(roots);
  const nodes = new Map(hardwareDevices(roots.sys).map(({ name, numaNode }) => [name, numaNode]));
  const interrupts: DeviceInterrupt[] = [];
  for (const { irq, name } of table.rows) {
    const owner = typeof irq === 'number' ? owners.get(irq) : undefined;
    if (typeof irq !== 'number' || owner === undefined) continue;
    const affinity = cpusIn(join(roots.proc, 'irq', String(irq), 'smp_affinity_list'));
    const effective = cpusIn(join(roots.proc, 'irq', String(irq), 'effective_affinity_list'));
    interrupts.push({
      irq,
      name,
      ...owner,
      affinity,
      effective,
      nodes: nodesOf(effective ?? affinity ?? [], cpuNode),
      deviceNode: nodes.get(owner.device),
    });
  }
  return { interrupts, cpuNode };
}

/** Undefined when the file is missing, or empty: an interrupt that is not started has no effective CPU. */
function cpusIn(path: string): number[] | undefined {
  const text = readText(path);
  return text === undefined || text === '' ? undefined : parseCpuList(text);
}

function nodesOf(cpus: readonly number[], cpuNode: ReadonlyMap<number, number>): number[] {
  const nodes = new Set<number>();
  for (const cpu of cpus) {
    const node = cpuNode.get(cpu);
    if (node !== undefined) nodes.add(node);
  }
  return [...nodes].sort((a, b) => a - b);
}
