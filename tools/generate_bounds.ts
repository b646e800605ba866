// Writes bpf/bounds.gen.h: the bounds of bounds.ts as C tables for bpf/bucket.h.
// Run: npx tsx tools/generate_bounds.ts > bpf/bounds.gen.h

import { fileURLToPath } from 'node:url';
import { BUCKETS, bucketOf, thresholdsNs } from '../src/histogram/bounds.ts';

/** Cells of the first-guess table: sixteen for each power of two below 2^34 ns (above 16 s). */
const OCTAVES = 34;
const CELLS_PER_OCTAVE = 16;

/** The whole text of bpf/bounds.gen.h. */
export function boundsHeader(): string {
  const thresholds = thresholdsNs();
  const guesses = firstGuesses();
  return `/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Generated from src/histogram/bounds.ts. Do not edit; run
 *   npx tsx tools/generate_bounds.ts > bpf/bounds.gen.h
 */
#ifndef RXSCOPE_BOUNDS_GEN_H
#define RXSCOPE_BOUNDS_GEN_H

#define RXSCOPE_BUCKETS ${BUCKETS}
#define RXSCOPE_CELLS ${guesses.length}
/* 2^4 s: beyond lies no latency but a fault. */
#define RXSCOPE_LATENCY_MAX_NS ${thresholds.at(-1)}ULL

/* floor(2^(k/8) * 10^9), k = -192 .. 32: the largest latency of each bucket. */
static const unsigned long long rxscope_thresholds_ns[RXSCOPE_BUCKETS] = {
${table(thresholds.map(String), 7)}
};

/* The bucket of the lowest latency of each cell. Cell e * 16 + m holds the latencies whose top
 * bit is bit e and whose four bits below it are m. No cell spans more than two buckets. */
static const unsigned char rxscope_first_guess[RXSCOPE_CELLS] = {
${table(guesses.map(String), CELLS_PER_OCTAVE)}
};

#endif
`;
}

/** Throws when some cell would need more than one step up, which bpf/bucket.h cannot take. */
function firstGuesses(): number[] {
  const longest = thresholdsNs().at(-1) ?? 0;
  const guesses: number[] = [];
  for (let cell = 0; cell < OCTAVES * CELLS_PER_OCTAVE; cell++) {
    const lowest = lowestNs(cell);
    // Cells past 16 s are never looked up; they hold the last bucket so that no entry is undefined.
    const guess = bucketOf(lowest) ?? BUCKETS - 1;
    const highest = Math.min(lowestNs(cell + 1) - 1, longest);
    const steps = lowest <= highest ? (bucketOf(highest) ?? BUCKETS) - guess : 0;
    if (steps > 1) {
      throw new Error(
        `cell ${cell} of the first-guess table (${lowest} to ${highest} ns) spans ${steps + 1} buckets: bpf/bucket.h corrects by one at most; use more cells per power of two`,
      );
    }
    guesses.push(guess);
  }
  return guesses;
}

function lowestNs(cell: number): number {
  const octave = Math.floor(cell / CELLS_PER_OCTAVE);
  const mantissa = CELLS_PER_OCTAVE + (cell % CELLS_PER_OCTAVE);
  return Math.ceil((2 ** octave * mantissa) / CELLS_PER_OCTAVE);
}

function table(values: readonly string[], perLine: number): string {
  const lines: string[] = [];
  for (let i = 0; i < values.length; i += perLine) {
    lines.push(`\t${values.slice(i, i + perLine).join(', ')},`);
  }
  return lines.join('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.stdout.write(boundsHeader());
}
