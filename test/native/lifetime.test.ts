// What breaks native addons: threads that end, exceptions in callbacks, the garbage collector
// first, loads that fail half-way, a thousand cycles. Each in a process of its own, which must not
// crash.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { buildFixture } from './fixture.ts';

interface Ended {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What of the kernel's a child holds; see children/common.mjs. */
interface Held {
  readonly descriptors: number;
  readonly mappings: number;
}

interface WorkersEnded {
  readonly rounds: number;
  readonly delivered: number;
  readonly errors: readonly string[];
  readonly before: Held;
  readonly after: Held;
}

/** AddressSanitizer keeps so much of what was freed, to see whether it is used. */
const KEPT_KIB = process.env.ASAN_OPTIONS === undefined ? 0 : 256 * 1024;

describe('a callback that throws', () => {
  test('is an uncaught exception each time, and all later records still arrive', async () => {
    const told = await tellOf<{
      batches: number;
      delivered: number;
      caught: number;
      first: string;
    }>('throwing', 'calls', 'handled');
    expect(told.delivered).toBe(1012);
    expect(told.first).toBe('thrown by batch 1');
    expect(told.caught).toBe(Math.ceil(told.batches / 3));
  });

  test('ends a process that does not handle it, with the error shown', async () => {
    const { exitCode, stdout, stderr } = await run('throwing', 'calls', 'unhandled');
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toContain('Error: thrown by batch 1');
  });
});

test('what nobody closed goes with the garbage, but an open reader delivers on', async () => {
  const told = await tellOf<{ before: Held; during: Held; after: Held; delivered: number }>(
    'collected',
    'calls',
  );
  expect(told.during.descriptors).toBeGreaterThan(told.before.descriptors);
  expect(told.during.mappings).toBeGreaterThan(told.before.mappings);
  expect(told.after).toEqual(told.before);
  expect(told.delivered).toBe(211);
});

describe('a worker with an open reader', () => {
  test.each([
    'ends by itself',
    'ends right after closing',
    'closes in the callback',
    'exits in the callback',
    'terminated while it waits',
    'terminated in the callback',
  ])('%s and leaves nothing behind', async (ending) => {
    const told = await tellOf<WorkersEnded>('worker', 'calls', ending);
    expect(told.errors).toEqual([]);
    expect(told.delivered).toBe(told.rounds);
    expect(told.after).toEqual(told.before);
  });

  test('throws in the callback: the error reaches the main thread', async () => {
    const told = await tellOf<WorkersEnded>('worker', 'calls', 'throws in the callback');
    expect(told.errors).toEqual(Array(told.rounds).fill('thrown in a worker'));
    expect(told.after).toEqual(told.before);
  });
});

describe('a process that forgets its reader', () => {
  test('ends by itself', async () => {
    expect(await tellOf('forgotten', 'calls', 'ends by itself')).toEqual({ delivered: false });
  });

  test('may exit in the midst of a batch', async () => {
    const ended = await run('forgotten', 'calls', 'exits in the callback');
    expect(ended).toEqual({ exitCode: 7, stdout: '{"delivered":true}\n', stderr: '' });
  });
});

describe.each([['init'], ['getter'], ['proxy'], ['setter']])(
  'JavaScript that runs amid openEvents, in the %s',
  (where) => {
    // A setter is called last, when the reader is there already.
    const wasOpened = where === 'setter';

    test('may close the object', async () => {
      const told = await tellOf('amid', 'calls', where, 'closes');
      expect(told).toEqual({ code: wasOpened ? 'none' : 'EBADF', delivered: 0 });
    });

    test('may open a reader: there is one, whichever came first', async () => {
      const told = await tellOf('amid', 'calls', where, 'opens');
      expect(told).toEqual({ code: 'EBUSY', delivered: 101 });
    });
  },
);

test('101 loads that fail half-way leave nothing behind', async () => {
  const told = await tellOf<{ refused: number; before: Held; after: Held }>(
    'refused',
    'refused',
    '101',
  );
  expect(told.refused).toBe(101);
  expect(told.after).toEqual(told.before);
});

test('1,000 cycles from open to close grow neither memory nor descriptors', {
  timeout: 120_000,
}, async () => {
  const told = await tellOf<{
    delivered: number;
    before: Held & { rssKib: number };
    after: Held & { rssKib: number };
  }>('cycles', 'calls', '200', '1000');
  expect(told.delivered).toBe(200 + 1000);
  const { rssKib: rssBefore, ...heldBefore } = told.before;
  const { rssKib: rssAfter, ...heldAfter } = told.after;
  expect(heldAfter).toEqual(heldBefore);
  // One such object is 23 KiB: a cycle that left it behind would show as 23,000.
  expect(rssAfter - rssBefore).toBeLessThan(8192 + KEPT_KIB);
});

/** What a child tells that ends well. */
async function tellOf<Told>(child: string, fixture: string, ...args: string[]): Promise<Told> {
  const { exitCode, stdout, stderr } = await run(child, fixture, ...args);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  return JSON.parse(stdout) as Told;
}

/** Runs a child to its end; `exitCode` is null when a signal ended it. */
function run(child: string, fixture: string, ...args: string[]): Promise<Ended> {
  const script = fileURLToPath(new URL(`children/${child}.mjs`, import.meta.url));
  return new Promise((resolve) => {
    const running = execFile(
      process.execPath,
      ['--expose-gc', script, buildFixture(fixture), ...args],
      { timeout: 110_000 },
      (_, stdout, stderr) => resolve({ exitCode: running.exitCode, stdout, stderr }),
    );
  });
}
