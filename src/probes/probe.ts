// What a probe is: one declarative object per measurement, from which the metric, its help text,
// the command-line listing and the documentation row are derived. No kernel access here.

/** A label that a probe's histogram can carry. */
export type ProbeLabel = 'device' | 'protocol';

export interface Probe {
  /** The stem of everything that belongs to the probe: files, metric, documentation. */
  readonly id: string;
  /** From which kernel event to which, in one line. */
  readonly from: string;
  readonly to: string;
  /** HELP of `rxscope_<id>_seconds`. */
  readonly help: string;
  readonly labels: readonly ProbeLabel[];
  /** Observations above it are counted one by one and reported as outliers; nanoseconds. */
  readonly budget_ns: number;
  /** Names of the hooks in src/capture/hooks.ts without which the probe cannot measure. */
  readonly hooks: readonly string[];
  /** Hooks that make it more complete; without them it still measures. */
  readonly hooksOptional: readonly string[];
  /** Hooks on functions that name more causes where a kernel allows them; their lack is no defect. */
  readonly hooksExact: readonly string[];
  /** What a high value usually comes from, and what to look at: one or two sentences. */
  readonly reading: string;
}

/** All that it attaches to where it can, in order of need. */
export function hooksOf(probe: Probe): string[] {
  return [...probe.hooks, ...probe.hooksOptional, ...probe.hooksExact];
}
