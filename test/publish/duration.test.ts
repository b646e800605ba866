// Durations as Prometheus has them.

import { expect, test } from 'vitest';
import { formatDuration, parseDuration } from '../../src/publish/rules/duration.ts';

test.each([
  ['5m', 300_000],
  ['1h30m', 5_400_000],
  ['1s600ms', 1_600],
  ['2d', 172_800_000],
  ['90s', 90_000],
  ['1w', 604_800_000],
])('%s is %i ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each(['', '5', '5 m', 'm', '1m1h', '-5m', '1.5m', '5m5m', '5mm'])('%j is none', (text) => {
  expect(parseDuration(text)).toBeUndefined();
});

test.each([
  [300_000, '5m'],
  [90_000, '1m30s'],
  [1_600, '1s600ms'],
  [604_800_000, '7d'],
  [1.4, '1ms'],
  [0, '0s'],
])('%d ms is written %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});
