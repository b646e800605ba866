// The only way for a test to be run a second time: with the reason, which `npm test` prints when it was
// needed. A reason is something that is no fault of rxscope and cannot happen outside a test.

declare module 'vitest' {
  interface TaskMeta {
    secondRun?: string;
  }
}

export interface SecondRun {
  readonly retry: 1;
  readonly meta: { readonly secondRun: string };
}

/** Options for `test()`; `reason` is a sentence. */
export function mayRunTwice(reason: string): SecondRun {
  return { retry: 1, meta: { secondRun: reason } };
}
