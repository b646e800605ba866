// What one agent exports, taken from two scrapes of a real one under traffic: families, label sets, what each
// counter rose by, and how its latencies were spread. Pure; simulated hosts are made of it.

import { BUCKETS, boundSeconds, FIRST_INDEX } from '../../src/histogram/bounds.ts';
import { decodeProtobuf, nativeCounts, type ProtoHistogram } from '../metrics/decode.ts';

export interface Template {
  readonly families: readonly TemplateFamily[];
}

type Labels = Readonly<Record<string, string>>;

export interface ScalarTemplate {
  readonly type: 'counter' | 'gauge';
  readonly name: string;
  readonly help: string;
  readonly samples: readonly {
    readonly labels: Labels;
    readonly value: number;
    readonly perSecond: number;
  }[];
}

export interface LatencyTemplate {
  readonly type: 'histogram';
  readonly name: string;
  readonly help: string;
  readonly samples: readonly {
    readonly labels: Labels;
    /** Observations, ascending; as many ranks of what was really observed. Empty: there was nothing. */
    readonly values_ns: readonly number[];
  }[];
}

export type TemplateFamily = ScalarTemplate | LatencyTemplate;

/** Observations of a label set. Enough that P99.9 of some label sets together is not their highest. */
export const VALUES = 199;

/** `seconds` lie between the two scrapes, which are protobuf. */
export function templateOf(first: Uint8Array, second: Uint8Array, seconds: number): Template {
  const before = samplesOf(first);
  const families = decodeProtobuf(second).flatMap(
    ({ name, help, type, metric }): TemplateFamily[] => {
      if (type !== 'HISTOGRAM') {
        const samples = metric.map(({ label, counter, gauge }) => {
          const value = (counter ?? gauge)?.value ?? 0;
          const was = before.get(keyOf(name, label))?.counter?.value;
          // What was not there before was zero, or has no rate: a gauge.
          const rise = type === 'COUNTER' ? value - (was ?? 0) : 0;
          return { labels: label, value, perSecond: Math.max(0, rise / seconds) };
        });
        return [
          {
            type: type === 'COUNTER' ? ('counter' as const) : ('gauge' as const),
            name,
            help,
            samples,
          },
        ];
      }
      if (metric.some(({ histogram }) => histogram?.schema === undefined)) return [];
      const samples = metric.map(({ label, histogram }) => {
        const now = countsOf(histogram);
        const was = countsOf(before.get(keyOf(name, label))?.histogram);
        return { labels: label, values_ns: spread(now.map((count, i) => count - (was[i] ?? 0))) };
      });
      return [{ type: 'histogram' as const, name, help, samples }];
    },
  );
  return { families: families.map((family) => filled(family, families)) };
}

/** Where nothing was observed: a wait for the same softirq. No test makes a card interrupt. */
const LIKE: Readonly<Record<string, string>> = {
  rxscope_irq_to_softirq_seconds: 'rxscope_softirq_raise_to_entry_seconds',
};

/** The card's label sets are as busy as those that the traffic was over. */
function filled(family: TemplateFamily, families: readonly TemplateFamily[]): TemplateFamily {
  if (family.type !== 'histogram') return family;
  const likes = families.filter(({ name }) => name === family.name || name === LIKE[family.name]);
  const known = likes.flatMap((one) => (one.type === 'histogram' ? one.samples : []));
  const samples = family.samples.map((sample) => {
    const { protocol, vector } = sample.labels;
    if (sample.values_ns.length > 0 || protocol === 'other' || vector !== undefined) return sample;
    const like = known.find(
      ({ labels, values_ns }) =>
        values_ns.length > 0 && (protocol ?? labels.protocol) === labels.protocol,
    );
    return { ...sample, values_ns: like?.values_ns ?? [] };
  });
  return { ...family, samples };
}

/** The probe's name, of `rxscope_<probe>_seconds`. */
export function probeOf(family: { readonly name: string }): string {
  return family.name.replace(/^rxscope_/, '').replace(/_seconds$/, '');
}

function samplesOf(body: Uint8Array) {
  const families = decodeProtobuf(body);
  return new Map(
    families.flatMap(({ name, metric }) =>
      metric.map((one) => [keyOf(name, one.label), one] as const),
    ),
  );
}

function keyOf(name: string, labels: Labels): string {
  return JSON.stringify([name, labels]);
}

/** By bucket of src/histogram/bounds.ts. */
function countsOf(histogram: ProtoHistogram | undefined): number[] {
  const counts = new Array<number>(BUCKETS).fill(0);
  if (histogram === undefined) return counts;
  counts[0] = histogram.zero_count ?? 0;
  for (const [index, count] of nativeCounts(histogram)) counts[index - FIRST_INDEX] = count;
  return counts;
}

/** Values at evenly spaced ranks, each between the bounds of its bucket. */
function spread(counts: readonly number[]): number[] {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return [];
  return Array.from({ length: VALUES }, (_, at) => {
    const rank = ((at + 0.5) / VALUES) * total;
    let below = 0;
    const bucket = counts.findIndex((count) => {
      below += count;
      return below >= rank;
    });
    const width = counts[bucket] ?? 1;
    const part = (rank - (below - width)) / width;
    const lower = bucket === 0 ? 0 : boundSeconds(bucket - 1);
    return (lower + (boundSeconds(bucket) - lower) * part) * 1e9;
  });
}
