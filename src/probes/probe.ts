// What a probe is: one declarative object per measurement, from which the metric, its help text,
// the command-line listing and the documentation row are derived. No kernel access here.

import type { ProfileName } from './profiles.ts';

/** Anything that attaches to the kernel and can be switched on and off. */
export interface CatalogueEntry {
  /** The stem of everything that belongs to it: files, metric, documentation. */
  readonly id: string;
  /** On unless the configuration says otherwise; what is off costs nothing. */
  readonly enabled: boolean;
  /** Names of the hooks in src/capture/hooks.ts without which it cannot measure. */
  readonly hooks: readonly string[];
  /** Hooks that make it more complete; without them it still measures. */
  readonly hooksOptional: readonly string[];
  /** Hooks on functions that tell more where a kernel allows them; their lack is no defect. */
  readonly hooksExact: readonly string[];
  /** Maps of its own in its header in bpf/: they get no memory where it is off. */
  readonly maps: readonly string[];
  /** What a high value usually comes from, and what to look at: one or two sentences. */
  readonly whenHigh: string;
}

/** What a probe's histograms are by. */
export type By = 'irq' | 'device' | 'protocol' | 'device_protocol' | 'vector';

/** A latency, or how long something lasts. */
export interface Probe extends CatalogueEntry {
  /** From which kernel event to which, in one line. */
  readonly from: string;
  readonly to: string;
  /** HELP of `rxscope_<id>_seconds`. */
  readonly help: string;
  readonly by: By;
  /** Observations above it are counted one by one and reported as outliers; nanoseconds. */
  readonly budget_ns: number;
  /** The budget with each profile. */
  readonly profileBudgets_ns: Readonly<Record<ProfileName, number>>;
  /** Rows (label sets) of its histograms that the cap on series leaves at least: metrics/series_shares.ts. */
  readonly rows: number;
  /** Why something that it saw is no sample: causes in rxscope_unmatched_total, `<ID>_<CAUSE>` in bpf/. */
  readonly causes: readonly string[];
  /** Each packet received is an observation, or has a fate: capture/books.ts. */
  readonly everyPacket?: true;
  /** What an outlier's length counts; absent where it has none. */
  readonly length?: 'bytes' | 'packets';
  /** The label of what it observes at no device; '' where absent. */
  readonly noDevice?: string;
  /** bpf/<id>.bt measures it, too. */
  readonly script?: Script;
}

/** What the maps of a probe's bpftrace script mean. */
export interface Script {
  /** Causes that it counts, each in a map of that name. */
  readonly causes: readonly string[];
  /** The map with what is under way on each CPU, 0 where nothing is: no counter. */
  readonly underWay?: string;
  /** It does not follow interrupts into their threads. */
  readonly ignoresThreads?: true;
}

/** A label that a probe's histogram can carry. */
export type ProbeLabel = 'device' | 'protocol' | 'vector';

const LABELS: Readonly<Record<By, readonly ProbeLabel[]>> = {
  irq: ['device'],
  device: ['device'],
  protocol: ['protocol'],
  device_protocol: ['device', 'protocol'],
  vector: ['vector'],
};

export function labelsOf({ by }: Probe): readonly ProbeLabel[] {
  return LABELS[by];
}

/** All that it attaches to where it can, in order of need. */
export function hooksOf(entry: CatalogueEntry): string[] {
  return [...entry.hooks, ...entry.hooksOptional, ...entry.hooksExact];
}
