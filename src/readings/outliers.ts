// The recent outliers: what /api/v1/outliers lists, and for each series the newest few, which
// become its exemplars. Both are bounded: the oldest makes room, and a flood on one device takes
// nothing from the series of another.

import { wallClockMs } from '../capture/kernel_clock.ts';
import type { Outlier } from '../capture/records.ts';
import { PROTOCOLS, VECTORS } from '../capture/slots.ts';
import { probeOf } from '../probes/index.ts';
import { defined } from './defined.ts';

/** An outlier with the kernel's numbers turned into names. Times in seconds, base units. */
export interface NamedOutlier {
  readonly time: string;
  readonly probe: string;
  readonly seconds: number;
  readonly device: string;
  readonly protocol?: string;
  readonly vector?: string;
  readonly cpu: number;
  readonly irq?: number;
  readonly local_port?: number;
  readonly remote_port?: number;
  readonly bytes?: number;
  /** Of a poll: what it handed over. */
  readonly packets?: number;
  readonly cgroup_id?: number;
  /** The task that the CPU was running. */
  readonly pid: number;
  readonly comm: string;
  /** Where the time went, as far as it is known: seconds from the earliest event to the end. */
  readonly since_irq_seconds?: number;
  readonly since_softirq_seconds?: number;
  readonly since_receive_seconds?: number;
}

export interface KeptOutlier {
  readonly outlier: NamedOutlier;
  /** Wall clock, and the kernel's: the latter has the order of events of one CPU and the next. */
  readonly timestampMs: number;
  readonly timeNs: number;
}

/** Kept for one series: more than the buckets that outliers can fall into are no use. */
const PER_SERIES_MAX = 10;
/** Series with outliers; beyond it the one that had an outlier longest ago is forgotten. */
const SERIES_MAX = 1000;

export class Outliers {
  readonly #recent: NamedOutlier[] = [];
  /** By probe, device, protocol and CPU; in the order of their newest outlier. */
  readonly #bySeries = new Map<string, KeptOutlier[]>();
  /** The same by probe and device, made when it is asked for: a scrape asks for thousands of series. */
  #byDevice: Map<string, KeptOutlier[]> | undefined;
  readonly #max: number;
  readonly #device: (outlier: Outlier) => string;

  /** `device` names the device of an outlier as the histograms label it. */
  constructor(max: number, device: (outlier: Outlier) => string) {
    this.#max = max;
    this.#device = device;
  }

  add(outlier: Outlier): NamedOutlier {
    const timestampMs = wallClockMs(outlier.timeNs);
    const named = this.#name(outlier, timestampMs);
    this.#recent.push(named);
    if (this.#recent.length > this.#max) this.#recent.shift();
    this.#keepForSeries({ outlier: named, timestampMs, timeNs: outlier.timeNs });
    return named;
  }

  #keepForSeries(kept: KeptOutlier): void {
    const { probe, device, protocol, vector, cpu } = kept.outlier;
    const key = JSON.stringify([probe, device, protocol, vector, cpu]);
    this.#byDevice = undefined;
    const series = this.#bySeries.get(key) ?? [];
    series.push(kept);
    if (series.length > PER_SERIES_MAX) series.shift();
    this.#bySeries.delete(key);
    this.#bySeries.set(key, series);
    if (this.#bySeries.size <= SERIES_MAX) return;
    const [oldest] = this.#bySeries.keys();
    if (oldest !== undefined) this.#bySeries.delete(oldest);
  }

  /** Newest first. */
  list(): NamedOutlier[] {
    return this.#recent.toReversed();
  }

  /** The newest outliers of one series; a series without a cpu label has those of all CPUs. */
  ofSeries(probe: string, labels: Readonly<Record<string, string>>): KeptOutlier[] {
    const candidates = this.#index().get(`${probe} ${labels.device ?? ''}`) ?? [];
    if (candidates.length === 0) return [];
    return candidates
      .filter(({ outlier }) => matches(outlier, probe, labels))
      .sort((a, b) => b.timeNs - a.timeNs)
      .slice(0, PER_SERIES_MAX);
  }

  #index(): ReadonlyMap<string, readonly KeptOutlier[]> {
    if (this.#byDevice !== undefined) return this.#byDevice;
    const index = new Map<string, KeptOutlier[]>();
    for (const kept of [...this.#bySeries.values()].flat()) {
      const key = `${kept.outlier.probe} ${kept.outlier.device}`;
      const known = index.get(key);
      if (known === undefined) index.set(key, [kept]);
      else known.push(kept);
    }
    this.#byDevice = index;
    return index;
  }

  #name(o: Outlier, timestampMs: number): NamedOutlier {
    const since = (fromNs: number): number | undefined =>
      fromNs > 0 && fromNs <= o.timeNs ? (o.timeNs - fromNs) / 1e9 : undefined;
    const { by, length } = probeOf(o.probe) ?? {};
    const hasProtocol = by === 'protocol' || by === 'device_protocol';
    return {
      time: new Date(timestampMs).toISOString(),
      probe: o.probe,
      seconds: o.latencyNs / 1e9,
      device: by === 'vector' || by === 'protocol' ? '' : this.#device(o),
      cpu: o.cpu,
      pid: o.pid,
      comm: o.comm,
      ...defined({
        protocol: hasProtocol ? PROTOCOLS[o.protocol] : undefined,
        vector: by === 'vector' ? VECTORS[o.vector] : undefined,
        irq: o.irq > 0 ? o.irq : undefined,
        local_port: o.localPort > 0 ? o.localPort : undefined,
        remote_port: o.remotePort > 0 ? o.remotePort : undefined,
        bytes: length === 'bytes' && o.length > 0 ? o.length : undefined,
        packets: length === 'packets' ? o.length : undefined,
        cgroup_id: o.cgroupId > 0 ? o.cgroupId : undefined,
        since_irq_seconds: since(o.irqNs),
        since_softirq_seconds: since(o.softirqNs),
        since_receive_seconds: since(o.receivedNs),
      }),
    };
  }
}

function matches(
  outlier: NamedOutlier,
  probe: string,
  labels: Readonly<Record<string, string>>,
): boolean {
  return (
    outlier.probe === probe &&
    (labels.device === undefined || outlier.device === labels.device) &&
    (labels.vector === undefined || outlier.vector === labels.vector) &&
    (labels.protocol === undefined || outlier.protocol === labels.protocol) &&
    (labels.cpu === undefined || String(outlier.cpu) === labels.cpu)
  );
}
