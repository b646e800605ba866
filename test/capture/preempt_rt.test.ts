// How a kernel says that it is PREEMPT_RT, in texts of the form that Debian's kernels have.

import { expect, test } from 'vitest';
import { isPreemptRt } from '../../src/capture/preempt_rt.ts';

test.each([
  ['#1 SMP PREEMPT_RT Debian 6.12.117-1~deb12u1 (2026-10-01)', true],
  ['#1 SMP PREEMPT_DYNAMIC Debian 6.1.155-1 (2026-10-01)', false],
])('%s', (uname, expected) => {
  expect(isPreemptRt(uname)).toBe(expected);
});
