// One capture, for a while: what `rxscope record` prints and what the tests hold against known
// traffic. Deltas of the kernel's counters, and in exact mode the observations themselves.

import { setTimeout as sleep } from 'node:timers/promises';
import { type Addon, loadAddon } from '../addon/addon.ts';
import { emptyHistogram, type Histogram, merge } from '../histogram/histogram.ts';
import { PROBES } from '../probes/index.ts';
import { isBpfError } from './explain.ts';
import { type CaptureOptions, openKernelCapture } from './kernel_capture.ts';
import type { HookState } from './ladder.ts';
import type { Reading } from './reading.ts';
import type { Observation } from './records.ts';

/** What one capture yielded. */
export interface Captured {
  readonly states: readonly HookState[];
  /** Why nothing at all could be loaded. */
  readonly failure: string | undefined;
  /** Undefined when nothing could be attached. */
  readonly reading: Reading | undefined;
  /** By probe id: all devices, protocols and CPUs together. */
  readonly histograms: ReadonlyMap<string, Histogram>;
  /** In exact mode every single observation; in order only within one CPU. */
  readonly observations: readonly Observation[];
  readonly seconds: number;
}

/**
 * Attaches, runs `during` (a wait, or traffic), lets packets under way arrive, detaches, reads.
 */
export async function captureOnce(
  options: CaptureOptions,
  during: () => Promise<unknown>,
  addon: Addon = loadAddon(),
): Promise<Captured> {
  const capture = openKernelCapture(addon, options);
  const observations: Observation[] = [];
  try {
    try {
      capture.startRecords({
        outlier: () => {},
        drop: () => {},
        observation: (observation) => {
          observations.push(observation);
        },
      });
    } catch (error) {
      // Perf events may be denied where BPF is permitted; counters need none.
      if (options.exact || !isBpfError(error)) throw error;
    }
    const started = performance.now();
    await during();
    const seconds = (performance.now() - started) / 1000;
    // The last packets of `during` may still be on their way through a softirq.
    await sleep(20);
    // Detached first: counters and stream then are of the same packets.
    capture.detach();
    const reading = capture.read();
    capture.drain();
    return {
      states: capture.states,
      failure: capture.failure,
      reading,
      histograms: histogramsByProbe(reading),
      observations,
      seconds,
    };
  } finally {
    capture.close();
  }
}

/** Everything of a probe in one histogram. */
export function histogramsByProbe(reading: Reading | undefined): Map<string, Histogram> {
  const byProbe = new Map<string, Histogram>(PROBES.map(({ id }) => [id, emptyHistogram()]));
  for (const { probe, histogram } of reading?.latencies ?? []) {
    const total = byProbe.get(probe);
    if (total !== undefined) merge(total, histogram);
  }
  return byProbe;
}
