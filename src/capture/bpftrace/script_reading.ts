// Gives a meaning to the maps of a probe's script (bpf/<id>.bt): latencies with their labels, and the books.
// Pure; the names of the maps stand in the scripts and here, those of one script in the probe's own file.

import {
  type CoarseHistogram,
  coarseBucket,
  coarseCount,
  emptyCoarse,
} from '../../histogram/coarse_histogram.ts';
import { probeOf } from '../../probes/index.ts';
import type { Protocol } from '../slots.ts';
import type { Tally } from './tally.ts';

/** A device of the agent's network namespace by the bytes of its name (latin1), or one of the two sums. */
export type ScriptDevice = { readonly name: string } | 'overflow' | 'other_netns' | 'removed';

export interface ScriptLatency {
  /** Where the probe's histograms are by interrupt; else by the other two. */
  readonly irq?: number;
  readonly device?: ScriptDevice;
  readonly protocol?: Protocol;
  readonly histogram: CoarseHistogram;
}

/** What one probe's script counted since the agent's start. */
export interface ScriptReading {
  readonly latencies: readonly ScriptLatency[];
  readonly received: readonly { readonly device: ScriptDevice; readonly packets: number }[];
  readonly unmatched: Readonly<Record<string, number>>;
  readonly deliveriesWithoutStart: number;
  readonly pending: number;
}

/** Maps that hold the moment and not a count. */
export function stateMaps(probe: string): string[] {
  const map = probeOf(probe)?.script?.underWay;
  return map === undefined ? [] : [map];
}

export function readScript(probe: string, tally: Tally): ScriptReading {
  const counter = (map: string): number => tally.counters.get(`@${map}`)?.get('') ?? 0;
  const latencies = latenciesOf(probe, tally);
  const counted = latencies.reduce((sum, { histogram }) => sum + coarseCount(histogram), 0);
  const received = [...(tally.counters.get('@received') ?? [])].map(([key, packets]) => {
    const [other = '', name = ''] = fromTheRight(key, 1);
    return { device: deviceOf(name, other), packets };
  });
  const named = received.reduce((sum, { packets }) => sum + packets, 0);
  const unnamed = counter('all_received') - named;
  const { causes = [], underWay = '' } = probeOf(probe)?.script ?? {};
  const slots = tally.counters.get(underWay);
  return {
    latencies,
    received: unnamed > 0 ? [...received, { device: 'overflow', packets: unnamed }] : received,
    unmatched: {
      ...Object.fromEntries(causes.map((cause) => [cause, counter(cause)])),
      // bpftrace's maps are bounded. The totals are printed first: this is never too large.
      table_full: Math.max(0, counter('all_observed') - counted),
    },
    deliveriesWithoutStart: counter('deliveries_without_start'),
    pending: [...(slots?.values() ?? [])].filter((slot) => slot !== 0).length,
  };
}

function latenciesOf(probe: string, tally: Tally): ScriptLatency[] {
  const buckets = tally.histograms.get(`@${probe}_ns`) ?? new Map();
  const above = tally.counters.get('@over_2s') ?? new Map();
  const sums = tally.counters.get('@sum_ns') ?? new Map();
  const keys = new Set<string>([...buckets.keys(), ...above.keys()]);
  return [...keys].map((key) => {
    const histogram = emptyCoarse();
    const add = (bucket: number, n: number): void => {
      histogram.counts[bucket] = (histogram.counts[bucket] ?? 0) + n;
    };
    for (const [bound, n] of buckets.get(key) ?? []) add(coarseBucket(bound), n);
    add(histogram.counts.length - 1, above.get(key) ?? 0);
    histogram.sumNs = sums.get(key) ?? 0;
    if (probeOf(probe)?.by === 'irq') return { irq: Number(key), histogram };
    const [protocol = '', other = '', name = ''] = fromTheRight(key, 2);
    return { device: deviceOf(name, other), protocol: protocolOf(Number(protocol)), histogram };
  });
}

/** The last `numbers` parts of a key, last first, and then the name, which may have commas itself. */
function fromTheRight(key: string, numbers: number): string[] {
  const parts = key.split(',');
  const name = parts.slice(0, -numbers).join(',');
  return [...parts.slice(-numbers).toReversed(), name];
}

function deviceOf(name: string, other: string): ScriptDevice {
  return other === '0' ? { name } : 'other_netns';
}

function protocolOf(number: number): Protocol {
  return number === 6 ? 'tcp' : number === 17 ? 'udp' : 'other';
}
