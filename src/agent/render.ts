// Draws what `rxscope record` and `rxscope probes` found as text. Pure: data in, text out.

import { withoutControls } from '../host/device_names.ts';
import type { ProbeStatus } from '../metrics/self_families.ts';
import { boundSeconds } from '../stages/bounds.ts';
import type { Colors } from './colors.ts';
import type { RecordPart } from './record_parts.ts';

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
  /** Observations of each bucket of src/stages/bounds.ts. */
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

const BAR_WIDTH = 40;

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

/** A bucket between two bounds in seconds. */
export interface Bar {
  readonly lower: number;
  readonly upper: number;
  readonly n: number;
}

/** A line each, from the first to the last that is not empty. */
export function drawBars(
  rows: readonly Bar[],
  colors: Colors,
  format: (bound: number) => string = formatSeconds,
): string[] {
  const first = rows.findIndex(({ n }) => n > 0);
  const last = rows.findLastIndex(({ n }) => n > 0);
  if (first < 0) return [];
  const most = Math.max(...rows.map(({ n }) => n));
  return rows.slice(first, last + 1).map(({ lower, upper, n }) => {
    const range = `${format(lower)} … ${format(upper)}`;
    // What is there is seen: a bucket with one observation in a million still has a mark.
    const bar = n === 0 ? '' : '█'.repeat(Math.max(1, Math.round((n / most) * BAR_WIDTH)));
    return `  ${range.padStart(22)} │${colors.cyan(bar.padEnd(BAR_WIDTH))} ${n}`;
  });
}

/** `4.12 µs`: three significant digits and the unit that fits. */
export function formatSeconds(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–';
  const units = [
    [1, 's'],
    [1e-3, 'ms'],
    [1e-6, 'µs'],
    [1e-9, 'ns'],
  ] as const;
  const [scale, unit] = units.find(([size]) => seconds >= size * 0.9995) ?? [1e-9, 'ns'];
  const value = seconds / scale;
  const digits = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(seconds === 0 ? 0 : digits)} ${unit}`;
}

export function renderProbes(statuses: readonly ProbeStatus[], colors: Colors): string {
  return statuses.map((status) => renderStatus(status, colors)).join('\n');
}

function renderStatus({ id, up, off, reason, programs }: ProbeStatus, colors: Colors): string {
  const state = up ? colors.green('up') : off ? colors.dim('off') : colors.red('not up');
  const why = reason === '' ? '' : `: ${withoutControls(reason)}`;
  const lines = [`${colors.bold(id)}  ${state}${why}`];
  const width = Math.max(0, ...programs.map(({ hook }) => hook.length));
  for (const { hook, attach, target, refusals } of programs) {
    const stands = attach === undefined ? colors.red('–') : withoutControls(`${attach}/${target}`);
    lines.push(`  ${hook.padEnd(width)}  ${stands}`);
    for (const refusal of refusals)
      lines.push(`  ${' '.repeat(width)}  ${colors.dim(`not ${withoutControls(refusal)}`)}`);
  }
  return `${lines.join('\n')}\n`;
}
