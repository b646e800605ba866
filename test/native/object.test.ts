// One BPF object from open to close, on the real kernel: what is set is what the program sees, and
// what the program counted is what is read. Needs root, as every test in this folder.

import { afterEach, describe, expect, test } from 'vitest';
import { type BpfObject, loadAddon } from '../../src/addon/addon.ts';
import {
  buildFixture,
  configure,
  countedCalls,
  GETUID,
  loadCalls,
  makeCalls,
  u32,
  u64,
} from './fixture.ts';

const addon = loadAddon();
let object: BpfObject | undefined;

afterEach(() => object?.close());

describe('an object that is loaded and attached', () => {
  test('counts each of 1009 calls of this process', () => {
    object = loadCalls();
    object.attach('count_calls');
    makeCalls(1009);
    expect(countedCalls(object)).toBe(1009);
  });

  test('counts nothing where a constant names another process', () => {
    object = addon.openObject(buildFixture('calls'));
    object.setConst('watched_pid', u32(1));
    object.setConst('watched_call', u64(GETUID));
    object.load();
    object.attach('count_calls');
    makeCalls(101);
    expect(countedCalls(object)).toBe(0);
  });

  test('counts only between attach and detach, as often as one likes', () => {
    object = loadCalls();
    makeCalls(7);
    object.attach('count_calls');
    makeCalls(101);
    object.detach('count_calls');
    makeCalls(13);
    object.attach('count_calls');
    makeCalls(103);
    object.detach('count_calls');
    object.detach('count_calls');
    expect(countedCalls(object)).toBe(101 + 103);
  });

  test('sees at once what is written to a data section and to a map', () => {
    object = loadCalls();
    object.attach('count_calls');
    configure(object, false, 17);
    makeCalls(101);
    expect(countedCalls(object)).toBe(101 * 17);
    object.write('slots', 0, u64(1_000_003));
    makeCalls(1);
    expect(countedCalls(object)).toBe(1_000_003 + 17);
  });
});

describe('memory of a map', () => {
  test('holds what the object file says before a program ran', () => {
    object = loadCalls();
    const config = new Uint8Array(8);
    object.read('.data.config', 0, config);
    expect([...new Uint32Array(config.buffer)]).toEqual([0, 1]);
  });

  test('is as large as its values, each rounded up to eight bytes', () => {
    object = loadCalls();
    expect(object.mapBytes('slots')).toBe(48);
    expect(object.mapBytes('.data.config')).toBe(8);
    // 4 + 8 + 1 bytes of constants with their alignment.
    expect(object.mapBytes('.rodata')).toBe(24);
  });

  test('is copied to any byte of a buffer and in any length, and no byte further', () => {
    object = loadCalls();
    object.write(
      'slots',
      16,
      Uint8Array.from({ length: 16 }, (_, index) => index + 1),
    );
    const buffer = new Uint8Array(32).fill(0xee);
    object.read('slots', 16, buffer.subarray(3, 3 + 13));
    const copied = Array.from({ length: 13 }, (_, index) => index + 1);
    expect([...buffer]).toEqual([...Array(3).fill(0xee), ...copied, ...Array(16).fill(0xee)]);
  });

  test('is written in half a word, and the other half stays', () => {
    object = loadCalls();
    object.write('slots', 0, new Uint8Array(Uint32Array.of(1, 2, 3, 4).buffer));
    object.write32('slots', 4, 4_294_967_295);
    object.write32('slots', 8, 0);
    const words = new Uint32Array(4);
    object.read('slots', 0, new Uint8Array(words.buffer));
    expect([...words]).toEqual([1, 4_294_967_295, 0, 4]);
  });

  test('grows with the number of entries', () => {
    object = addon.openObject(buildFixture('refused'));
    object.setAutoload('follows_a_number', false);
    object.setMaxEntries('counts', 4099);
    object.load();
    expect(object.mapBytes('counts')).toBe(4099 * 8);
    object.write('counts', 4098 * 8, u64(4_294_967_311));
    const last = new BigUint64Array(1);
    object.read('counts', 4098 * 8, new Uint8Array(last.buffer));
    expect(last[0]).toBe(4_294_967_311n);
  });

  test.each([
    ['one word each', 1, [2, 5, 11], [4 + 25 + 121]],
    ['three words each', 3, [0, 3, 1], [0 + 81 + 9, 1 + 100 + 16, 4 + 121 + 25]],
    ['one of them twice', 2, [4, 4], [2 * 64, 2 * 81]],
    ['none of them', 2, [], [0, 0]],
  ])('is added up over some of its values, %s', (_, words, indices, expected) => {
    object = loadSquares();
    const sums = new Float64Array(words).fill(-1);
    object.sum('counts', new Uint8Array(Uint32Array.from(indices).buffer), bytesOf(sums));
    expect([...sums]).toEqual(expected);
  });

  test('is added up in floating point: beyond 32 bits, and to the unit below 2^53', () => {
    object = loadSquares();
    for (const [at, value] of [2 ** 32 + 7, 2 ** 52, 2 ** 51 - 13].entries())
      object.write('counts', at * 8, u64(value));
    const sums = new Float64Array(1);
    object.sum('counts', new Uint8Array(Uint32Array.of(0, 1, 2).buffer), bytesOf(sums));
    expect(sums[0]).toBe(2 ** 32 + 2 ** 52 + 2 ** 51 - 6);
  });
});

/** 101 words, each the square of its place. */
function loadSquares(): BpfObject {
  const squares = addon.openObject(buildFixture('refused'));
  squares.setAutoload('follows_a_number', false);
  squares.load();
  for (let at = 0; at < 101; at++) squares.write('counts', at * 8, u64(at * at));
  return squares;
}

function bytesOf(numbers: Float64Array): Uint8Array {
  return new Uint8Array(numbers.buffer);
}

describe('what an object tells of itself', () => {
  test('is where the members of a struct lie, without its bit fields', () => {
    object = addon.openObject(buildFixture('calls'));
    expect(object.layout('slot')).toEqual({
      size: 48,
      fields: {
        calls: { offset: 0, size: 8 },
        failed_sends: { offset: 8, size: 8 },
        name: { offset: 16, size: 12 },
        seen: { offset: 28, size: 16 },
      },
    });
  });

  test('is the state of each program', () => {
    object = addon.openObject(buildFixture('refused'));
    object.setAutoload('follows_a_number', false);
    object.load();
    object.attach('harmless');
    expect(object.programs()).toEqual([
      {
        name: 'harmless',
        section: 'raw_tp/sys_enter',
        autoload: true,
        loaded: true,
        attached: true,
      },
      {
        name: 'follows_a_number',
        section: 'raw_tp/sys_exit',
        autoload: false,
        loaded: false,
        attached: false,
      },
    ]);
  });

  test('is how often and how long a program ran, while statistics are on', () => {
    object = loadCalls();
    object.attach('count_calls');
    expect(object.programStats('count_calls')).toEqual({ runTimeNs: 0, runs: 0 });
    const stats = addon.enableStats();
    makeCalls(1009);
    stats.close();
    stats.close();
    const { runTimeNs, runs } = object.programStats('count_calls');
    // Other processes make system calls too.
    expect(runs).toBeGreaterThanOrEqual(1009);
    expect(runTimeNs).toBeGreaterThan(runs);
  });
});

test('the addon knows its libbpf and the number of CPUs', () => {
  expect(addon.libbpfVersion()).toMatch(/^v1\.\d+/);
  expect(addon.possibleCpus()).toBeGreaterThan(0);
});
