// Bars and numbers as text. Pure.

import type { Colors } from './colors.ts';

const BAR_WIDTH = 40;

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
