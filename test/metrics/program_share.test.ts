// The share of one CPU that the programs took: what they ran for, by the time that went by.

import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { ProgramShare } from '../../src/metrics/program_share.ts';

function programs(...runTimesNs: readonly number[]) {
  return runTimesNs.map((runTimeNs, i) => ({ program: `program${i}`, runTimeNs, runs: 1009 }));
}

/** The share that `ns` are of the time between two calls, by the clock around them: its bounds. */
async function bounds(share: ProgramShare, during: () => Promise<unknown>, totalNs: number) {
  const before = process.hrtime.bigint();
  share.since(programs(0));
  const inside = process.hrtime.bigint();
  await during();
  const until = process.hrtime.bigint();
  const found = share.since(programs(totalNs / 4, (3 * totalNs) / 4));
  const after = process.hrtime.bigint();
  return {
    found,
    least: totalNs / Number(after - before),
    most: totalNs / Number(until - inside),
  };
}

test('is the run time of all programs by the time since it was last asked', async () => {
  const { found, least, most } = await bounds(new ProgramShare(), () => sleep(20), 5_000_000);
  expect(found).toBeGreaterThanOrEqual(least);
  expect(found).toBeLessThanOrEqual(most);
});

test('counts nothing twice: 0 when no program ran since', async () => {
  const share = new ProgramShare();
  await sleep(1);
  expect(share.since(programs(1_000_000))).toBeGreaterThan(0);
  expect(share.since(programs(1_000_000))).toBe(0);
});

test('may be more than one CPU', async () => {
  const { found } = await bounds(new ProgramShare(), () => sleep(1), 3_600e9);
  expect(found).toBeGreaterThan(1);
});

test('is 0, never less, when a program is gone with its time', () => {
  const share = new ProgramShare();
  share.since(programs(5_000_000, 7_000_000));
  expect(share.since(programs(5_000_000))).toBe(0);
  expect(share.since([])).toBe(0);
});
