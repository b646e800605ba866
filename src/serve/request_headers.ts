// Reads the two request headers of a scrape that need arithmetic. Pure, and safe for any input:
// what cannot be understood means the default. (Accept is read by src/metrics/negotiate.ts.)

/** What Prometheus itself uses when `scrape_timeout` is not configured. */
const DEADLINE_DEFAULT_MS = 10_000;
/** Left for encoding, compressing and the network. */
const DEADLINE_MARGIN_MS = 500;
/** A gather takes a few milliseconds: this is enough for one even with the shortest timeout. */
const DEADLINE_MIN_MS = 100;
/** The longest a scrape can hold its place among the requests in flight. */
export const DEADLINE_MAX_MS = 120_000;

/** How long a scrape may wait, from `X-Prometheus-Scrape-Timeout-Seconds`. */
export function scrapeDeadlineMs(header: string | string[] | undefined): number {
  const timeout_s = typeof header === 'string' ? Number(header) : Number.NaN;
  if (!Number.isFinite(timeout_s) || timeout_s <= 0) return DEADLINE_DEFAULT_MS;
  const deadlineMs = Math.round(timeout_s * 1000) - DEADLINE_MARGIN_MS;
  return Math.min(Math.max(deadlineMs, DEADLINE_MIN_MS), DEADLINE_MAX_MS);
}

/** Whether `Accept-Encoding` allows gzip: `gzip;q=0` forbids it, also against `*`. */
export function acceptsGzip(header: string | undefined): boolean {
  let wildcard = false;
  for (const item of (header ?? '').toLowerCase().split(',')) {
    const [coding = '', ...parameters] = item.split(';').map((part) => part.trim());
    // RFC 9110, 8.4.1.3: x-gzip means gzip.
    if (coding === 'gzip' || coding === 'x-gzip') return weight(parameters) > 0;
    if (coding === '*') wildcard = weight(parameters) > 0;
  }
  return wildcard;
}

function weight(parameters: readonly string[]): number {
  const q = parameters.find((parameter) => parameter.startsWith('q='));
  if (q === undefined) return 1;
  const value = Number(q.slice('q='.length));
  // A weight that is no number allows nothing: sending the plain body is always right.
  return Number.isFinite(value) ? value : 0;
}
