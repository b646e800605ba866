// The recent outliers: what /api/v1/outliers lists and where exemplars come from. Bounded: the
// oldest makes room.

import { PROBE_INDEX, PROTOCOLS } from '../capture/reading.ts';
import type { Outlier } from '../capture/records.ts';
import type { Exemplar, Labels } from '../metrics/model.ts';

/** An outlier with the kernel's numbers turned into names. Times in seconds, base units. */
export interface NamedOutlier {
  readonly time: string;
  readonly probe: string;
  readonly seconds: number;
  readonly device: string;
  readonly protocol?: string;
  readonly cpu: number;
  readonly irq?: number;
  readonly local_port?: number;
  readonly remote_port?: number;
  readonly bytes?: number;
  readonly cgroup_id?: number;
  /** The task that the CPU was running. */
  readonly pid: number;
  readonly comm: string;
  /** Where the time went, as far as it is known: seconds from the earliest event to the end. */
  readonly since_irq_seconds?: number;
  readonly since_softirq_seconds?: number;
  readonly since_receive_seconds?: number;
}

interface Kept {
  readonly outlier: NamedOutlier;
  readonly timestampMs: number;
}

/** Exemplars kept for one series: more than the buckets that outliers can fall into are no use. */
const EXEMPLARS_PER_SERIES_MAX = 10;

export class Outliers {
  readonly #kept: Kept[] = [];
  readonly #max: number;
  readonly #device: (outlier: Outlier) => string;

  /** `device` names the device of an outlier as the histograms label it. */
  constructor(max: number, device: (outlier: Outlier) => string) {
    this.#max = max;
    this.#device = device;
  }

  add(outlier: Outlier): NamedOutlier {
    // CLOCK_MONOTONIC to wall clock: both are read now, the outlier is microseconds old.
    const ageMs = (Number(process.hrtime.bigint()) - outlier.timeNs) / 1e6;
    const timestampMs = Date.now() - ageMs;
    const named = this.#name(outlier, timestampMs);
    this.#kept.push({ outlier: named, timestampMs });
    if (this.#kept.length > this.#max) this.#kept.shift();
    return named;
  }

  /** Newest first. */
  list(): NamedOutlier[] {
    return this.#kept.map(({ outlier }) => outlier).reverse();
  }

  /** The newest outliers of one series; a series with a cpu label gets those of that CPU. */
  exemplars(probe: string, labels: Labels): Exemplar[] {
    const found: Exemplar[] = [];
    for (let i = this.#kept.length - 1; i >= 0 && found.length < EXEMPLARS_PER_SERIES_MAX; i--) {
      const kept = this.#kept[i];
      if (kept === undefined || !matches(kept.outlier, probe, labels)) continue;
      const { outlier, timestampMs } = kept;
      found.push({
        labels: {
          cpu: String(outlier.cpu),
          ...(outlier.comm === '' ? {} : { comm: outlier.comm }),
          ...(outlier.local_port === undefined ? {} : { port: String(outlier.local_port) }),
        },
        value: outlier.seconds,
        timestampMs,
      });
    }
    return found;
  }

  #name(o: Outlier, timestampMs: number): NamedOutlier {
    const probe = PROBE_INDEX[o.probe] ?? `probe ${o.probe}`;
    const since = (fromNs: number): number | undefined =>
      fromNs > 0 && fromNs <= o.timeNs ? (o.timeNs - fromNs) / 1e9 : undefined;
    const packet = probe !== 'irq_to_softirq';
    return {
      time: new Date(timestampMs).toISOString(),
      probe,
      seconds: o.latencyNs / 1e9,
      device: this.#device(o),
      cpu: o.cpu,
      pid: o.pid,
      comm: o.comm,
      ...defined({
        protocol: packet ? PROTOCOLS[o.protocol] : undefined,
        irq: o.irq > 0 ? o.irq : undefined,
        local_port: o.localPort > 0 ? o.localPort : undefined,
        remote_port: o.remotePort > 0 ? o.remotePort : undefined,
        bytes: packet ? o.length : undefined,
        cgroup_id: o.cgroupId > 0 ? o.cgroupId : undefined,
        since_irq_seconds: since(o.irqNs),
        since_softirq_seconds: since(o.softirqNs),
        since_receive_seconds: since(o.receivedNs),
      }),
    };
  }
}

/** The same object without the members that are undefined. */
function defined<T extends Record<string, unknown>>(
  members: T,
): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

function matches(outlier: NamedOutlier, probe: string, labels: Labels): boolean {
  return (
    outlier.probe === probe &&
    outlier.device === labels.device &&
    (labels.protocol === undefined || outlier.protocol === labels.protocol) &&
    (labels.cpu === undefined || String(outlier.cpu) === labels.cpu)
  );
}
