// Lets concurrent callers share one run of an expensive gather. Pure: no HTTP, no timer, no cache.
// A result goes to those who waited for it and to nobody else; there are never two runs at a time.

/** Waits for a result; rejects with the signal's reason when its signal aborts first. */
export type Join<T> = (signal: AbortSignal) => Promise<T>;

/**
 * Who comes while a gather runs joins it; who comes later causes a fresh one. A caller who gives up
 * leaves the others alone: only when the last one has gone is the gather's own signal aborted.
 */
export function sharedGather<T>(gather: (signal: AbortSignal) => Promise<T>): Join<T> {
  let running: Run<T> | undefined;
  // Who comes after a run was given up but before it has stopped waits here for the next one:
  // an abandoned gather that is slow to stop must not be joined, nor have a second beside it.
  let queued = new Set<Waiter<T>>();

  function start(): void {
    const run: Run<T> = { waiters: queued, abandoned: new AbortController() };
    queued = new Set();
    running = run;
    // The async wrapper turns a synchronous throw into a rejection.
    (async () => gather(run.abandoned.signal))().then(
      (value) => finish(run, (waiter) => waiter.resolve(value)),
      (error: unknown) => finish(run, (waiter) => waiter.reject(error)),
    );
  }

  function finish(run: Run<T>, tell: (waiter: Waiter<T>) => void): void {
    running = undefined;
    const waiters = [...run.waiters];
    run.waiters.clear();
    waiters.forEach(tell);
    if (queued.size > 0) start();
  }

  return function join(signal) {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      const waiters =
        running === undefined || running.abandoned.signal.aborted ? queued : running.waiters;
      const waiter: Waiter<T> = { resolve, reject };
      waiters.add(waiter);
      signal.addEventListener(
        'abort',
        () => {
          // False when the result was there first.
          if (!waiters.delete(waiter)) return;
          reject(signal.reason);
          if (waiters.size === 0 && running?.waiters === waiters) running.abandoned.abort();
        },
        { once: true },
      );
      if (running === undefined) start();
    });
  };
}

interface Waiter<T> {
  resolve(value: T): void;
  reject(error: unknown): void;
}

interface Run<T> {
  readonly waiters: Set<Waiter<T>>;
  /** Aborted when the last waiter has gone. */
  readonly abandoned: AbortController;
}
