// The share of one CPU that all programs took since it was last asked. Pure.

import type { ProgramStats } from '../capture/kernel_capture.ts';

export class ProgramShare {
  #ranNs = 0;
  #atNs: bigint | undefined;

  /**
   * 0 to the number of CPUs; 0 when it is asked first. `programs` have their totals since they were attached;
   * `atNs`: when they were read, by a monotonic clock.
   */
  since(programs: readonly ProgramStats[], atNs: bigint): number {
    const ranNs = programs.reduce((sum, { runTimeNs }) => sum + runTimeNs, 0);
    const share =
      this.#atNs === undefined ? 0 : (ranNs - this.#ranNs) / Math.max(1, Number(atNs - this.#atNs));
    this.#ranNs = ranNs;
    this.#atNs = atNs;
    return Math.max(0, share);
  }
}
