// Snapshots for the encoder tests: one that looks like a real scrape, and arbitrary ones.

import fc from 'fast-check';
import { BUCKETS } from '../../src/histogram/bounds.ts';
import {
  count,
  emptyHistogram,
  type Histogram,
  toClassic,
  toNative,
} from '../../src/histogram/histogram.ts';
import type {
  Exemplar,
  Family,
  HistogramFamily,
  HistogramSample,
  Labels,
  Snapshot,
} from '../../src/metrics/model.ts';

export function sampleOf(
  h: Histogram,
  labels: Labels,
  exemplars?: readonly Exemplar[],
): HistogramSample {
  return {
    labels,
    sum: h.sumNs / 1e9,
    count: count(h),
    classic: toClassic(h),
    native: toNative(h),
    ...(exemplars === undefined ? {} : { exemplars }),
  };
}

/** A histogram of these counts, by bucket. */
export function histogramWith(counts: Readonly<Record<number, number>>): Histogram {
  const h = emptyHistogram();
  for (const [bucket, n] of Object.entries(counts)) h.counts[Number(bucket)] = n;
  h.sumNs = 1_234_567 * count(h);
  return h;
}

export const DEVICE_LABELS = { device: 'eth0', protocol: 'udp' } as const;

export const BUSY = histogramWith({ 0: 2, 61: 1009, 62: 503, 64: 101, 70: 7, 91: 11, 140: 1 });

/** 52.1 µs into bucket 2^-14 s of the classic form. */
export const EXEMPLAR: Exemplar = {
  labels: { cpu: '1', comm: 'nginx: "worker"', port: '443' },
  value: 0.0000521,
  timestampMs: 1_700_000_000_123,
};

/** What an agent with one busy and one idle device exports, in small. */
export const TYPICAL: Snapshot = [
  {
    type: 'histogram',
    name: 'rxscope_receive_to_socket_seconds',
    help: 'Time from protocol entry to the socket queue, "tail" included.',
    samples: [
      sampleOf(BUSY, DEVICE_LABELS, [EXEMPLAR]),
      sampleOf(emptyHistogram(), { device: 'wlan\\0\n"', protocol: 'tcp' }),
    ],
  },
  {
    type: 'counter',
    name: 'rxscope_received_packets_total',
    help: 'Packets received.\nBy device, \\ and all.',
    samples: [
      { labels: { device: 'eth0' }, value: 100_003 },
      { labels: { device: 'big' }, value: 2 ** 53 },
    ],
  },
  {
    type: 'counter',
    name: 'rxscope_cpu_seconds_total',
    help: 'CPU time.',
    samples: [{ labels: { cpu: '0', mode: 'softirq' }, value: 12.25 }],
  },
  {
    type: 'gauge',
    name: 'rxscope_budget_seconds',
    help: 'Budget.',
    samples: [{ labels: { probe: 'irq_to_softirq' }, value: 0.0001 }],
  },
  {
    type: 'gauge',
    name: 'rxscope_strange',
    help: 'Values that need care.',
    samples: [
      { labels: { is: 'nan' }, value: Number.NaN },
      { labels: { is: 'inf' }, value: Infinity },
      { labels: { is: 'neg' }, value: -Infinity },
      { labels: {}, value: -1.5 },
    ],
  },
  { type: 'gauge', name: 'rxscope_absent', help: 'Has no samples.', samples: [] },
];

/** As many histogram series as asked for, each with about a hundred populated buckets. */
export function manyHistograms(series: number): Snapshot {
  const samples = Array.from({ length: series }, (_, s) => {
    const h = emptyHistogram();
    for (let i = 40; i < 150; i++) h.counts[i] = (s * 7919 + i * 104_729) % 100_003;
    h.sumNs = 1e9;
    return sampleOf(h, { device: `eth${s}`, protocol: 'udp', cpu: String(s % 64) });
  });
  return [{ type: 'histogram', name: 'rxscope_x_seconds', help: 'Many.', samples }];
}

const text = fc.string({ unit: 'binary', maxLength: 23 });
const identifier = fc.stringMatching(/^[a-z][a-z0-9_]{0,10}[a-z]$/);
/** A bucket's own label is `le`: no series of ours has one. */
const labelName = identifier.filter((name) => name !== 'le');
const labels: fc.Arbitrary<Labels> = fc
  .uniqueArray(fc.tuple(labelName, text), { maxLength: 4, selector: ([name]) => name })
  .map(Object.fromEntries);
const labelSets = fc.uniqueArray(labels, {
  maxLength: 4,
  selector: (set) => JSON.stringify(Object.entries(set).sort()),
});
const bucketCount = fc.oneof(fc.nat({ max: 100 }), fc.integer({ min: 0, max: 2 ** 40 }));

const histogram = fc
  .tuple(
    fc.array(fc.tuple(fc.nat({ max: BUCKETS - 1 }), bucketCount), { maxLength: 41 }),
    fc.nat({ max: 2 ** 50 }),
  )
  .map(([counts, sumNs]) => ({ ...histogramWith(Object.fromEntries(counts)), sumNs }));

const exemplar: fc.Arbitrary<Exemplar> = fc.record({
  labels,
  value: fc.double({ min: 1e-9, max: 20, noNaN: true }),
  timestampMs: fc.integer({ min: 1, max: 4_000_000_000_000 }),
});

const histogramFamily: fc.Arbitrary<HistogramFamily> = fc
  .tuple(identifier, text, labelSets, fc.boolean())
  .chain(([name, help, sets, withNative]) =>
    fc
      .tuple(...sets.map(() => fc.tuple(histogram, fc.array(exemplar, { maxLength: 5 }))))
      .map((parts): HistogramFamily => {
        const samples = parts.map(([h, exemplars], i) => {
          const { native, ...classicOnly } = sampleOf(h, sets[i] ?? {}, exemplars);
          return withNative && native !== undefined ? { ...classicOnly, native } : classicOnly;
        });
        return { type: 'histogram', name: `h_${name}_seconds`, help, samples };
      }),
  );

function scalarFamily(type: 'counter' | 'gauge', nameOf: (stem: string) => string) {
  const any = type === 'counter' ? fc.double({ min: 0, noNaN: true }) : fc.double();
  // Adding 0 makes 0 of -0, which no metric means and text does not keep.
  const value = any.map((v) => v + 0);
  return fc
    .tuple(identifier, text, labelSets, fc.array(value, { minLength: 4, maxLength: 4 }))
    .map(([stem, help, sets, values]): Family => {
      const samples = sets.map((set, i) => ({ labels: set, value: values[i] ?? 0 }));
      return { type, name: nameOf(stem), help, samples };
    });
}

/** Any snapshot that the model allows; prefixes by type keep the names of its series apart. */
export const anySnapshot: fc.Arbitrary<Snapshot> = fc.uniqueArray(
  fc.oneof(
    histogramFamily,
    scalarFamily('counter', (stem) => `c_${stem}_total`),
    scalarFamily('gauge', (stem) => `g_${stem}_bytes`),
  ),
  { maxLength: 5, selector: (family) => family.name },
);
