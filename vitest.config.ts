import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Kernel tests count packets and interrupts of the whole machine: one file at a time.
    fileParallelism: false,
    // A machine that others load too may disturb a count or a time: a second run decides. What needed one
    // is printed at the end, with what the first run found.
    retry: 1,
  },
});
