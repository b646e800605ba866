// Draws what a bpftrace script measured. Pure: data in, text out. A quantile is given as the upper
// bound of its bucket, never as a value between the bounds.

import { withoutControls } from '../../host/device_names.ts';
import type { Colors } from '../../terminal/colors.ts';
import { type Bar, drawBars, formatSeconds } from '../../terminal/draw.ts';

/** Observations in `min` to `max`, both included. Null: open to that side. */
export interface TraceBucket {
  readonly min: number | null;
  readonly max: number | null;
  readonly count: number;
}

/** What a map counts: nanoseconds where its name ends in `_ns`, else plain numbers. */
type Unit = 'ns' | 'none';

export interface TraceHistogram {
  /** The map's name without `@` and unit. */
  readonly name: string;
  /** The map's key: `vb,udp`. */
  readonly key: string;
  readonly unit: Unit;
  readonly count: number;
  readonly buckets: readonly TraceBucket[];
}

export interface TraceValue {
  readonly name: string;
  readonly key: string;
  readonly unit: Unit;
  readonly value: number | string | boolean;
}

export interface TraceResult {
  readonly script: string;
  /** Why there is no result, or not the whole; absent when all is well. */
  readonly reason?: string;
  /** Of bpftrace. */
  readonly version: string;
  readonly seconds: number;
  readonly histograms: readonly TraceHistogram[];
  readonly values: readonly TraceValue[];
  /** Events that bpftrace lost on their way to it, and lines of its output that made no sense. */
  readonly lost: number;
}

const QUANTILES = [0.5, 0.9, 0.99] as const;

export function renderTrace(result: TraceResult, colors: Colors): string {
  const { script, version, seconds, histograms, values, lost } = result;
  const head = `${colors.bold(script)}: ${seconds.toFixed(1)} s with bpftrace ${version}; a bucket's bounds are a factor of two apart\n`;
  const nothing =
    histograms.length + values.length === 0 ? ['  nothing happened that it measures\n'] : [];
  const losses =
    lost > 0 ? [colors.yellow(`  ${lost} events or lines were lost: not exact\n`)] : [];
  const sections = [
    ...nothing,
    ...losses,
    ...histograms.map((histogram) => renderHistogram(histogram, colors)),
    ...(values.length === 0 ? [] : [renderValues(values)]),
  ];
  return [head, ...sections].join('\n');
}

/** How a failure is told: what, and the sentence that says why and what to do. */
export function renderTraceFailure(script: string, reason: string, colors: Colors): string {
  return `${colors.red(`rxscope: cannot trace ${script}: ${withoutControls(reason)}`)}\n`;
}

function renderHistogram(histogram: TraceHistogram, colors: Colors): string {
  const { name, key, unit, count, buckets } = histogram;
  const format = unit === 'ns' ? formatSeconds : String;
  const scale = unit === 'ns' ? 1e9 : 1;
  const bars = buckets.map(
    ({ min, max, count: n }): Bar => ({
      lower: (min ?? Number.NEGATIVE_INFINITY) / scale,
      // The bucket reaches up to where the next one begins.
      upper: ((max ?? Number.POSITIVE_INFINITY) + 1) / scale,
      n,
    }),
  );
  const quantiles = QUANTILES.map((q) => `p${q * 100} ≤ ${format(upperBound(bars, q))}`);
  const lines = [
    titleOf(name, key, colors),
    `  ${quantiles.join('   ')}   ${count} observations`,
    ...drawBars(bars, colors, format),
  ];
  return `${lines.join('\n')}\n`;
}

function renderValues(values: readonly TraceValue[]): string {
  const rows = values.map(({ name, key, unit, value }): [string, string] => [
    key === '' ? name : `${name} [${shownKey(key)}]`,
    unit === 'ns' && typeof value === 'number' ? formatSeconds(value / 1e9) : String(value),
  ]);
  const width = Math.max(...rows.map(([label]) => label.length));
  return rows.map(([label, value]) => `${label.padEnd(width)}  ${value}\n`).join('');
}

function titleOf(name: string, key: string, colors: Colors): string {
  return key === '' ? colors.bold(name) : `${colors.bold(name)} [${shownKey(key)}]`;
}

function shownKey(key: string): string {
  return key.split(',').join(', ');
}

/** The bound that a share q of the observations does not exceed. */
function upperBound(bars: readonly Bar[], q: number): number {
  const total = bars.reduce((sum, { n }) => sum + n, 0);
  let seen = 0;
  for (const { upper, n } of bars) {
    seen += n;
    if (seen >= q * total) return upper;
  }
  return Number.NaN;
}
