// What the HTTP side asks of the agent. Declared here so that src/serve needs nothing but the
// metrics model: the agent implements it, a test puts a fake in its place.

import type { Snapshot } from '../metrics/model.ts';
import type { NamedDrop } from '../readings/drop_events.ts';
import type { NamedOutlier } from '../readings/outliers.ts';

export interface ServeSource {
  /**
   * A snapshot, the same one for all who ask at the same time. A part that fails is told inside it; rejects
   * only with the signal's reason, at once when that aborts.
   */
  gather(signal: AbortSignal): Promise<Snapshot>;
  /** False while probes are still being attached, and again once the agent shuts down. */
  ready(): boolean;
  readonly version: string;
  probes(): readonly ProbeSummary[];
  /** Recent outliers, newest first, as plain JSON. */
  outliers(): readonly NamedOutlier[];
  /** Recent drops, newest first, as plain JSON. */
  drops(): readonly NamedDrop[];
}

export interface ProbeSummary {
  readonly id: string;
  readonly up: boolean;
  /** The configuration switched it off. */
  readonly off?: true;
  /** Why the probe is not up, in one plain sentence; '' when it is. */
  readonly reason: string;
}
