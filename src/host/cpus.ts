// CPUs by number: which can exist, which are online, on which NUMA node each sits; and the kernel's two
// ways of writing sets of them, lists and masks. Numbers may have holes, so a CPU's number is never a
// position. Knows nothing of cores, caches or isolation.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { HOST_ROOTS, type Roots } from './roots.ts';

export interface Cpus {
  /** All that can ever come online while this kernel runs, ascending. */
  readonly possible: readonly number[];
  readonly online: readonly number[];
  /** CPU → NUMA node. A CPU whose node the kernel does not tell is absent. */
  readonly node: ReadonlyMap<number, number>;
}

/** Throws when sysfs does not list the CPUs. */
export function readCpus(roots: Roots = HOST_ROOTS): Cpus {
  const cpuFolder = join(roots.sys, 'devices/system/cpu');
  const possible = parseCpuList(readFileSync(join(cpuFolder, 'possible'), 'utf8'));
  const online = parseCpuList(readFileSync(join(cpuFolder, 'online'), 'utf8'));
  return { possible, online, node: readNodes(roots, possible) };
}

/**
 * The kernel's list format (`%*pbl`): `0-3,8`. Ascending, without duplicates; empty text is the empty
 * set. Groups (`0-31:2/8`, which the kernel reads but never prints) and anything else that is no number
 * or range are left out.
 */
export function parseCpuList(text: string): number[] {
  const cpus = new Set<number>();
  for (const part of text.trim().split(',')) {
    const match = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(part.trim());
    if (match === null) continue;
    const first = Number(match[1]);
    const last = match[2] === undefined ? first : Number(match[2]);
    for (let cpu = first; cpu <= last; cpu++) cpus.add(cpu);
  }
  return [...cpus].sort((a, b) => a - b);
}

/**
 * The kernel's mask format (`%*pb`): hexadecimal words of 32 bits, the highest CPUs first: `1,00000000`
 * is CPU 32. Only the first word may be shorter. Empty when there is anything but such words.
 */
export function parseCpuMask(text: string): number[] {
  const words = text.trim().split(',').reverse();
  const cpus: number[] = [];
  for (const [index, word] of words.entries()) {
    if (!/^[0-9a-f]{1,8}$/i.test(word)) return [];
    const bits = Number.parseInt(word, 16);
    for (let bit = 0; bit < 32; bit++) {
      if ((bits >>> bit) % 2 === 1) cpus.push(index * 32 + bit);
    }
  }
  return cpus;
}

function readNodes(roots: Roots, possible: readonly number[]): Map<number, number> {
  const folder = join(roots.sys, 'devices/system/node');
  // A kernel without NUMA has no such folder; every CPU is then as near as any other.
  if (!existsSync(folder)) return new Map(possible.map((cpu) => [cpu, 0]));
  const nodes = new Map<number, number>();
  const numbers = readdirSync(folder).flatMap((name) => nodeOf(name) ?? []);
  // From the last to the first: with numa=fake, nodes share their CPUs, and each links to the first.
  for (const node of numbers.sort((a, b) => b - a)) {
    for (const cpu of listOf(join(folder, `node${node}`, 'cpulist'))) nodes.set(cpu, node);
  }
  // A node lists its online CPUs only; an offline one has a link to its node in a folder of its own.
  for (const cpu of possible) {
    if (nodes.has(cpu)) continue;
    const node = linkedNode(join(roots.sys, `devices/system/cpu/cpu${cpu}`));
    if (node !== undefined) nodes.set(cpu, node);
  }
  return nodes;
}

function nodeOf(name: string): number | undefined {
  const match = /^node(\d+)$/.exec(name);
  return match === null ? undefined : Number(match[1]);
}

/** Empty when the node is gone by now. */
function listOf(path: string): number[] {
  try {
    return parseCpuList(readFileSync(path, 'utf8'));
  } catch {
    return [];
  }
}

/** Undefined for a CPU that is possible but not present: it has no folder. */
function linkedNode(folder: string): number | undefined {
  try {
    return readdirSync(folder)
      .map(nodeOf)
      .find((node) => node !== undefined);
  } catch {
    return undefined;
  }
}
