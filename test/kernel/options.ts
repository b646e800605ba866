// Capture options for tests: everything on, no budget that anything could exceed.

import type { CaptureOptions } from '../../src/capture/kernel_capture.ts';
import { PROBES } from '../../src/probes/index.ts';

export function captureAll(changes: Partial<CaptureOptions> = {}): CaptureOptions {
  return {
    probes: PROBES.map(({ id }) => id),
    exact: false,
    devices: 16,
    pagesPerCpu: 8,
    budgets_ns: Object.fromEntries(PROBES.map(({ id }) => [id, 16e9])),
    perCpuPerSecond: 100,
    ...changes,
  };
}
