// Counts that only rise, made from what the kernel prints: 32-bit counts that wrap, CPUs that go offline,
// interrupts that are freed. Reads nothing.

import { risen32 } from '../host/counts32.ts';
import type { InterruptRow, InterruptTable, IrqOwner } from '../host/interrupts.ts';
import type { InterruptCounts, InterruptSource } from '../metrics/host_families.ts';

/** One count for each CPU. A CPU that is not followed any more keeps what it had. */
export class CpuCounts {
  readonly #last = new Map<number, number>();
  readonly totals = new Map<number, number>();

  /** `count`: modulo 2^32. */
  follow(cpu: number, count: number): void {
    const last = this.#last.get(cpu) ?? 0;
    this.#last.set(cpu, count);
    this.totals.set(cpu, (this.totals.get(cpu) ?? 0) + risen32(last, count));
  }
}

/** A count that may fall when a part of it is taken away: then the total stands still. */
export class Risen {
  #last = 0;
  total = 0;

  follow(count: number): number {
    this.total += Math.max(0, count - this.#last);
    this.#last = count;
    return this.total;
  }
}

/** One line of /proc/interrupts over time; the arrays by position in `InterruptTotals.cpus`. */
interface Line {
  readonly irq: number | string;
  owner: IrqOwner | undefined;
  last: Float64Array;
  total: Float64Array;
  /** Of the update that saw it last. */
  update: number;
}

/** Errors of the interrupt controller: one number for the machine, and no interrupts. */
const ERRORS = new Set(['ERR', 'MIS', 'Err']);

/**
 * The interrupts of network devices one by one, and all others as a sum that keeps what freed
 * interrupts had. A freed one of a network device is gone with its series.
 */
export class InterruptTotals {
  readonly #cpus: number[] = [];
  readonly #positions = new Map<number, number>();
  /** By number and chip: a number alone is given to another device once it is free. */
  readonly #lines = new Map<string, Line>();
  /** What the sum of the others has besides the lines that are there; by position. */
  #kept: Float64Array = new Float64Array(0);
  #updates = 0;

  update(table: InterruptTable, owners: ReadonlyMap<number, IrqOwner>): void {
    this.#updates += 1;
    const positions = this.#positionsOf(table.cpus);
    for (const row of table.rows) {
      if (typeof row.irq === 'string' && ERRORS.has(row.irq)) continue;
      this.#follow(row, positions, owners);
    }
    // A torn line is there and cannot be read.
    if (table.torn > 0) return;
    for (const [key, line] of this.#lines) {
      if (line.update === this.#updates) continue;
      if (line.owner === undefined) this.#keep(line.total, 1);
      this.#lines.delete(key);
    }
  }

  counts(): InterruptCounts {
    const others = this.#kept.slice();
    const sources: InterruptSource[] = [];
    for (const { irq, owner, total } of this.#lines.values()) {
      if (owner === undefined) addTo(others, total, 1);
      else sources.push({ irq: String(irq), owner, counts: total });
    }
    return { cpus: this.#cpus, sources, others };
  }

  #follow(row: InterruptRow, positions: Uint32Array, owners: ReadonlyMap<number, IrqOwner>): void {
    const line = this.#lineOf(row, typeof row.irq === 'number' ? owners.get(row.irq) : undefined);
    line.update = this.#updates;
    const { last, total } = line;
    const { counts } = row;
    for (let column = 0; column < counts.length; column++) {
      const at = positions[column] ?? 0;
      const now = counts[column] ?? 0;
      const before = last[at] ?? 0;
      if (now === before) continue;
      total[at] = (total[at] ?? 0) + risen32(before, now);
      last[at] = now;
    }
  }

  #lineOf(row: InterruptRow, owner: IrqOwner | undefined): Line {
    const key = `${row.irq} ${row.chip}`;
    const length = this.#cpus.length;
    const line = this.#lines.get(key);
    if (line === undefined) {
      const [last, total] = [new Float64Array(length), new Float64Array(length)];
      const fresh: Line = { irq: row.irq, owner, last, total, update: 0 };
      this.#lines.set(key, fresh);
      return fresh;
    }
    line.last = longer(line.last, length);
    line.total = longer(line.total, length);
    // Without a handler nothing tells the queue any more: an interface that is down comes back.
    if (row.name === '' && line.owner !== undefined) return line;
    // The sum of the others neither falls when it loses a line nor jumps when it gets one.
    if (line.owner === undefined && owner !== undefined) this.#keep(line.total, 1);
    if (line.owner !== undefined && owner === undefined) this.#keep(line.total, -1);
    line.owner = owner;
    return line;
  }

  #keep(total: Float64Array, sign: 1 | -1): void {
    this.#kept = longer(this.#kept, this.#cpus.length);
    addTo(this.#kept, total, sign);
  }

  /** By column of the table. */
  #positionsOf(cpus: readonly number[]): Uint32Array {
    for (const cpu of cpus) {
      if (this.#positions.has(cpu)) continue;
      this.#positions.set(cpu, this.#cpus.length);
      this.#cpus.push(cpu);
    }
    this.#kept = longer(this.#kept, this.#cpus.length);
    return Uint32Array.from(cpus, (cpu) => this.#positions.get(cpu) ?? 0);
  }
}

function longer(counts: Float64Array, length: number): Float64Array {
  if (counts.length >= length) return counts;
  const copy = new Float64Array(length);
  copy.set(counts);
  return copy;
}

function addTo(sum: Float64Array, counts: Float64Array, sign: 1 | -1): void {
  for (let at = 0; at < counts.length; at++) sum[at] = (sum[at] ?? 0) + sign * (counts[at] ?? 0);
}
