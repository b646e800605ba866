// What is refused, and what the error then says: operation, program or map, errno and log.

import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { type BpfObject, loadAddon } from '../../src/addon/addon.ts';
import { buildFixture, failureOf, loadCalls, u32, u64 } from './fixture.ts';

const addon = loadAddon();
let object: BpfObject | undefined;

afterEach(() => object?.close());

/** Opens an object and leaves only one of its programs to be loaded. */
function openWithOnly(fixture: string, program: string): BpfObject {
  const opened = addon.openObject(buildFixture(fixture));
  for (const { name } of opened.programs()) opened.setAutoload(name, name === program);
  return opened;
}

describe('opening', () => {
  test('a file that is missing says so', () => {
    const failure = failureOf(() => addon.openObject('/nonexistent/x.bpf.o'));
    expect(failure).toMatchObject({ operation: 'open', code: 'ENOENT' });
    expect(failure.message).toBe(
      'cannot open /nonexistent/x.bpf.o: ENOENT (No such file or directory)',
    );
  });

  test('a file that is no BPF object gives libbpf’s own number and log', () => {
    const path = join(dirname(buildFixture('calls')), 'text.bpf.o');
    writeFileSync(path, 'This is no ELF file.\n');
    const failure = failureOf(() => addon.openObject(path));
    expect(failure).toMatchObject({ operation: 'open', code: 'LIBBPF_ERRNO__FORMAT', errno: 4001 });
    expect(failure.log).toContain('is not a proper ELF object');
  });

  test('a path that is no string is refused', () => {
    const failure = failureOf(() => addon.openObject(7 as unknown as string));
    expect(failure.message).toBe(
      'cannot call openObject: EINVAL (its argument path must be a string)',
    );
  });
});

describe('setting a constant', () => {
  test('that does not exist names it', () => {
    object = addon.openObject(buildFixture('calls'));
    const opened = object;
    const failure = failureOf(() => opened.setConst('watched_pit', u32(1)));
    expect(failure).toMatchObject({ operation: 'set_const', code: 'ENOENT' });
    expect(failure.message).toContain('cannot set the constant watched_pit');
  });

  test('in the wrong size shows both sizes', () => {
    object = addon.openObject(buildFixture('calls'));
    const opened = object;
    const failure = failureOf(() => opened.setConst('watched_pid', u64(1)));
    expect(failure.message).toBe(
      'cannot set the constant watched_pid: EINVAL (it has 4 bytes, the value has 8)',
    );
  });

  test('does not reach writable globals', () => {
    object = addon.openObject(buildFixture('calls'));
    const opened = object;
    expect(failureOf(() => opened.setConst('config', u64(1))).code).toBe('ENOENT');
  });

  test('after load is too late, as are sizes and choices', () => {
    object = loadCalls();
    const loaded = object;
    expect(failureOf(() => loaded.setConst('watched_pid', u32(1))).code).toBe('EBUSY');
    expect(failureOf(() => loaded.setMaxEntries('slots', 3)).code).toBe('EBUSY');
    expect(failureOf(() => loaded.setAutoload('count_calls', false)).code).toBe('EBUSY');
    expect(failureOf(() => loaded.load()).code).toBe('EBUSY');
  });
});

describe('loading', () => {
  test('half-way names the program that the verifier refused, with its last lines', () => {
    object = addon.openObject(buildFixture('refused'));
    const opened = object;
    const failure = failureOf(() => opened.load());
    expect(failure).toMatchObject({
      operation: 'load',
      code: 'EACCES',
      program: 'follows_a_number',
      message: 'cannot load program follows_a_number: EACCES (Permission denied)',
    });
    expect(failure.log).toContain("R1 invalid mem access 'scalar'");
    expect(failure.log?.split('\n').length).toBeLessThanOrEqual(20);
    expect(opened.programs().map(({ loaded }) => loaded)).toEqual([false, false]);
    expect(failureOf(() => opened.load()).message).toContain('open it anew');
    expect(failureOf(() => opened.attach('harmless')).message).toContain('failed to load');
  });

  test('names the program whose hook the kernel lacks', () => {
    object = openWithOnly('unknown_kernel', 'no_hook');
    const opened = object;
    const failure = failureOf(() => opened.load());
    expect(failure).toMatchObject({ operation: 'load', code: 'ESRCH', program: 'no_hook' });
    expect(failure.log).toContain('rxscope_has_no_such_tracepoint');
  });

  test('names the program and the member that the kernel’s types lack', () => {
    object = openWithOnly('unknown_kernel', 'no_member');
    const opened = object;
    const failure = failureOf(() => opened.load());
    expect(failure).toMatchObject({ operation: 'load', program: 'no_member' });
    expect(failure.log).toContain('task_struct.rxscope_has_no_such_member');
  });

  test('names the map that the kernel refused', () => {
    object = openWithOnly('unknown_kernel', 'no_fault');
    const opened = object;
    opened.setMaxEntries('table', 4_294_967_295);
    const failure = failureOf(() => opened.load());
    expect(failure).toMatchObject({ operation: 'load', map: 'table' });
    expect(failure.message).toContain('cannot load map table');
    expect(failure.program).toBeUndefined();
  });
});

describe('attaching', () => {
  test('before load is refused', () => {
    object = addon.openObject(buildFixture('calls'));
    const opened = object;
    const failure = failureOf(() => opened.attach('count_calls'));
    expect(failure).toMatchObject({ operation: 'attach', code: 'EINVAL' });
    expect(failure.message).toContain('not loaded yet');
  });

  test('to what does not exist names the program and keeps the others', () => {
    object = loadCalls();
    const loaded = object;
    loaded.attach('count_calls');
    const failure = failureOf(() => loaded.attach('attach_nowhere'));
    expect(failure).toMatchObject({
      operation: 'attach',
      code: 'ENOENT',
      program: 'attach_nowhere',
    });
    expect(failure.log).toContain('rxscope_has_no_such_tracepoint');
    expect(loaded.programs().map(({ attached }) => attached)).toEqual([true, false]);
  });

  test('twice is refused', () => {
    object = loadCalls();
    const loaded = object;
    loaded.attach('count_calls');
    expect(failureOf(() => loaded.attach('count_calls')).code).toBe('EALREADY');
  });

  test('a program that was not chosen, or that nobody wrote, is refused', () => {
    object = openWithOnly('calls', 'count_calls');
    const loaded = object;
    loaded.load();
    expect(failureOf(() => loaded.attach('attach_nowhere')).message).toContain('excluded');
    expect(failureOf(() => loaded.programStats('attach_nowhere')).code).toBe('EINVAL');
    expect(failureOf(() => loaded.attach('count_cells'))).toMatchObject({
      code: 'ENOENT',
      program: 'count_cells',
    });
  });
});

describe('a map', () => {
  test('is not read or written beyond its end', () => {
    object = loadCalls();
    const loaded = object;
    expect(failureOf(() => loaded.read('slots', 48, new Uint8Array(8))).message).toBe(
      'cannot read map slots: ERANGE (8 bytes at 48 reach beyond its 48)',
    );
    expect(failureOf(() => loaded.read('slots', 0, new Uint8Array(49))).code).toBe('ERANGE');
    expect(failureOf(() => loaded.write('slots', 40, new Uint8Array(16))).code).toBe('ERANGE');
    const far = Number.MAX_SAFE_INTEGER - 7;
    expect(failureOf(() => loaded.read('slots', far, new Uint8Array(8))).code).toBe('ERANGE');
    loaded.read('slots', 48, new Uint8Array(0));
  });

  test('is not added up beyond its end, and then nothing is', () => {
    object = loadCalls();
    const loaded = object;
    const sums = new Uint8Array(48).fill(0xee);
    const failure = failureOf(() => loaded.sum('slots', u32(1), sums));
    expect(failure.message).toBe(
      'cannot sum map slots: ERANGE (48 bytes at 48 reach beyond its 48)',
    );
    const far = new Uint8Array(Uint32Array.of(0, 0xffff_ffff).buffer);
    expect(failureOf(() => loaded.sum('slots', far, sums)).code).toBe('ERANGE');
    expect(failureOf(() => loaded.sum('nothing', u32(0), sums))).toMatchObject({ code: 'ENOENT' });
    expect(new Set(sums)).toEqual(new Set([0xee]));
  });

  test.each([
    ['a negative offset', -8, 'must be a whole number'],
    ['a broken offset', 0.5, 'must be a whole number'],
    ['no number', Number.NaN, 'must be a whole number'],
    ['an offset between two words', 4, 'no multiple of eight'],
  ])('is not read at %s', (_, offset, reason) => {
    object = loadCalls();
    const loaded = object;
    const failure = failureOf(() => loaded.read('slots', offset, new Uint8Array(8)));
    expect(failure).toMatchObject({ operation: 'map', code: 'EINVAL' });
    expect(failure.message).toContain(reason);
  });

  test('is not written in parts of a word, nor where it is read-only', () => {
    object = loadCalls();
    const loaded = object;
    expect(failureOf(() => loaded.write('slots', 0, new Uint8Array(4))).code).toBe('EINVAL');
    expect(failureOf(() => loaded.write32('slots', 2, 1)).message).toContain('multiple of four');
    expect(failureOf(() => loaded.write32('slots', 48, 1)).code).toBe('ERANGE');
    expect(failureOf(() => loaded.write32('slots', 0, 2 ** 32)).code).toBe('EINVAL');
    const failure = failureOf(() => loaded.write('.rodata', 0, new Uint8Array(8)));
    expect(failure).toMatchObject({ code: 'EPERM', map: '.rodata' });
    expect(failureOf(() => loaded.write32('.rodata', 0, 1)).code).toBe('EPERM');
    loaded.read('.rodata', 0, new Uint8Array(8));
  });

  test('is only filled from and into a Uint8Array', () => {
    object = loadCalls();
    const loaded = object;
    const words = new Uint32Array(2) as unknown as Uint8Array;
    expect(failureOf(() => loaded.read('slots', 0, words)).message).toContain('a Uint8Array');
  });

  test('without shared memory, without a name or before load has nothing to read', () => {
    object = addon.openObject(buildFixture('calls'));
    const opened = object;
    expect(failureOf(() => opened.read('slots', 0, new Uint8Array(8))).message).toContain(
      'not loaded yet',
    );
    opened.load();
    expect(failureOf(() => opened.mapBytes('table'))).toMatchObject({ map: 'table' });
    expect(failureOf(() => opened.read('nothing', 0, new Uint8Array(8)))).toMatchObject({
      code: 'ENOENT',
      map: 'nothing',
    });
  });
});

describe('resizing', () => {
  test.each(['.rodata', '.data.config'])(
    'global data is refused: %s has the size of its variables',
    (section) => {
      object = addon.openObject(buildFixture('calls'));
      const opened = object;
      for (const entries of [0, 2, 100_000]) {
        expect(failureOf(() => opened.setMaxEntries(section, entries))).toMatchObject({
          operation: 'resize',
          code: 'EINVAL',
          map: section,
        });
      }
      // Its memory is still its own: what was not resized can be set, loaded and closed.
      opened.setConst('watched_pid', u32(1));
      opened.load();
      expect(opened.mapBytes(section)).toBeLessThan(4096);
      opened.close();
    },
  );

  test('a map that the object does not know names it', () => {
    object = addon.openObject(buildFixture('calls'));
    const opened = object;
    const failure = failureOf(() => opened.setMaxEntries('nothing', 3));
    expect(failure).toMatchObject({ operation: 'resize', code: 'ENOENT', map: 'nothing' });
  });
});

test('nothing is copied from and to arrays that have no bytes', () => {
  object = loadCalls();
  const loaded = object;
  const empty = [new Uint8Array(0), new Uint8Array(new ArrayBuffer(0)), detached()];
  for (const nothing of empty) {
    loaded.read('slots', 0, nothing);
    loaded.sum('slots', nothing, nothing);
    loaded.sum('slots', u32(0), nothing);
    loaded.sum('slots', nothing, new Uint8Array(8));
    loaded.write('.data.config', 0, nothing);
    expect(failureOf(() => addon.routeDump(nothing)).code).toBe('EINVAL');
    expect(addon.ethtool('lo', nothing)).toBeGreaterThan(0);
  }
});

/** An array whose memory another thread has by now. */
function detached(): Uint8Array {
  const array = new Uint8Array(8);
  structuredClone(array.buffer, { transfer: [array.buffer] });
  return array;
}

test('a struct that the object does not know has no layout', () => {
  object = addon.openObject(buildFixture('calls'));
  const opened = object;
  expect(failureOf(() => opened.layout('no_slot'))).toMatchObject({ operation: 'layout' });
});

test('a closed object refuses everything but to be closed again', () => {
  const closed = loadCalls();
  closed.attach('count_calls');
  closed.close();
  closed.close();
  const options = { pagesPerCpu: 8, wakeupBytes: 0, batchBytesMax: 4096 };
  const calls: (() => unknown)[] = [
    () => closed.setConst('watched_pid', u32(1)),
    () => closed.setMaxEntries('slots', 3),
    () => closed.setAutoload('count_calls', true),
    () => closed.load(),
    () => closed.attach('count_calls'),
    () => closed.detach('count_calls'),
    () => closed.programs(),
    () => closed.programStats('count_calls'),
    () => closed.mapBytes('slots'),
    () => closed.read('slots', 0, new Uint8Array(8)),
    () => closed.sum('slots', u32(0), new Uint8Array(8)),
    () => closed.write('slots', 0, new Uint8Array(8)),
    () => closed.write32('slots', 0, 1),
    () => closed.layout('slot'),
    () => closed.openEvents('events', options, () => {}),
  ];
  for (const call of calls) expect(failureOf(call).code).toBe('EBADF');
});
