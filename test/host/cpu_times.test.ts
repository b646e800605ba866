// /proc/stat: captured files, and this machine against other readers of the same counts.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus as cpusOfNode } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseCpuTimes, readCpuTimes } from '../../src/host/cpu_times.ts';
import { readCpus } from '../../src/host/cpus.ts';
import { CAPTURED, capturedTree, withTree } from './proc_trees.ts';

test('ticks of 10 ms become seconds, and CPUs keep their numbers', () => {
  const text = [
    'cpu  700 1 2 3 4 15 36 57 8 9',
    'cpu0 350 0 1 1 2 5 16 17 4 4',
    'cpu128 350 1 1 2 2 10 20 40 4 5',
    `intr 99 ${'0 '.repeat(2_000)}`,
    'ctxt 12345678901',
    'btime 1700000000',
  ].join('\n');
  expect(parseCpuTimes(text)).toEqual({
    cpus: new Map([
      [0, { irq: 0.05, softirq: 0.16, steal: 0.17 }],
      [128, { irq: 0.1, softirq: 0.2, steal: 0.4 }],
    ]),
    contextSwitches: 12_345_678_901,
  });
});

describe('captured', () => {
  test.each(CAPTURED)('Linux %s: the online CPUs, and what awk says of them', (kernel) => {
    const roots = capturedTree(kernel);
    const { cpus, contextSwitches } = readCpuTimes(roots);
    expect([...cpus.keys()]).toEqual([0, 2, 3]);
    const program = '/^cpu[0-9]/ { print $7, $8, $9 } /^ctxt/ { print $2 }';
    const lines = execFileSync('awk', [program, join(roots.proc, 'stat')], { encoding: 'utf8' });
    const ticks = [...cpus.values()].map(({ irq, softirq, steal }) =>
      [irq, softirq, steal].map((seconds) => Math.round(seconds * 100)).join(' '),
    );
    expect([...ticks, contextSwitches, ''].join('\n')).toBe(lines);
  });
});

describe('another form', () => {
  test.each([
    ['empty', ''],
    ['no context switches', 'cpu0 1 2 3 4 5 6 7 8\n'],
    ['no CPU', 'cpu  1 2 3 4 5 6 7 8\nctxt 1\n'],
    ['a line that ends before steal', 'cpu0 1 2 3 4 5 6 7\nctxt 1\n'],
  ])('%s is told', (_, text) => {
    expect(parseCpuTimes(text)).toBeUndefined();
    expect(() => withTree({ 'proc/stat': text }, readCpuTimes)).toThrow(
      /proc\/stat: it has no line/,
    );
  });

  test('no text makes it throw', () => {
    const word = fc.constantFrom(
      'cpu0',
      'cpu',
      'ctxt',
      '\n',
      '1',
      '-1',
      'x',
      '99999999999999999999',
    );
    fc.assert(fc.property(fc.array(word), (words) => void parseCpuTimes(words.join(' '))));
  });
});

describe('this machine', () => {
  test('the CPUs are the online ones, and their sums are those of the line for all', () => {
    const text = readFileSync('/proc/stat', 'utf8');
    const times = parseCpuTimes(text);
    if (times === undefined) throw new Error('/proc/stat is not understood');
    const { possible, online } = readCpus();
    expect([...times.cpus.keys()]).toEqual(online);
    const all = /^cpu +(.*)$/m.exec(text)?.[1]?.split(' ').map(Number) ?? [];
    for (const [index, mode] of [
      [5, 'irq'],
      [6, 'softirq'],
      [7, 'steal'],
    ] as const) {
      const ticks = [...times.cpus.values()].reduce(
        (sum, cpu) => sum + Math.round(cpu[mode] * 100),
        0,
      );
      // The kernel rounds each CPU down, and counts offline ones into the line for all.
      expect(all[index], mode).toBeGreaterThanOrEqual(ticks);
      if (possible.length === online.length) {
        expect(all[index], mode).toBeLessThan(ticks + online.length);
      }
    }
  });

  test('interrupts lie between two readings of Node’s own', () => {
    const before = cpusOfNode().map(({ times }) => times.irq);
    const ours = [...readCpuTimes().cpus.values()].map(({ irq }) => Math.round(irq * 1_000));
    const after = cpusOfNode().map(({ times }) => times.irq);
    for (const [index, irq] of ours.entries()) {
      expect(irq).toBeGreaterThanOrEqual(before[index] ?? Number.NaN);
      expect(irq).toBeLessThanOrEqual(after[index] ?? Number.NaN);
    }
  });

  test('context switches lie between two readings of awk’s', () => {
    const program = ['/^ctxt/ { print $2 }', '/proc/stat'];
    const before = Number(execFileSync('awk', program, { encoding: 'utf8' }));
    const { contextSwitches } = readCpuTimes();
    const after = Number(execFileSync('awk', program, { encoding: 'utf8' }));
    expect(contextSwitches).toBeGreaterThanOrEqual(before);
    expect(contextSwitches).toBeLessThanOrEqual(after);
  });
});
