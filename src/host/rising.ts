// Counts that only rise, made from what the kernel prints: 32-bit counts that wrap, CPUs that go offline,
// interrupts that are freed. Reads nothing.

import { risen32 } from './counts32.ts';
import type { InterruptCounts, InterruptSource } from './host_reading.ts';
import type { InterruptRow, InterruptTable, IrqOwner } from './interrupts.ts';
import { LINK_STATISTICS, type Link, type LinkStatistic, type LinkStats } from './links.ts';

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

/**
 * A count that may fall: a part of it is taken away, a driver begins anew, a machine moves to another host.
 * Then the total stands still, and rises with the count from there on.
 */
export class Risen {
  #last = 0;
  /** What falls took away, all of them together. */
  #lost = 0;
  total = 0;

  follow(count: number): number {
    if (count < this.#last) this.#lost += this.#last - count;
    this.#last = count;
    // A sum of fractions may round to less.
    this.total = Math.max(this.total, this.#lost + count);
    return this.total;
  }
}

/** The same by key. What is not followed any more keeps what it had. */
export class RisenBy<Key> {
  readonly #counts = new Map<Key, Risen>();
  readonly totals = new Map<Key, number>();

  follow(key: Key, count: number): number {
    let risen = this.#counts.get(key);
    if (risen === undefined) {
      risen = new Risen();
      this.#counts.set(key, risen);
    }
    const total = risen.follow(count);
    this.totals.set(key, total);
    return total;
  }
}

/** The counters of network devices by name, for which drivers begin anew when they please. */
export class RisenLinks {
  #known = new Map<string, { readonly link: Link; readonly lost: LinkStats | undefined }>();

  /** The same links with counters that have not fallen since they were followed first. */
  follow(links: readonly Link[]): Link[] {
    const known = new Map<string, { readonly link: Link; readonly lost: LinkStats | undefined }>();
    const risen = links.map((link) => {
      const last = this.#known.get(link.name);
      const lost = last === undefined ? undefined : lostSince(last.link, link, last.lost);
      known.set(link.name, { link, lost });
      return lost === undefined ? link : { ...link, stats: sumOf(link.stats, lost) };
    });
    this.#known = known;
    return risen;
  }
}

/** With what was lost before. A device that another one of its name took the place of lost all. */
function lostSince(last: Link, link: Link, lost: LinkStats | undefined): LinkStats | undefined {
  if (last.ifindex !== link.ifindex)
    return lost === undefined ? last.stats : sumOf(last.stats, lost);
  let sum = lost;
  for (const statistic of LINK_STATISTICS) {
    const fallen = (last.stats[statistic] ?? 0) - (link.stats[statistic] ?? 0);
    if (fallen > 0) sum = { ...(sum ?? NO_STATS), [statistic]: (sum?.[statistic] ?? 0) + fallen };
  }
  return sum;
}

/** Of what the first has: a counter that the kernel does not tell stays untold. */
function sumOf(stats: LinkStats, lost: LinkStats): LinkStats {
  const sums: Partial<Record<LinkStatistic, number>> = {};
  for (const statistic of LINK_STATISTICS) {
    const value = stats[statistic];
    if (value !== undefined) sums[statistic] = value + (lost[statistic] ?? 0);
  }
  return sums as LinkStats;
}

const NO_STATS = Object.fromEntries(
  LINK_STATISTICS.map((statistic) => [statistic, 0]),
) as LinkStats;

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
      else sources.push({ irq: String(irq), owner, counts: total.slice() });
    }
    return { cpus: [...this.#cpus], sources, others };
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
      // It goes on in the series of the line whose place it takes: only chip or trigger are others.
      const before = owner && this.#replaced(row.irq, owner);
      if (before !== undefined) addTo(total, before.total, 1);
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

  /** The line of another chip by the same number, for the same queue. */
  #replaced(irq: number | string, { device, queue }: IrqOwner): Line | undefined {
    for (const line of this.#lines.values()) {
      const isSame =
        line.irq === irq && line.owner?.device === device && line.owner.queue === queue;
      if (isSame) return line;
    }
    return undefined;
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
