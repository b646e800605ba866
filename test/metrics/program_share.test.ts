// The share of one CPU that the programs took: what they ran for, by the time that went by.

import { expect, test } from 'vitest';
import { ProgramShare } from '../../src/metrics/program_share.ts';

function programs(...runTimesNs: readonly number[]) {
  return runTimesNs.map((runTimeNs, i) => ({ program: `program${i}`, runTimeNs, runs: 1009 }));
}

test('is the run time of all programs by the time since it was last asked', () => {
  const share = new ProgramShare();
  expect(share.since(programs(3_000_000), 1_000_000_000n)).toBe(0);
  expect(share.since(programs(4_000_000, 4_000_000), 1_020_000_000n)).toBe(0.25);
});

test('counts nothing twice: 0 when no program ran since', () => {
  const share = new ProgramShare();
  share.since([], 1n);
  expect(share.since(programs(1_000_000), 2_000_001n)).toBe(0.5);
  expect(share.since(programs(1_000_000), 3_000_001n)).toBe(0);
});

test('may be more than one CPU', () => {
  const share = new ProgramShare();
  share.since([], 0n);
  expect(share.since(programs(3_000, 5_000), 2_000n)).toBe(4);
});

test('is 0, never less, when a program is gone with its time', () => {
  const share = new ProgramShare();
  share.since(programs(5_000_000, 7_000_000), 0n);
  expect(share.since(programs(5_000_000), 1_000n)).toBe(0);
  expect(share.since([], 2_000n)).toBe(0);
});
