// Durations as text: what is read, what is refused, and that writing and reading agree.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkDuration, formatDuration } from '../../src/config/duration.ts';
import { effectiveConfig } from '../../src/config/load.ts';
import { BUCKETS, boundSeconds } from '../../src/histogram/bounds.ts';

const MAX_NS = 3_600_000_000_000;

describe('checkDuration', () => {
  test.each([
    ['1ns', 1],
    ['100us', 100_000],
    ['100 us', 100_000],
    ['100µs', 100_000],
    ['100μs', 100_000],
    ['1.5ms', 1_500_000],
    ['0.001us', 1],
    ['16s', 16_000_000_000],
  ])('reads %s as %d ns', (text, ns) => {
    expect(checkDuration(text, 1, MAX_NS)).toEqual({ ns });
  });

  test.each([
    '',
    'us',
    '1 0us',
    '1e3us',
    '.5ms',
    '1,5ms',
    '-1us',
    '1m',
    '100US',
    '1s500ms',
    'toString',
  ])('refuses %j', (text) => {
    expect(checkDuration(text, 1, MAX_NS)).toEqual({
      expected: 'a duration such as 100us: a number with one of ns, us, µs, ms or s',
    });
  });

  test.each([100, 0.5, '100', '0.5'])('asks for the unit of %j', (value) => {
    expect(checkDuration(value, 1, MAX_NS)).toEqual({
      expected:
        'a duration with its unit, such as 100us or 10s: a plain number does not say whether ns, us, ms or s is meant',
    });
  });

  test('takes its bounds and nothing beyond them', () => {
    const refused = { expected: 'a duration from 1us to 2us' };
    expect(checkDuration('999ns', 1_000, 2_000)).toEqual(refused);
    expect(checkDuration('1us', 1_000, 2_000)).toEqual({ ns: 1_000 });
    expect(checkDuration('2us', 1_000, 2_000)).toEqual({ ns: 2_000 });
    expect(checkDuration('2001ns', 1_000, 2_000)).toEqual(refused);
    expect(checkDuration(`${'9'.repeat(400)}s`, 1_000, 2_000)).toEqual(refused);
  });

  test('reads back to the nanosecond whatever formatDuration writes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: MAX_NS }), (ns) => {
        expect(checkDuration(formatDuration(ns), 1, MAX_NS)).toEqual({ ns });
      }),
    );
  });
});

test('no budget lies beyond the highest histogram bound', () => {
  expect(boundSeconds(BUCKETS - 1)).toBe(16);
  for (const { budget_ns } of Object.values(effectiveConfig().probes)) {
    expect(budget_ns).toBeLessThanOrEqual(boundSeconds(BUCKETS - 1) * 1e9);
  }
});
