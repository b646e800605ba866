// Durations as people write them (100us, 1.5ms) to nanoseconds and back. Pure.
// A number without a unit is refused on purpose: a budget that is wrong by 1000 looks healthy.

/** Nanoseconds in each unit; both code points of the micro sign are in use. */
const UNIT_NS: ReadonlyMap<string, number> = new Map([
  ['ns', 1],
  ['us', 1_000],
  ['µs', 1_000],
  ['μs', 1_000],
  ['ms', 1_000_000],
  ['s', 1_000_000_000],
]);

/** The duration in nanoseconds, or what was expected instead of `value`. */
export function checkDuration(
  value: unknown,
  minNs: number,
  maxNs: number,
): { readonly ns: number } | { readonly expected: string } {
  if (typeof value === 'number' || (typeof value === 'string' && /^[\d.]+$/.test(value))) {
    return {
      expected:
        'a duration with its unit, such as 100us or 10s: a plain number does not say whether ns, us, ms or s is meant',
    };
  }
  const parts = typeof value === 'string' ? /^(\d+(?:\.\d+)?) ?(\D+)$/.exec(value) : null;
  const unitNs = UNIT_NS.get(parts?.[2] ?? '');
  if (unitNs === undefined) {
    return { expected: 'a duration such as 100us: a number with one of ns, us, µs, ms or s' };
  }
  const ns = Math.round(Number(parts?.[1]) * unitNs);
  return ns >= minNs && ns <= maxNs
    ? { ns }
    : { expected: `a duration from ${formatDuration(minNs)} to ${formatDuration(maxNs)}` };
}

/** The shortest way to write it that `checkDuration` reads back to the same nanosecond. */
export function formatDuration(ns: number): string {
  const unit = ns >= 1e9 ? 's' : ns >= 1e6 ? 'ms' : ns >= 1e3 ? 'us' : 'ns';
  return `${ns / (UNIT_NS.get(unit) ?? 1)}${unit}`;
}
