// The captures of kernel_guest.mjs, all open from its beginning to its end, because attaching takes
// seconds in a guest: one as the agent has it, that streams each observation, and one for each rung.

import { setTimeout as sleep } from 'node:timers/promises';
import { loadAddon } from '../../dist/addon/addon.js';
import { openKernelCapture } from '../../dist/capture/kernel_capture.js';
import { since } from './since.mjs';

export class Captures {
  #usual;
  #rungs;
  #observations = [];

  constructor(options, rungs) {
    this.#usual = openKernelCapture(loadAddon(), options);
    this.#usual.startRecords({
      outlier: () => {},
      drop: () => {},
      observation: (observation) => this.#observations.push(observation),
    });
    this.#rungs = rungs.map((one) => ({
      rung: one.rung,
      capture: openKernelCapture(loadAddon(), one.options),
    }));
  }

  /** What the usual capture measures during `during`, as captureOnce() of the agent would tell it. */
  async measure(during) {
    this.#usual.drain();
    const before = this.#usual.read();
    this.#observations = [];
    await during();
    // The last packets of `during` may still be on their way through a softirq.
    await sleep(100);
    const { states, failure } = this.#usual;
    const reading = since(before, this.#usual.read());
    this.#usual.drain();
    return { states, failure, reading, observations: this.#observations, seconds: 0 };
  }

  /** What each rung has measured since its capture was opened. */
  rungsSoFar() {
    return this.#rungs.map(({ rung, capture }) => {
      const { states, failure } = capture;
      return {
        rung,
        captured: { states, failure, reading: capture.read(), observations: [], seconds: 0 },
      };
    });
  }

  /** What each rung has measured since `earlier`, which rungsSoFar() gave. */
  rungsSince(earlier) {
    return this.rungsSoFar().map(({ rung, captured }, i) => {
      const before = earlier[i].captured.reading;
      const { reading } = captured;
      return reading === undefined
        ? { rung, captured }
        : { rung, captured: { ...captured, reading: since(before, reading) } };
    });
  }

  close() {
    for (const { capture } of this.#rungs) capture.close();
    this.#usual.close();
  }
}
