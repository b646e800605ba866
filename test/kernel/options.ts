// Capture options for tests: the probes of a packet's way, no budget that anything could exceed.

import type { CaptureOptions } from '../../src/capture/kernel_capture.ts';
import { PROBES } from '../../src/probes/index.ts';

/** What a test measures unless it asks for something else. */
export const USUAL_PROBES = ['irq_to_softirq', 'softirq_to_socket', 'receive_to_socket'] as const;

export function captureAll(changes: Partial<CaptureOptions> = {}): CaptureOptions {
  return {
    probes: USUAL_PROBES,
    exact: false,
    devices: 16,
    pagesPerCpu: 8,
    budgets_ns: Object.fromEntries(PROBES.map(({ id }) => [id, 16e9])),
    perCpuPerSecond: 100,
    ...changes,
  };
}
