// /proc/stat: the time that each CPU spent in interrupts, in softirqs and waiting for its hypervisor,
// and the machine's context switches. Leaves the rest of the file alone.
//
// The kernel (fs/proc/stat.c, show_stat) writes one line for each online CPU; an offline one keeps its
// times and shows them again when it comes back. How true they are depends on the kernel: with
// CONFIG_IRQ_TIME_ACCOUNTING they are measured. Otherwise the timer's tick samples them, and since a tick
// does not interrupt an interrupt's handler, `irq` stays near 0 there, however many there are.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { HOST_ROOTS, type Roots } from './roots.ts';

/** Seconds since boot. */
export interface CpuSeconds {
  readonly irq: number;
  readonly softirq: number;
  /** While the CPU had work, its hypervisor ran something else. */
  readonly steal: number;
}

export interface CpuTimes {
  /** By CPU; offline CPUs are absent. */
  readonly cpus: ReadonlyMap<number, CpuSeconds>;
  /** Of all CPUs since boot, in 64 bits. */
  readonly contextSwitches: number;
}

/**
 * USER_HZ, the unit of all times in /proc: part of the interface to user space, and 100 on every
 * architecture that Node runs on (include/asm-generic/param.h), whatever CONFIG_HZ is.
 */
const TICKS_PER_SECOND = 100;

/** Throws when /proc/stat cannot be read or has another form. */
export function readCpuTimes(roots: Roots = HOST_ROOTS): CpuTimes {
  const path = join(roots.proc, 'stat');
  const times = parseCpuTimes(readFileSync(path, 'utf8'));
  if (times === undefined) throw new Error(`${path}: it has no line of a CPU, or none of ctxt`);
  return times;
}

/** Undefined when there is no CPU or no count of context switches in it. */
export function parseCpuTimes(text: string): CpuTimes | undefined {
  const cpus = new Map<number, CpuSeconds>();
  for (const [, cpu, line = ''] of text.matchAll(/^cpu(\d+) +(.*)$/gm)) {
    const seconds = secondsOf(line);
    if (seconds !== undefined) cpus.set(Number(cpu), seconds);
  }
  const contextSwitches = /^ctxt (\d+)$/m.exec(text)?.[1];
  if (cpus.size === 0 || contextSwitches === undefined) return undefined;
  return { cpus, contextSwitches: Number(contextSwitches) };
}

/** user, nice, system, idle, iowait, irq, softirq, steal; the guests' times after them are in user. */
function secondsOf(line: string): CpuSeconds | undefined {
  const [, , , , , irq, softirq, steal] = line
    .split(/\s+/)
    .map((ticks) => (/^\d+$/.test(ticks) ? Number(ticks) / TICKS_PER_SECOND : undefined));
  if (irq === undefined || softirq === undefined || steal === undefined) return undefined;
  return { irq, softirq, steal };
}
