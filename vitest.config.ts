import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Kernel tests count packets and interrupts of the whole machine: one file at a time.
    fileParallelism: false,
    // A test that may need a second run says why (test/second_run.ts); all others have one.
    retry: 0,
  },
});
