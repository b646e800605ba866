// What a script has counted, as its maps say it, and the sum over the script's runs. Pure.
// A script that is started again counts from nought: its earlier runs are kept here, so that what
// is exported never runs backwards.

import type { Bucket, ScriptOutput } from './output.ts';

/** Observations by the bucket's upper bound in ns, which is a power of two or Infinity. */
export type BucketCounts = ReadonlyMap<number, number>;

export interface Tally {
  /** By map and key; '' is the key of a map without one. */
  readonly counters: ReadonlyMap<string, ReadonlyMap<string, number>>;
  readonly histograms: ReadonlyMap<string, ReadonlyMap<string, BucketCounts>>;
}

export class Tallies {
  readonly #counters = new Map<string, Map<string, number>>();
  readonly #histograms = new Map<string, Map<string, BucketCounts>>();
  readonly #ended: Tally[] = [];

  /** A map as it stands now in the running script; it replaces what the map was before. */
  add(output: ScriptOutput): void {
    if (output.type === 'map') {
      const rows = output.rows.flatMap(({ key, value }) =>
        typeof value === 'number' ? [[key, value] as const] : [],
      );
      this.#counters.set(output.name, new Map(rows));
    } else if (output.type === 'hist') {
      const rows = output.rows.map(({ key, buckets }) => [key, byBound(buckets)] as const);
      this.#histograms.set(output.name, new Map(rows));
    }
  }

  /** The run is over. What `state` names are not counts: they end with it. */
  endRun(state: readonly string[]): void {
    for (const name of state) this.#counters.delete(name);
    this.#ended.push({ counters: new Map(this.#counters), histograms: new Map(this.#histograms) });
    const sum = this.sum(this.#ended.splice(0));
    this.#ended.push(sum);
    this.#counters.clear();
    this.#histograms.clear();
  }

  /** All runs together. */
  sum(
    parts: readonly Tally[] = [
      ...this.#ended,
      { counters: this.#counters, histograms: this.#histograms },
    ],
  ): Tally {
    const counters = new Map<string, Map<string, number>>();
    const histograms = new Map<string, Map<string, Map<number, number>>>();
    for (const part of parts) {
      for (const [name, rows] of part.counters) addAll(inside(counters, name), rows);
      for (const [name, rows] of part.histograms) {
        for (const [key, buckets] of rows) addAll(inside(inside(histograms, name), key), buckets);
      }
    }
    return { counters, histograms };
  }
}

/**
 * The scripts observe ns - 1, so that bpftrace's bucket from 2^(k-1) to 2^k - 1 holds the times up
 * to 2^k, that one included, as Prometheus has it.
 */
function byBound(buckets: readonly Bucket[]): BucketCounts {
  const counts = new Map<number, number>();
  for (const { max = Number.POSITIVE_INFINITY, count } of buckets) {
    if (count > 0) counts.set(max + 1, (counts.get(max + 1) ?? 0) + count);
  }
  return counts;
}

function inside<K, V>(maps: Map<string, Map<K, V>>, name: string): Map<K, V> {
  let map = maps.get(name);
  if (map === undefined) {
    map = new Map();
    maps.set(name, map);
  }
  return map;
}

function addAll<K>(into: Map<K, number>, from: ReadonlyMap<K, number>): void {
  for (const [key, value] of from) into.set(key, (into.get(key) ?? 0) + value);
}
