// Gives a meaning to the maps of the three probe scripts (bpf/<probe>.bt): latencies with their
// labels, and the books. Pure; the names of the maps stand in the scripts and here.

import {
  type CoarseHistogram,
  coarseBucket,
  coarseCount,
  emptyCoarse,
} from '../../histogram/coarse_histogram.ts';
import type { Protocol } from '../slots.ts';
import type { Tally } from './tally.ts';

/** A device of the agent's network namespace by the bytes of its name (latin1), or one of the two sums. */
export type ScriptDevice = { readonly name: string } | 'overflow' | 'other_netns' | 'removed';

export interface ScriptLatency {
  /** Of irq_to_softirq. */
  readonly irq?: number;
  /** Of the packet probes. */
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

/** Causes that a script counts in a map of that name. */
const CAUSES: Readonly<Record<string, readonly string[]>> = {
  irq_to_softirq: ['already_raised', 'clock'],
  softirq_to_socket: ['dropped', 'not_queued', 'outside_softirq', 'attached_midway', 'clock'],
  receive_to_socket: ['dropped', 'not_queued', 'clock'],
};

/** The map with what is under way on each CPU, 0 where nothing is: no counter. */
const UNDER_WAY: Readonly<Record<string, string>> = {
  softirq_to_socket: '@open',
  receive_to_socket: '@received_at',
};

/** Maps that hold the moment and not a count. */
export function stateMaps(probe: string): string[] {
  return Object.entries(UNDER_WAY).flatMap(([id, map]) => (id === probe ? [map] : []));
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
  const slots = tally.counters.get(UNDER_WAY[probe] ?? '');
  return {
    latencies,
    received: unnamed > 0 ? [...received, { device: 'overflow', packets: unnamed }] : received,
    unmatched: {
      ...Object.fromEntries((CAUSES[probe] ?? []).map((cause) => [cause, counter(cause)])),
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
    if (probe === 'irq_to_softirq') return { irq: Number(key), histogram };
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
