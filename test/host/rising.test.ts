// Counts that may not fall, from tables of interrupts made up for it.

import { describe, expect, test } from 'vitest';
import type { InterruptTable, IrqOwner } from '../../src/host/interrupts.ts';
import type { Link } from '../../src/host/links.ts';
import { CpuCounts, InterruptTotals, Risen, RisenLinks } from '../../src/host/rising.ts';

const ETH0: IrqOwner = { device: 'eth0', queue: 0, direction: 'rxtx' };
const OWNERS: ReadonlyMap<number, IrqOwner> = new Map([[24, ETH0]]);

/** `24: eth0` → counts by column. */
function table(
  cpus: readonly number[],
  rows: Readonly<Record<string, readonly number[]>>,
  torn = 0,
): InterruptTable {
  return {
    cpus,
    torn,
    rows: Object.entries(rows).map(([line, counts]) => {
      const [irq = '', name = ''] = line.split(': ');
      return {
        irq: /^\d+$/.test(irq) ? Number(irq) : irq,
        name,
        chip: 'PCI-MSI 1-edge',
        counts: Float64Array.from(counts),
      };
    }),
  };
}

function countsOf(totals: InterruptTotals) {
  const { cpus, sources, others } = totals.counts();
  return {
    cpus,
    sources: sources.map(({ irq, counts }) => [irq, ...counts]),
    others: [...others],
  };
}

/** A link with so many packets received, and so many missed. */
function link(ifindex: number, packets: number, missed: number): Link {
  const stats = { rx_packets: packets, rx_missed_errors: missed } as Link['stats'];
  return { ifindex, name: 'eth0', stats } as Link;
}

describe('links', () => {
  const follow = (links: readonly Link[]): (readonly number[])[] => {
    const risen = new RisenLinks();
    return links.map((one) => {
      const [{ stats } = one] = risen.follow([one]);
      return [stats.rx_packets, stats.rx_missed_errors];
    });
  };

  test('stand still where a driver begins anew, and rise from there', () => {
    const links = [link(2, 100, 7), link(2, 3, 8), link(2, 13, 0), link(2, 20, 4)];
    expect(follow(links)).toEqual([
      [100, 7],
      [100, 8],
      [110, 8],
      [117, 12],
    ]);
  });

  test('go on where another device takes the name', () => {
    expect(follow([link(2, 100, 7), link(3, 5, 0), link(3, 6, 1), link(4, 1, 1)])).toEqual([
      [100, 7],
      [105, 7],
      [106, 8],
      [107, 9],
    ]);
  });
});

describe('interrupts', () => {
  test('go on in their series when only chip or trigger of the line are others', () => {
    const totals = new InterruptTotals();
    const before = table([0], { '24: eth0': [5] });
    totals.update(before, OWNERS);
    const rows = before.rows.map((row) => ({
      ...row,
      chip: 'PCI-MSI 1-level',
      counts: Float64Array.of(2),
    }));
    totals.update({ ...before, rows }, OWNERS);
    expect(countsOf(totals).sources).toEqual([['24', 7]]);
  });

  test('of network devices stand alone, all others are one sum, errors are none', () => {
    const totals = new InterruptTotals();
    totals.update(
      table([0, 2], { '24: eth0': [5, 0], '9: acpi': [1, 2], LOC: [7, 7], ERR: [3, 0] }),
      OWNERS,
    );
    expect(countsOf(totals)).toEqual({ cpus: [0, 2], sources: [['24', 5, 0]], others: [8, 9] });
  });

  test('of a CPU that is offline stay, and go on when it is back', () => {
    const totals = new InterruptTotals();
    totals.update(table([0, 2], { '24: eth0': [5, 3], LOC: [7, 9] }), OWNERS);
    totals.update(table([0], { '24: eth0': [6], LOC: [8] }), OWNERS);
    expect(countsOf(totals)).toEqual({ cpus: [0, 2], sources: [['24', 6, 3]], others: [8, 9] });
    totals.update(table([0, 2, 4], { '24: eth0': [6, 4, 1], LOC: [8, 10, 2] }), OWNERS);
    expect(countsOf(totals)).toEqual({
      cpus: [0, 2, 4],
      sources: [['24', 6, 4, 1]],
      others: [8, 10, 2],
    });
  });

  test('go on over the wrap of 32 bits', () => {
    const totals = new InterruptTotals();
    totals.update(table([0], { LOC: [2 ** 32 - 3] }), OWNERS);
    totals.update(table([0], { LOC: [4] }), OWNERS);
    expect(countsOf(totals).others).toEqual([2 ** 32 + 4]);
  });

  test('that are freed stay in the sum of the others, and are gone where they stood alone', () => {
    const totals = new InterruptTotals();
    totals.update(table([0], { '24: eth0': [5], '9: acpi': [11] }), OWNERS);
    totals.update(table([0], {}), OWNERS);
    expect(countsOf(totals)).toEqual({ cpus: [0], sources: [], others: [11] });
    totals.update(table([0], { '9: acpi': [2] }), OWNERS);
    expect(countsOf(totals).others, 'begun anew under the same number').toEqual([13]);
  });

  test('that a driver takes over or gives up neither lower the sum of the others nor raise it', () => {
    const totals = new InterruptTotals();
    totals.update(table([0], { '24: uio': [5] }), new Map());
    totals.update(table([0], { '24: eth0': [6] }), OWNERS);
    expect(countsOf(totals)).toEqual({ cpus: [0], sources: [['24', 6]], others: [5] });
    totals.update(table([0], { '24: uio': [9] }), new Map());
    expect(countsOf(totals)).toEqual({ cpus: [0], sources: [], others: [5 + 3] });
  });

  test('without a handler still are those of the device that had one', () => {
    const totals = new InterruptTotals();
    totals.update(table([0], { '24: eth0': [5] }), OWNERS);
    totals.update(table([0], { '24: ': [5] }), new Map());
    expect(countsOf(totals).sources).toEqual([['24', 5]]);
  });

  test('that could not be read in a torn table are not taken for freed', () => {
    const totals = new InterruptTotals();
    totals.update(table([0], { '24: eth0': [5], '9: acpi': [11] }), OWNERS);
    totals.update(table([0], { '9: acpi': [12] }, 1), OWNERS);
    expect(countsOf(totals)).toEqual({ cpus: [0], sources: [['24', 5]], others: [12] });
  });
});

test('a count of a CPU goes on over the wrap of 32 bits and when it begins anew', () => {
  const counts = new CpuCounts();
  for (const count of [2 ** 32 - 2, 1, 100, 3]) counts.follow(7, count);
  expect(counts.totals).toEqual(new Map([[7, 2 ** 32 + 100 + 3]]));
});

test('a sum stands still when a part of it is taken away, and rises from there', () => {
  const risen = new Risen();
  expect([5, 9, 4, 6].map((count) => risen.follow(count))).toEqual([5, 9, 9, 11]);
});
