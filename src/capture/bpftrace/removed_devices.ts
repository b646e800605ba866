// Devices that are gone, in what a script has counted by the names of devices: what they had goes on as that of
// one device, "removed". A script's maps keep a name for good, so what it had when it went is remembered here,
// and not counted for another device that comes by the same name.

import {
  type CoarseHistogram,
  emptyCoarse,
  mergeCoarse,
} from '../../histogram/coarse_histogram.ts';
import type { ScriptDevice, ScriptLatency, ScriptReading } from './script_reading.ts';

export class RemovedDevices {
  /** By name, and for latencies by protocol, too: what is no longer the device's of that name. */
  readonly #packets = new Map<string, number>();
  readonly #latencies = new Map<string, ScriptLatency>();

  /** One reading of one probe, with what is known of devices now. */
  apply(reading: ScriptReading, isGone: (device: ScriptDevice) => boolean): ScriptReading {
    const received = reading.received.map(({ device, packets }) => {
      if (typeof device === 'string') return { device, packets };
      if (isGone(device)) this.#packets.set(device.name, packets);
      return { device, packets: packets - (this.#packets.get(device.name) ?? 0) };
    });
    const latencies = reading.latencies.map((latency) => {
      const { device, protocol, histogram } = latency;
      if (device === undefined || typeof device === 'string') return latency;
      const key = `${protocol} ${device.name}`;
      if (isGone(device)) this.#latencies.set(key, latency);
      const gone = this.#latencies.get(key);
      return gone === undefined
        ? latency
        : { ...latency, histogram: differenceOf(histogram, gone.histogram) };
    });
    return {
      ...reading,
      received: [...received.filter(({ device }) => !isGone(device)), ...this.#removedPackets()],
      latencies: [
        ...latencies.filter(({ device }) => device === undefined || !isGone(device)),
        ...this.#removedLatencies(),
      ],
    };
  }

  #removedPackets(): ScriptReading['received'] {
    const packets = [...this.#packets.values()].reduce((sum, n) => sum + n, 0);
    return packets === 0 ? [] : [{ device: 'removed', packets }];
  }

  #removedLatencies(): ScriptLatency[] {
    const sums = new Map<ScriptLatency['protocol'], CoarseHistogram>();
    for (const { protocol, histogram } of this.#latencies.values()) {
      const sum = sums.get(protocol) ?? emptyCoarse();
      mergeCoarse(sum, histogram);
      sums.set(protocol, sum);
    }
    return [...sums].map(([protocol, histogram]) => ({
      device: 'removed',
      histogram,
      ...(protocol === undefined ? {} : { protocol }),
    }));
  }
}

function differenceOf(all: CoarseHistogram, part: CoarseHistogram): CoarseHistogram {
  return {
    counts: all.counts.map((n, i) => n - (part.counts[i] ?? 0)),
    sumNs: all.sumNs - part.sumNs,
  };
}
