// Durations as Prometheus writes them (1h30m, 15s, 1s600ms), to milliseconds and back. Pure.

const UNITS_MS = [
  ['w', 604_800_000],
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
] as const;

/** The largest unit that is written; Prometheus itself writes no weeks. */
const WRITTEN = UNITS_MS.slice(1);

/** Undefined where it is none: units fall, and each occurs once. */
export function parseDuration(text: string): number | undefined {
  const pattern = new RegExp(`^${UNITS_MS.map(([unit]) => `(?:(\\d+)${unit})?`).join('')}$`);
  const parts = pattern.exec(text)?.slice(1);
  if (parts === undefined || text === '') return undefined;
  return parts.reduce((sum, part, i) => sum + Number(part ?? 0) * (UNITS_MS[i]?.[1] ?? 0), 0);
}

/** To the millisecond; `0s` for nothing. */
export function formatDuration(ms: number): string {
  let rest = Math.round(ms);
  let text = '';
  for (const [unit, size] of WRITTEN) {
    if (rest < size) continue;
    text += `${Math.floor(rest / size)}${unit}`;
    rest %= size;
  }
  return text === '' ? '0s' : text;
}

/** The units of `formatDuration`, for the mixin, which has to do it in jsonnet. */
export const DURATION_UNITS_MS = WRITTEN;
