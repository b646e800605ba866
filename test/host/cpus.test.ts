// CPUs and their NUMA nodes: the kernel's two formats of sets, captured and modelled trees, and this
// machine.

import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseCpuList, parseCpuMask, readCpus } from '../../src/host/cpus.ts';
import { formatCpuList } from './many_cpus.ts';
import { CAPTURED, capturedTree, withTree } from './proc_trees.ts';

const ascending = fc
  .uniqueArray(fc.nat(1_023), { maxLength: 300 })
  .map((cpus) => cpus.sort((a, b) => a - b));

describe('lists', () => {
  test.each([
    ['0-3,8\n', [0, 1, 2, 3, 8]],
    ['0\n', [0]],
    ['0,2-3\n', [0, 2, 3]],
    ['8,0-1\n', [0, 1, 8]],
    ['1-3,2-4\n', [1, 2, 3, 4]],
    // A node without CPUs, and an affinity that nobody has set.
    ['\n', []],
    ['', []],
    // What no kernel prints is left out, and does not take what it does print along.
    ['3-1,5', [5]],
    ['(null)', []],
    ['0-9999999999,4', [4]],
  ])('%j is %j', (text, cpus) => {
    expect(parseCpuList(text)).toEqual(cpus);
  });

  test.each([
    [[0, 1, 2, 3, 8], '0-3,8'],
    [[8, 1, 0, 1], '0-1,8'],
    [[5], '5'],
    [[], ''],
  ])('%j is written %j', (cpus, text) => {
    expect(formatCpuList(cpus)).toBe(text);
  });

  test('what is written is read again', () => {
    fc.assert(
      fc.property(ascending, (cpus) => {
        expect(parseCpuList(formatCpuList(cpus))).toEqual(cpus);
      }),
    );
  });
});

describe('masks', () => {
  test.each([
    ['3\n', [0, 1]],
    ['00ff,00000000\n', [32, 33, 34, 35, 36, 37, 38, 39]],
    ['80000000,00000001', [0, 63]],
    ['00000000,00000000\n', []],
    ['', []],
    ['0x3', []],
    ['3,,1', []],
  ])('%j is %j', (text, cpus) => {
    expect(parseCpuMask(text)).toEqual(cpus);
  });

  test('they agree with whole numbers of any size', () => {
    fc.assert(
      fc.property(ascending, (cpus) => {
        const bits = cpus.reduce((sum, cpu) => sum + 2n ** BigInt(cpu), 0n).toString(16);
        const words = bits.padStart(Math.ceil(bits.length / 8) * 8, '0').match(/.{8}/g) ?? [];
        expect(parseCpuMask(words.join())).toEqual(cpus);
      }),
    );
  });
});

describe('readCpus', () => {
  test.each(CAPTURED)(
    'Linux %s: an offline CPU keeps its node, though no node lists it',
    (kernel) => {
      expect(readCpus(capturedTree(kernel))).toEqual({
        possible: [0, 1, 2, 3],
        online: [0, 2, 3],
        node: new Map([
          [0, 0],
          [1, 1],
          [2, 0],
          [3, 1],
        ]),
      });
    },
  );

  test('numbers have holes, and a CPU that was never there has no node', () => {
    // Modelled: two sockets, the second numbered from 128, and room for hot-plugging 192 to 255.
    const files = {
      'sys/devices/system/cpu/possible': '0-63,128-255\n',
      'sys/devices/system/cpu/online': '0-63,128-191\n',
      'sys/devices/system/node/node0/cpulist': '0-63\n',
      'sys/devices/system/node/node1/cpulist': '128-191\n',
      'sys/devices/system/node/node2/cpulist': '\n',
      'sys/devices/system/node/has_cpu': '0-1\n',
    };
    const { possible, online, node } = withTree(files, readCpus);
    expect([possible.length, online.length, node.size]).toEqual([192, 128, 128]);
    expect([63, 64, 128, 191, 192].map((cpu) => node.get(cpu))).toEqual([
      0,
      undefined,
      1,
      1,
      undefined,
    ]);
  });

  test('a CPU that several nodes list, as with numa=fake, is on the first of them', () => {
    const files = {
      'sys/devices/system/cpu/possible': '0-1\n',
      'sys/devices/system/cpu/online': '0-1\n',
      'sys/devices/system/node/node10/cpulist': '0-1\n',
      'sys/devices/system/node/node2/cpulist': '0-1\n',
      'sys/devices/system/node/node3/cpulist': '0-1\n',
    };
    expect([...withTree(files, readCpus).node.values()]).toEqual([2, 2]);
  });

  test('a kernel without NUMA has all CPUs on node 0', () => {
    const files = {
      'sys/devices/system/cpu/possible': '0-1,4\n',
      'sys/devices/system/cpu/online': '0\n',
    };
    expect([...withTree(files, readCpus).node]).toEqual([
      [0, 0],
      [1, 0],
      [4, 0],
    ]);
  });

  test('without sysfs it throws, so that the collector can say so', () => {
    expect(() => withTree({}, readCpus)).toThrow(/ENOENT.*cpu\/possible/);
  });

  test('on this machine it agrees with lscpu', () => {
    const { online, node } = readCpus();
    const listed = execFileSync('lscpu', ['--parse=CPU,NODE'], { encoding: 'utf8' })
      .split('\n')
      .filter((line) => /^\d/.test(line))
      .map((line) => line.split(',').map(Number));
    expect(online.map((cpu) => [cpu, node.get(cpu)])).toEqual(listed);
  });
});
