// The kernel's clock as processes read it that are in time namespaces, and in none.

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { kernelNowNs, wallClockMs } from '../../src/capture/kernel_clock.ts';

const CLOCK = fileURLToPath(new URL('../../src/capture/kernel_clock.ts', import.meta.url));

/** Both clocks of a process that a command starts. */
function clocksOf(...before: readonly string[]): { kernelNs: number; wallMs: number } {
  const script = `
    const { kernelNowNs, wallClockMs } = await import(${JSON.stringify(CLOCK)});
    const kernelNs = kernelNowNs();
    console.log(JSON.stringify({ kernelNs, wallMs: wallClockMs(kernelNs - 5e9) }));`;
  const words = ['--import', 'tsx', '--input-type=module', '--eval', script];
  const [command = '', ...args] = [...before, process.execPath, ...words];
  return JSON.parse(execFileSync(command, args, { encoding: 'utf8' }));
}

test.each([
  ['in no namespace of its own', []],
  ['ahead by a day', ['--monotonic', '86400', '--boottime', '86400']],
  ['behind by a minute', ['--monotonic=-60', '--boottime=-60']],
  ['as a child of one that made it', ['--fork', '--monotonic', '86400', '--boottime', '86400']],
])(
  'a process %s reads the same clock, and the right wall clock of what the kernel stamped',
  (_, options) => {
    const before = { kernelNs: kernelNowNs(), wallMs: Date.now() - 5000 };
    const clocks = clocksOf(...(options.length === 0 ? [] : ['unshare', '--time', ...options]));
    const after = { kernelNs: kernelNowNs(), wallMs: Date.now() - 5000 };
    expect(clocks.kernelNs).toBeGreaterThan(before.kernelNs);
    expect(clocks.kernelNs).toBeLessThan(after.kernelNs);
    // Date.now() has whole milliseconds.
    expect(clocks.wallMs).toBeGreaterThan(before.wallMs - 1);
    expect(clocks.wallMs).toBeLessThan(after.wallMs + 1);
  },
);

test('what has just been is now', () => {
  expect(Math.abs(wallClockMs(kernelNowNs()) - Date.now())).toBeLessThan(100);
});
