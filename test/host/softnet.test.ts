// softnet_stat: three forms of the file, what belongs to which CPU, and real kernels.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readCpus } from '../../src/host/cpus.ts';
import {
  lackingInSoftnet,
  parseSoftnet,
  readSoftnet,
  type SoftnetRow,
} from '../../src/host/softnet.ts';
import { CAPTURED, capturedTree, withTree } from './proc_trees.ts';

/** The words of one line, in the kernel's order, from 0 on. */
function line(...words: readonly number[]): string {
  return words.map((word) => word.toString(16).padStart(8, '0')).join(' ');
}

describe('forms', () => {
  // Every word is another number, so that none can stand for its neighbour.
  const words = [0xfffffff0, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 0x1a, 23, 24];
  const counts = {
    processed: 4_294_967_280,
    dropped: 11,
    timesSqueezed: 12,
    receivedRps: 19,
    flowLimit: 20,
  };

  test.each([
    ['15 words, from Linux 6.4', 15, { ...counts, backlogPackets: 21 }],
    ['13 words, from Linux 5.10', 13, { ...counts, backlogPackets: 21 }],
    ['more words than any kernel so far', 17, { ...counts, backlogPackets: 21 }],
  ])('%s', (_, length, row) => {
    const text = `${line(...[...words, 25, 26].slice(0, length))}\n`;
    expect(parseSoftnet(text)).toEqual(new Map([[26, row]]));
    // The online list is not needed, and a wrong one does no harm.
    expect(parseSoftnet(text, [5])).toEqual(new Map([[26, row]]));
  });

  test('11 words, to Linux 5.9: lines are the online CPUs in order, and the backlog is not told', () => {
    const text = `${line(...words.slice(0, 11))}\n${line(...words.slice(0, 11))}\n`;
    const row = { ...counts, backlogPackets: undefined };
    expect(parseSoftnet(text, [3, 128])).toEqual(
      new Map([
        [3, row],
        [128, row],
      ]),
    );
  });

  test('11 words without as many online CPUs: nobody knows whose lines these are', () => {
    const text = `${line(...words.slice(0, 11))}\n`;
    expect(parseSoftnet(text).size).toBe(0);
    expect(parseSoftnet(text, [0, 1]).size).toBe(0);
  });

  test('10 words: what is there is read, and what is not is told', () => {
    const rows = parseSoftnet(`${line(...words.slice(0, 10))}\n`, [0]);
    expect(rows.get(0)).toMatchObject({ processed: 4_294_967_280, receivedRps: 19 });
    expect(rows.get(0)?.flowLimit).toBeUndefined();
    expect(lackingInSoftnet(rows)).toMatch(/too few columns, 10/);
    expect(lackingInSoftnet(parseSoftnet(`${line(...words)}\n`))).toBeUndefined();
  });

  test.each([
    ['', /it is empty: is it hidden/],
    ['00000001 00000002\n', /too few columns, 2, where kernels have 11/],
    [`${line(...words.slice(0, 10))}\n`, /its 1 lines have too few columns, 10/],
    ['nothing that is known\n', /not made of hexadecimal numbers/],
  ])('what cannot be used says why: %j', (text, why) => {
    const files = { 'proc/net/softnet_stat': text, 'sys/devices/system/cpu/online': '0-3\n' };
    expect(() => withTree(files, readSoftnet)).toThrow(why);
  });

  test('a line of another form does not take the others along', () => {
    const text = `cpu drops\n${line(...words.slice(0, 9))}\n${line(...words)}\n00000001 0000000g\n\n`;
    expect([...parseSoftnet(text).keys()]).toEqual([26]);
  });

  test('no text makes it throw', () => {
    const word = fc.oneof(fc.string({ maxLength: 9 }), fc.nat().map(String), fc.constant('\n'));
    fc.assert(
      fc.property(fc.array(word), fc.array(fc.nat(300)), (someWords, online) => {
        parseSoftnet(someWords.join(' '), online);
      }),
    );
  });
});

describe('real kernels', () => {
  test.each(CAPTURED)(
    'Linux %s: rows belong to the CPUs that received, past an offline one',
    (kernel) => {
      // To lo from CPU n: 7 + 3n datagrams by IPv4 and 2 + n by IPv6, each answered by ICMP on lo.
      const processed = [...readSoftnet(capturedTree(kernel))].map(([cpu, row]) => [
        cpu,
        row.processed,
      ]);
      expect(processed).toEqual([
        [0, 18],
        [2, 34],
        [3, 42],
      ]);
    },
  );

  test.each(CAPTURED)('Linux %s: nothing was dropped, steered or left waiting', (kernel) => {
    for (const row of readSoftnet(capturedTree(kernel)).values()) {
      expect(row).toMatchObject({ dropped: 0, receivedRps: 0, flowLimit: 0, backlogPackets: 0 });
    }
  });

  test.each(CAPTURED)(
    'Linux %s: of 1009 datagrams for CPU 3, 64 fit into its backlog, and CPU 0 limited the flow',
    (kernel) => {
      const { proc, sys } = capturedTree(kernel);
      const before = readSoftnet({ proc, sys });
      const after = readSoftnet({ proc: join(proc, '../flood/proc'), sys });
      const rise = (cpu: number, count: keyof SoftnetRow): number =>
        (after.get(cpu)?.[count] ?? Number.NaN) - (before.get(cpu)?.[count] ?? Number.NaN);
      expect([rise(3, 'processed'), rise(3, 'dropped')]).toEqual([64, 1009 - 64]);
      // The limit is the steering CPU's; what it takes is dropped on account of the other one.
      expect(rise(0, 'flowLimit')).toBeGreaterThan(600);
      expect(rise(0, 'flowLimit')).toBeLessThanOrEqual(rise(3, 'dropped'));
      // An interrupt each time that CPU 3 had to be woken: fewer than packets.
      expect(rise(3, 'receivedRps')).toBeGreaterThan(0);
      expect(rise(3, 'receivedRps')).toBeLessThanOrEqual(64);
      for (const [cpu, count] of [
        [0, 'processed'],
        [0, 'dropped'],
        [0, 'receivedRps'],
        [3, 'flowLimit'],
      ] as const) {
        expect(rise(cpu, count)).toBe(0);
      }
    },
  );

  test('the form of Linux 5.8 and 5.9 is read by the list of online CPUs', () => {
    // Modelled: what 5.10 said, less the two words that it added.
    const { proc } = capturedTree('5.10');
    const text = readFileSync(join(proc, 'net/softnet_stat'), 'utf8').replace(/( \w{8}){2}$/gm, '');
    const files = { 'proc/net/softnet_stat': text, 'sys/devices/system/cpu/online': '0,2-3\n' };
    const rows = withTree(files, readSoftnet);
    expect([...rows].map(([cpu, row]) => [cpu, row.processed])).toEqual([
      [0, 18],
      [2, 34],
      [3, 42],
    ]);
    expect(() =>
      withTree({ ...files, 'sys/devices/system/cpu/online': '0-3\n' }, readSoftnet),
    ).toThrow(/softnet_stat: its 3 lines have too few columns, 11, .* and 4 CPUs are online/);
  });

  test('a missing file is told', () => {
    expect(() => withTree({}, readSoftnet)).toThrow(/ENOENT.*softnet_stat/);
  });

  test('this machine has a row for each online CPU', () => {
    expect([...readSoftnet().keys()]).toEqual(readCpus().online);
  });
});
