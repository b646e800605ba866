// Outliers as exemplars, fitted into what the formats allow: 128 characters of labels, one exemplar a bucket.

import type { KeptOutlier } from '../readings/outliers.ts';
import type { Exemplar, Labels } from './model.ts';

/** OpenMetrics 1.0.0, "Exemplars": names and values together, in Unicode code points. */
const EXEMPLAR_CHARACTERS_MAX = 128;

export function exemplarOf({ outlier, timestampMs }: KeptOutlier): Exemplar {
  const { cpu, comm, local_port: port, seconds } = outlier;
  return {
    labels: {
      cpu: String(cpu),
      ...(comm === '' ? {} : { comm }),
      ...(port === undefined ? {} : { port: String(port) }),
    },
    value: seconds,
    timestampMs,
  };
}

/** The labels, less as many from the end as it takes to keep to the limit. */
export function fittingLabels(labels: Labels): Labels {
  const fitting: Record<string, string> = {};
  let characters = 0;
  for (const [name, value] of Object.entries(labels)) {
    characters += codePoints(name) + codePoints(value);
    if (characters > EXEMPLAR_CHARACTERS_MAX) break;
    fitting[name] = value;
  }
  return fitting;
}

/** The newest exemplar of each classic bucket, +Inf's last; undefined where a bucket has none. */
export function newestByBucket(
  bounds: readonly number[],
  exemplars: readonly Exemplar[],
): (Exemplar | undefined)[] {
  const newest = new Array<Exemplar | undefined>(bounds.length + 1).fill(undefined);
  for (const exemplar of exemplars) {
    if (Number.isNaN(exemplar.value)) continue;
    const bucket = bounds.findIndex((bound) => exemplar.value <= bound);
    const index = bucket === -1 ? bounds.length : bucket;
    const present = newest[index];
    if (present === undefined || present.timestampMs <= exemplar.timestampMs) {
      newest[index] = exemplar;
    }
  }
  return newest;
}

function codePoints(text: string): number {
  let length = 0;
  for (const _ of text) length += 1;
  return length;
}
