// Counts of 32 bits: how far they rose.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { risen32 } from '../../src/host/counts32.ts';

test.each([
  ['stays', 7, 7, 0],
  ['rises', 7, 20, 13],
  ['wraps', 2 ** 32 - 3, 10, 13],
  ['wraps to exactly 0', 2 ** 32 - 1, 0, 1],
  ['rises by more than half the range', 5, 2 ** 32 - 1, 2 ** 32 - 6],
  ['begins anew', 1_000, 13, 13],
  ['begins anew at 0', 1_000, 0, 0],
  ['begins anew, from just below half the range', 2 ** 31 - 1, 0, 0],
  ['is kept in 64 bits', 2 ** 32 + 7, 2 ** 32 + 20, 13],
  ['grows out of 32 bits', 2 ** 32 - 1, 2 ** 32 + 12, 13],
  ['is kept in 64 bits and begins anew', 2 ** 33, 5, 5],
])('a count that %s', (_, last, now, risen) => {
  expect(risen32(last, now)).toBe(risen);
});

test('a total follows the true count through any number of wraps', () => {
  const steps = fc.array(fc.integer({ min: 0, max: 2 ** 31 - 1 }), { maxLength: 50 });
  fc.assert(
    fc.property(fc.nat(), steps, (start, rises) => {
      let truth = start;
      let total = start;
      for (const rise of rises) {
        total += risen32(truth % 2 ** 32, (truth + rise) % 2 ** 32);
        truth += rise;
        expect(total).toBe(truth);
      }
    }),
  );
});
