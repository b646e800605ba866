// The rules of sharing a gather, without HTTP and without time: every gather here ends when the
// test says so.

import { describe, expect, test } from 'vitest';
import { type Join, singleFlight } from '../../src/agent/single_flight.ts';

interface Gather {
  readonly signal: AbortSignal;
  readonly extent: number;
  finish(value: string): void;
  fail(error: Error): void;
}

function setUp(): { join: Join<string>; gathers: Gather[] } {
  const gathers: Gather[] = [];
  const join = singleFlight<string>(
    (signal, extent) =>
      new Promise((finish, fail) => {
        gathers.push({ signal, extent, finish, fail });
      }),
  );
  return { join, gathers };
}

const forever = () => new AbortController().signal;
/** Lets promise reactions run. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('singleFlight', () => {
  test('gives one result to all who came while it was gathered', async () => {
    const { join, gathers } = setUp();
    const results = Array.from({ length: 17 }, () => join(forever()));
    expect(gathers).toHaveLength(1);
    gathers[0]?.finish('first');
    expect(new Set(await Promise.all(results))).toEqual(new Set(['first']));
  });

  test('gathers afresh for who comes after a result', async () => {
    const { join, gathers } = setUp();
    const first = join(forever());
    gathers[0]?.finish('first');
    await first;
    const second = join(forever());
    expect(gathers).toHaveLength(2);
    gathers[1]?.finish('second');
    expect(await second).toBe('second');
  });

  test('rejects all who waited for a gather that fails, and does not keep the failure', async () => {
    const { join, gathers } = setUp();
    const failures = Promise.allSettled([join(forever()), join(forever())]);
    gathers[0]?.fail(new Error('no'));
    expect((await failures).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    const second = join(forever());
    gathers[1]?.finish('second');
    expect(await second).toBe('second');
  });

  test('turns a synchronous throw into a rejection', async () => {
    const join = singleFlight<string>(() => {
      throw new Error('thrown');
    });
    await expect(join(forever())).rejects.toThrow('thrown');
    await expect(join(forever())).rejects.toThrow('thrown');
  });

  test('lets one waiter go without disturbing the gather or the others', async () => {
    const { join, gathers } = setUp();
    const impatient = new AbortController();
    const gone = join(impatient.signal);
    const patient = join(forever());
    impatient.abort(new Error('deadline'));
    await expect(gone).rejects.toThrow('deadline');
    expect(gathers[0]?.signal.aborted).toBe(false);
    gathers[0]?.finish('first');
    expect(await patient).toBe('first');
  });

  test('aborts the gather when the last waiter has gone', async () => {
    const { join, gathers } = setUp();
    const waiters = [new AbortController(), new AbortController()];
    const gone = Promise.allSettled(waiters.map(({ signal }) => join(signal)));
    waiters[0]?.abort();
    expect(gathers[0]?.signal.aborted).toBe(false);
    waiters[1]?.abort();
    expect(gathers[0]?.signal.aborted).toBe(true);
    await gone;
  });

  test('begins no second gather beside an abandoned one that has not stopped yet', async () => {
    const { join, gathers } = setUp();
    const impatient = new AbortController();
    const gone = join(impatient.signal).catch(() => 'gone');
    impatient.abort();
    expect(await gone).toBe('gone');

    const late = [join(forever()), join(forever())];
    await settle();
    expect(gathers).toHaveLength(1);
    gathers[0]?.finish('abandoned');
    await settle();
    expect(gathers).toHaveLength(2);
    gathers[1]?.finish('fresh');
    expect(await Promise.all(late)).toEqual(['fresh', 'fresh']);
  });

  test('gathers for nobody when all who queued behind an abandoned gather have gone', async () => {
    const { join, gathers } = setUp();
    for (let i = 0; i < 3; i++) {
      const impatient = new AbortController();
      const gone = join(impatient.signal).catch(() => 'gone');
      impatient.abort();
      expect(await gone).toBe('gone');
    }
    gathers[0]?.finish('abandoned');
    await settle();
    expect(gathers).toHaveLength(1);
  });

  test('rejects at once, without a gather, for who has gone already', async () => {
    const { join, gathers } = setUp();
    await expect(join(AbortSignal.abort(new Error('late')))).rejects.toThrow('late');
    expect(gathers).toHaveLength(0);
  });

  test('lets who needs less share a run of more', async () => {
    const { join, gathers } = setUp();
    const results = [join(forever(), 1), join(forever(), 0)];
    expect(gathers.map(({ extent }) => extent)).toEqual([1]);
    gathers[0]?.finish('all');
    expect(await Promise.all(results)).toEqual(['all', 'all']);
  });

  test('lets who needs more wait for the next run, which those who wait with it share', async () => {
    const { join, gathers } = setUp();
    const little = join(forever(), 0);
    const more = [join(forever(), 1), join(forever(), 2), join(forever(), 1)];
    expect(gathers).toHaveLength(1);
    gathers[0]?.finish('little');
    expect(await little).toBe('little');
    expect(gathers.map(({ extent }) => extent)).toEqual([0, 2]);
    gathers[1]?.finish('all');
    expect(await Promise.all(more)).toEqual(['all', 'all', 'all']);
  });
});
