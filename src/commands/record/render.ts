// Draws what `rxscope record` found as text. Pure: data in, text out.

import { boundSeconds } from '../../histogram/bounds.ts';
import { withoutControls } from '../../host/device_names.ts';
import type { Colors } from '../../terminal/colors.ts';
import { type Bar, drawBars, formatSeconds } from '../../terminal/draw.ts';
import type { RecordPart } from './parts.ts';

export const QUANTILES = [0.5, 0.9, 0.99, 0.999] as const;

export interface ProbeRecord {
  readonly id: string;
  readonly up: boolean;
  readonly reason: string;
  readonly count: number;
  readonly sum_seconds: number;
  readonly over_budget: number;
  /** By q; null when there was no observation. */
  readonly quantiles_seconds: Readonly<Record<string, number | null>>;
  /** In exact mode only. */
  readonly max_seconds?: number;
  readonly observations_lost?: number;
  /** Observations of each bucket of src/histogram/bounds.ts. */
  readonly buckets: readonly number[];
  readonly unmatched: Readonly<Record<string, number>>;
  /** The same by label set, the most observed first. */
  readonly parts?: readonly RecordPart[];
}

export interface RecordResult {
  readonly seconds: number;
  readonly exact: boolean;
  readonly received: number;
  readonly pending: number;
  /** By reason, the most first; absent when drops were not counted. */
  readonly drops?: Readonly<Record<string, number>>;
  readonly probes: readonly ProbeRecord[];
}

export function renderRecord(result: RecordResult, colors: Colors): string {
  const how = result.exact ? 'quantiles from every observation' : 'quantiles within 9.1 %';
  const head = `${result.received} packets received in ${result.seconds.toFixed(1)} s; ${how}\n`;
  const sections = result.probes.map((record) => renderProbe(record, colors));
  return `${head}${renderDrops(result)}\n${sections.join('\n')}`;
}

function renderDrops({ drops }: RecordResult): string {
  const reasons = Object.entries(drops ?? {});
  if (reasons.length === 0) return '';
  const counts = reasons.map(([why, n]) => `${withoutControls(why)} ${n}`);
  return `dropped on the receive path: ${counts.join(', ')}\n`;
}

function renderProbe(record: ProbeRecord, colors: Colors): string {
  const title = colors.bold(record.id);
  const reason = withoutControls(record.reason);
  if (!record.up) return `${title}\n  ${colors.red('not up')}: ${reason}\n`;
  const lines = [title];
  if (reason !== '') lines.push(`  ${colors.yellow(reason)}`);
  if (record.count === 0) {
    lines.push('  no observation');
  } else {
    const quantiles = Object.entries(record.quantiles_seconds).map(
      ([q, seconds]) => `p${Number(q) * 100} ${formatSeconds(seconds ?? Number.NaN)}`,
    );
    const max =
      record.max_seconds === undefined ? [] : [`max ${formatSeconds(record.max_seconds)}`];
    const mean = formatSeconds(record.sum_seconds / record.count);
    lines.push(`  ${[...quantiles, ...max, `mean ${mean}`].join('   ')}`);
    lines.push(`  ${record.count} observations, ${record.over_budget} over budget`);
  }
  if ((record.observations_lost ?? 0) > 0) {
    lines.push(
      colors.yellow(`  ${record.observations_lost} observations were lost on the way: not exact`),
    );
  }
  const unmatched = Object.entries(record.unmatched).filter(([, n]) => n > 0);
  if (unmatched.length > 0) {
    lines.push(`  unmatched: ${unmatched.map(([cause, n]) => `${cause} ${n}`).join(', ')}`);
  }
  const parts = renderParts(record.parts ?? []);
  return `${[...lines, ...drawHistogram(record.buckets, colors), ...parts].join('\n')}\n`;
}

/** One line for each label set; a single one says nothing new. */
function renderParts(parts: readonly RecordPart[]): string[] {
  if (parts.length < 2) return [];
  const names = parts.map(
    ({ labels }) => withoutControls(Object.values(labels).join(' ').trim()) || '(none)',
  );
  const width = Math.max(...names.map(({ length }) => length));
  return parts.map(({ count, p50_seconds, p99_seconds }, i) => {
    const quantiles = `p50 ${formatSeconds(p50_seconds)}`.padEnd(14);
    const p99 = `p99 ${formatSeconds(p99_seconds)}`.padEnd(14);
    return `  ${(names[i] ?? '').padEnd(width)}  ${quantiles}${p99}${count}`;
  });
}

/** One line for each power of two between the lowest and the highest observation. */
function drawHistogram(buckets: readonly number[], colors: Colors): string[] {
  const rows: Bar[] = [];
  for (let i = 0; i < buckets.length; i += 8) {
    const fine = i === 0 ? buckets.slice(0, 1) : buckets.slice(i - 7, i + 1);
    rows.push({
      lower: i === 0 ? 0 : boundSeconds(i - 8),
      upper: boundSeconds(i),
      n: fine.reduce((sum, n) => sum + n, 0),
    });
  }
  return drawBars(rows, colors);
}
