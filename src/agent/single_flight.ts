// Lets concurrent callers share one run of an expensive reading. Pure: no HTTP, no timer, no cache.
// A result goes to those who waited for it and to nobody else; there are never two runs at a time.

/** How much of it a caller needs: a run of more serves those who need less. */
export type Extent = number;

/** Waits for a result; rejects with the signal's reason when its signal aborts first. */
export type Join<T> = (signal: AbortSignal, extent?: Extent) => Promise<T>;

/**
 * Who comes while a run goes on joins it, if it is of enough; who comes later causes a fresh one. A caller who
 * gives up leaves the others alone: only when the last one has gone is the run's own signal aborted.
 */
export function singleFlight<T>(
  work: (signal: AbortSignal, extent: Extent) => Promise<T>,
): Join<T> {
  let running: Run<T> | undefined;
  // Who comes after a run was given up but before it has stopped waits here for the next one, and so does
  // who needs more than the run yields: there is no second one beside it.
  let queued = new Set<Waiter<T>>();

  function start(): void {
    const extent = Math.max(...[...queued].map((waiter) => waiter.extent));
    const run: Run<T> = { waiters: queued, extent, abandoned: new AbortController() };
    queued = new Set();
    running = run;
    // The async wrapper turns a synchronous throw into a rejection.
    (async () => work(run.abandoned.signal, extent))().then(
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

  return function join(signal, extent = 0) {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      const isJoinable =
        running !== undefined && !running.abandoned.signal.aborted && running.extent >= extent;
      const waiter: Waiter<T> = { resolve, reject, extent };
      const waiters = isJoinable && running !== undefined ? running.waiters : queued;
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
  readonly extent: Extent;
}

interface Run<T> {
  readonly waiters: Set<Waiter<T>>;
  readonly extent: Extent;
  /** Aborted when the last waiter has gone. */
  readonly abandoned: AbortController;
}
