// The parts of a gather: each has its success and its time, and none takes another with it.

import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { type CollectorRuns, Collectors, NothingAttached } from '../../src/readings/collectors.ts';

interface Line {
  readonly level: number;
  readonly collector: string;
  readonly msg: string;
  readonly err: { readonly message: string };
}

function collectors() {
  const lines: string[] = [];
  const log = pino({ level: 'debug' }, { write: (line) => lines.push(line) });
  const logged = (): Line[] => lines.map((line) => JSON.parse(line));
  const all = new Collectors(log);
  return { all, collectors: all.begin(), logged };
}

function outcomes({ runs }: CollectorRuns) {
  return runs.map(({ collector, success }) => [collector, success]);
}

function fail(error: Error): never {
  throw error;
}

describe('what succeeds', () => {
  test('hands over its result, and is told in the order in which it ended', async () => {
    const { collectors: all, logged } = collectors();
    expect(all.run('one', () => 7)).toBe(7);
    const slow = all.wait('slow', async () => {
      await sleep(5);
      return 11;
    });
    expect(all.run('two', () => undefined)).toBeUndefined();
    expect(await slow).toBe(11);
    expect(outcomes(all)).toEqual([
      ['one', true],
      ['two', true],
      ['slow', true],
    ]);
    expect(logged()).toEqual([]);
  });

  test('has its time in seconds, its waiting included', async () => {
    const { collectors: all } = collectors();
    const started = performance.now();
    await all.wait('slow', () => sleep(20));
    const most = (performance.now() - started) / 1000;
    const [run] = all.runs;
    // Timers may fire a little early.
    expect(run?.seconds).toBeGreaterThan(0.015);
    expect(run?.seconds).toBeLessThanOrEqual(most);
  });

  test('may say that it did not fully: its result is handed over all the same', async () => {
    const { collectors: all, logged } = collectors();
    const stale = { result: 7, success: false };
    expect(await all.wait('part', async () => stale)).toBe(stale);
    expect(await all.wait('whole', async () => ({ success: true }))).toEqual({ success: true });
    expect(await all.wait('nothing', async () => null)).toBeNull();
    expect(outcomes(all)).toEqual([
      ['part', false],
      ['whole', true],
      ['nothing', true],
    ]);
    expect(logged()).toEqual([]);
  });
});

describe('what fails', () => {
  test('is told, and the next goes on', async () => {
    const { collectors: all, logged } = collectors();
    expect(all.run('one', () => fail(new Error('no such file')))).toBeUndefined();
    expect(await all.wait('two', async () => fail(new Error('no answer')))).toBeUndefined();
    expect(all.run('three', () => 7)).toBe(7);
    expect(outcomes(all)).toEqual([
      ['one', false],
      ['two', false],
      ['three', true],
    ]);
    expect(
      logged().map(({ level, collector, msg, err }) => [level, collector, msg, err.message]),
    ).toEqual([
      [pino.levels.values.error, 'one', 'collector failed', 'no such file'],
      [pino.levels.values.error, 'two', 'collector failed', 'no answer'],
    ]);
    for (const { seconds } of all.runs) expect(seconds).toBeGreaterThanOrEqual(0);
  });

  test('is told once for each reason, and again after it has succeeded', () => {
    const { all, logged } = collectors();
    const work = (reason: string | undefined) => () =>
      reason === undefined ? 7 : fail(new Error(reason));
    const reasons = ['busy', 'busy', 'gone', 'busy', undefined, 'busy', 'busy'];
    for (const reason of reasons) {
      const reading = all.begin();
      reading.run('links', work(reason));
      reading.run('others', work('gone'));
      expect(outcomes(reading)).toEqual([
        ['links', reason === undefined],
        ['others', false],
      ]);
    }
    const told = logged().filter(({ level }) => level === pino.levels.values.error);
    expect(told.map(({ collector, err }) => [collector, err.message])).toEqual([
      ['links', 'busy'],
      ['others', 'gone'],
      ['links', 'gone'],
      ['links', 'busy'],
      ['links', 'busy'],
    ]);
  });

  test('for want of anything attached is no error of its own: that was told at start', async () => {
    const { collectors: all, logged } = collectors();
    expect(all.run('kernel', () => fail(new NothingAttached('none')))).toBeUndefined();
    await all.wait('kernel', async () => fail(new NothingAttached('none')));
    expect(outcomes(all)).toEqual([
      ['kernel', false],
      ['kernel', false],
    ]);
    const debug = pino.levels.values.debug;
    expect(logged().map(({ level }) => level)).toEqual([debug, debug]);
  });
});
