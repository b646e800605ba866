// The share of one CPU that all programs took since it was last asked. Pure but for the clock.

import type { ProgramStats } from '../capture/kernel_capture.ts';

export class ProgramShare {
  #ranNs = 0;
  #atNs = process.hrtime.bigint();

  /** 0 to the number of CPUs. `programs` have their totals since they were attached. */
  since(programs: readonly ProgramStats[]): number {
    const ranNs = programs.reduce((sum, { runTimeNs }) => sum + runTimeNs, 0);
    const atNs = process.hrtime.bigint();
    const share = (ranNs - this.#ranNs) / Math.max(1, Number(atNs - this.#atNs));
    this.#ranNs = ranNs;
    this.#atNs = atNs;
    return Math.max(0, share);
  }
}
