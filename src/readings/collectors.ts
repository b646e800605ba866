// The parts of a reading: each is timed, and one that fails takes no other with it. What fails again for
// the same reason is told once.

import type { Logger } from 'pino';

/** How one part of a reading went. */
export interface CollectorRun {
  readonly collector: string;
  readonly success: boolean;
  readonly seconds: number;
}

export class Collectors {
  readonly #log: Logger;
  /** By collector: why it failed the last time. */
  readonly #told = new Map<string, string>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** For one reading. */
  begin(): CollectorRuns {
    return new CollectorRuns(this.#log, this.#told);
  }
}

export class CollectorRuns {
  /** In the order in which they ended. */
  readonly runs: CollectorRun[] = [];
  readonly #log: Logger;
  readonly #told: Map<string, string>;

  constructor(log: Logger, told: Map<string, string>) {
    this.#log = log;
    this.#told = told;
  }

  /** Undefined when the work failed. */
  run<T>(collector: string, work: () => T): T | undefined {
    const started = performance.now();
    try {
      const result = work();
      this.#ended(collector, started, true);
      return result;
    } catch (error) {
      this.#failed(collector, started, error);
      return undefined;
    }
  }

  /** The same for what takes its time. The work may say that it did not fully succeed. */
  async wait<T>(collector: string, work: () => Promise<T>): Promise<T | undefined> {
    const started = performance.now();
    try {
      const result = await work();
      this.#ended(collector, started, isSuccess(result));
      return result;
    } catch (error) {
      this.#failed(collector, started, error);
      return undefined;
    }
  }

  #ended(collector: string, started: number, success: boolean): void {
    this.runs.push({ collector, success, seconds: (performance.now() - started) / 1000 });
    if (success) this.#told.delete(collector);
  }

  #failed(collector: string, started: number, error: unknown): void {
    // What could not be attached was told at start, once for each probe.
    const reason = String(error);
    const isKnown = error instanceof NothingAttached || this.#told.get(collector) === reason;
    this.#told.set(collector, reason);
    const level = isKnown ? 'debug' : 'error';
    this.#log[level]({ collector, err: withoutStack(error) }, 'collector failed');
    this.#ended(collector, started, false);
  }
}

/** What the host refuses is a sentence; a mistake of ours has the place where it was made. */
function withoutStack(error: unknown): unknown {
  const isOurs = ['TypeError', 'RangeError', 'ReferenceError', 'AssertionError'];
  return error instanceof Error && !isOurs.includes(error.name)
    ? { message: error.message }
    : error;
}

/** There are no programs whose counters could be read. */
export class NothingAttached extends Error {}

function isSuccess(result: unknown): boolean {
  return (result as { success?: boolean } | undefined)?.success !== false;
}
