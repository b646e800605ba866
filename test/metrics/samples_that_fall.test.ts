// What could make the row of what is folded run backwards: sums that are added up in another order, and
// a label set that begins anew with more observations than it had.

import { expect, test } from 'vitest';
import type { Family, HistogramFamily, HistogramSample } from '../../src/metrics/model.ts';
import { SeriesCap } from '../../src/metrics/series_cap.ts';

const LATENCY = 'rxscope_receive_to_socket_seconds';
/** So few that all but one label set are folded. */
const SERIES_MAX = 40;

interface Latency {
  readonly device: string;
  /** Observations at most 1 s, and above. */
  readonly counts: readonly [number, number];
  readonly sum: number;
}

function gather(...latencies: readonly Latency[]): Family {
  const samples = latencies.map(
    ({ device, counts, sum }): HistogramSample => ({
      labels: { device, protocol: 'udp' },
      sum,
      count: counts[0] + counts[1],
      classic: { bounds: [1], counts },
    }),
  );
  return { type: 'histogram', name: LATENCY, help: 'A latency.', samples };
}

function otherOf(families: readonly Family[]): HistogramSample {
  const family = families.find(({ name }) => name === LATENCY) as HistogramFamily;
  const other = family.samples.find(({ labels }) => labels.device === '(other)');
  if (other === undefined) throw new Error('nothing was folded');
  return other;
}

/** Each is folded: the places are taken. */
const LARGE: readonly Latency[] = Array.from({ length: 12 }, (_, i) => ({
  device: `eth${i}`,
  counts: [1_000, 0],
  sum: 0,
}));

test('the sum does not fall by the rounding of another order when a device goes', () => {
  // Sums of microseconds as they come. Of these 1200 changes 54 would round to less.
  for (let turn = 0; turn < 300; turn++) {
    const sums = [0, 1, 2, 3].map((i) => (1 + ((turn * 7_919 + i * 104_729) % 1_000_003)) / 1e6);
    const small = sums.map((sum, i): Latency => ({ device: `veth${i}`, counts: [1, 0], sum }));
    for (const gone of small) {
      const cap = new SeriesCap(SERIES_MAX);
      const before = otherOf(cap.apply([gather(...LARGE, ...small)]));
      const left = small.filter((one) => one !== gone);
      const after = otherOf(cap.apply([gather(...LARGE, ...left)]));
      expect(after.count).toBe(before.count);
      expect(after.sum).toBeGreaterThanOrEqual(before.sum);
      expect(after.sum).toBeCloseTo(before.sum, 12);
    }
  }
});

test('a label set that begins anew adds to what it had, also when it has more observations', () => {
  const cap = new SeriesCap(SERIES_MAX);
  const slow: Latency = { device: 'veth0', counts: [0, 5], sum: 10 };
  const before = otherOf(cap.apply([gather(...LARGE, slow)]));
  const fast: Latency = { device: 'veth0', counts: [7, 0], sum: 0.5 };
  const after = otherOf(cap.apply([gather(...LARGE, fast)]));
  expect(after.count).toBe(before.count + 7);
  expect(Array.from(after.classic.counts)).toEqual([
    (before.classic.counts[0] ?? 0) + 7,
    before.classic.counts[1],
  ]);
  expect(after.sum).toBeCloseTo(before.sum + 0.5, 12);
});
