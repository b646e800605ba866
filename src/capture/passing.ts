// Refusals that say nothing about this kernel: a moment later the same call may succeed.

import type { BpfError } from '../addon/addon.ts';
import { isBpfError } from './explain.ts';

/**
 * A signal came (EAGAIN from the verifier, EINTR), somebody else is at it (EBUSY), memory is short
 * (ENOMEM, and EAGAIN where it may not be locked).
 */
const PASSING: readonly string[] = ['EAGAIN', 'EINTR', 'EBUSY', 'ENOMEM'];

export function isPassing({ code }: BpfError): boolean {
  return PASSING.includes(code);
}

/** How often the same is tried at most, and how long to wait before the second time; then twice as long. */
const TRIES_MAX = 5;
const WAIT_MS = 10;
/** Where one call after the other fails, all of them together delay the start by no more. */
const ALL_MS_MAX = 1000;

export interface Tried<T> {
  readonly result: T;
  readonly tries: number;
}

/** For a number of attempts that have a limit in common. */
export class Patience {
  #leftMs = ALL_MS_MAX;

  /** Attempts anew for as long as `passing` says so of the result, within reason. Blocks this thread. */
  spend<T>(attempt: () => T, passing: (result: T) => boolean): Tried<T> {
    let result = attempt();
    let tries = 1;
    for (let waitMs = WAIT_MS; passing(result) && tries < TRIES_MAX; waitMs *= 2) {
      if (this.#leftMs <= 0) break;
      const againMs = performance.now();
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, waitMs);
      result = attempt();
      tries++;
      this.#leftMs -= performance.now() - againMs;
    }
    return { result, tries };
  }
}

/** What `attempt` returns or throws in the end. */
export function patiently<T>(attempt: () => T): T {
  const { result } = new Patience().spend<{ readonly value: T } | { readonly error: unknown }>(
    () => {
      try {
        return { value: attempt() };
      } catch (error) {
        return { error };
      }
    },
    (tried) => 'error' in tried && isBpfError(tried.error) && isPassing(tried.error),
  );
  if ('error' in result) throw result.error;
  return result.value;
}
