// /proc/softirqs: captured files, holes in the CPU numbering, and this machine against /proc/stat.

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readCpus } from '../../src/host/cpus.ts';
import { parseSoftirqs, readSoftirqs, type Softirqs } from '../../src/host/softirqs.ts';
import { CAPTURED, capturedTree, withTree } from './proc_trees.ts';

/** The order of the kernel's enum, which /proc/stat has too. */
const VECTORS = [
  ...['HI', 'TIMER', 'NET_TX', 'NET_RX', 'BLOCK'],
  ...['IRQ_POLL', 'TASKLET', 'SCHED', 'HRTIMER', 'RCU'],
];

test.each(CAPTURED)(
  'Linux %s: a softirq for each datagram, also on a CPU that went offline',
  (kernel) => {
    const softirqs = readSoftirqs(capturedTree(kernel));
    expect([...softirqs.keys()]).toEqual(VECTORS);
    expect([...(softirqs.get('NET_RX') ?? [])]).toEqual([
      [0, 9],
      [1, 13],
      [2, 17],
      [3, 21],
    ]);
  },
);

test('the header numbers the columns', () => {
  const text = [
    '                    CPU0       CPU5       CPU128     ',
    '      NET_RX:          1 4294967295          3',
    '         RCU:          4          5          6',
  ].join('\n');
  expect(parseSoftirqs(text)).toEqual(
    new Map([
      [
        'NET_RX',
        new Map([
          [0, 1],
          [5, 4_294_967_295],
          [128, 3],
        ]),
      ],
      [
        'RCU',
        new Map([
          [0, 4],
          [5, 5],
          [128, 6],
        ]),
      ],
    ]),
  );
});

test('a line with another number of counts is left out, since their CPUs are not known', () => {
  const text = 'CPU0 CPU1\n NET_RX: 1\n NET_TX: 1 2 3\n RCU: 1 x\n HI: 7 8\n';
  expect([...parseSoftirqs(text).keys()]).toEqual(['HI']);
});

test('no text makes it throw', () => {
  const word = fc.constantFrom('CPU0', 'CPU7', 'CPU', 'NET_RX:', ':', '1', '-1', 'x', '\n', '\n\n');
  fc.assert(fc.property(fc.array(word), (words) => void parseSoftirqs(words.join(' '))));
});

test('a file of another form is told', () => {
  expect(() => withTree({ 'proc/softirqs': 'none\n' }, readSoftirqs)).toThrow(
    /proc\/softirqs: no line of it is one of a softirq/,
  );
  expect(() => withTree({}, readSoftirqs)).toThrow(/ENOENT/);
});

test('this machine: all possible CPUs, and sums that /proc/stat confirms', () => {
  const before = readSoftirqs();
  // Its sums are of all possible CPUs, modulo 2^32: the total first, then a vector each.
  const [, , ...sums] = (/^softirq .*$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[0] ?? '').split(
    ' ',
  );
  const after = readSoftirqs();
  expect([...before.keys()]).toEqual(VECTORS);
  expect([...(before.get('NET_RX')?.keys() ?? [])]).toEqual(readCpus().possible);
  expect(sums).toHaveLength(VECTORS.length);
  for (const [index, vector] of VECTORS.entries()) {
    const low = sumOf(before, vector);
    // Both may have wrapped meanwhile: what rose is small either way.
    expect((Number(sums[index]) - low) >>> 0, vector).toBeLessThanOrEqual(
      sumOf(after, vector) - low,
    );
  }
});

function sumOf(softirqs: Softirqs, vector: string): number {
  return [...(softirqs.get(vector)?.values() ?? [])].reduce((sum, count) => sum + count, 0);
}
