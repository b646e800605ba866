// /proc/softirqs: how often each softirq vector ran on each CPU. Parses and reads; keeps nothing, so it
// does not undo the wrap of these 32-bit counts (`counts32.ts`).
//
// The kernel (fs/proc/softirqs.c, show_softirqs) writes a column for each CPU that is possible, online
// or not: on a virtual machine that may be many that never were there, all 0. The header numbers them.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { HOST_ROOTS, type Roots } from './roots.ts';

/** Vector (`NET_RX`) → CPU → runs since boot, modulo 2^32. */
export type Softirqs = ReadonlyMap<string, ReadonlyMap<number, number>>;

/** Throws when /proc/softirqs cannot be read or has another form. */
export function readSoftirqs(roots: Roots = HOST_ROOTS): Softirqs {
  const path = join(roots.proc, 'softirqs');
  const vectors = parseSoftirqs(readFileSync(path, 'utf8'));
  if (vectors.size === 0) throw new Error(`${path}: no line of it is one of a softirq`);
  return vectors;
}

/** A line that has not one count for each CPU of the header is left out. */
export function parseSoftirqs(text: string): Softirqs {
  const [header = '', ...lines] = text.split('\n');
  const cpus = [...header.matchAll(/CPU(\d+)/g)].map(([, cpu]) => Number(cpu));
  const vectors = new Map<string, ReadonlyMap<number, number>>();
  for (const line of lines) {
    const [name = '', ...words] = line.trim().split(/\s+/);
    const complete = cpus.length > 0 && words.length === cpus.length;
    if (!complete || !/^\w+:$/.test(name) || !words.every((word) => /^\d+$/.test(word))) continue;
    vectors.set(name.slice(0, -1), new Map(words.map((word, at) => [cpus[at] ?? 0, Number(word)])));
  }
  return vectors;
}
