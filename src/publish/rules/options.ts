// What can be chosen about the rules, with defaults: one table for the command line, the mixin and
// the documentation. A latency's budget is no option here: the agent exports its own.

export interface Threshold {
  /** Of the command line, without the hyphens. */
  readonly flag: string;
  readonly standard: number;
  readonly min: number;
  readonly max: number;
  readonly what: string;
}

/** By the name that the mixin's `_config` has. */
export const THRESHOLDS = {
  criticalFactor: {
    flag: 'critical-factor',
    standard: 5,
    min: 1,
    max: 1000,
    what: 'P99 above its budget is critical from this many times the budget on',
  },
  rateMin: {
    flag: 'rate-min',
    standard: 10,
    min: 0,
    max: 1e6,
    what: 'observations a second below which no latency alert fires: P99 of few is chance',
  },
  objective: {
    flag: 'objective',
    standard: 0.99,
    min: 0.5,
    max: 0.99999,
    what: 'share of observations that are to be within budget, for the burn rates',
  },
  packetRateMin: {
    flag: 'packet-rate-min',
    standard: 100,
    min: 0,
    max: 1e9,
    what: 'received packets a second below which no share of drops fires',
  },
  dropsWarning: {
    flag: 'drops-warning',
    standard: 0.0001,
    min: 0,
    max: 1,
    what: 'drops of one reason as a share of received packets: warning above it',
  },
  dropsCritical: {
    flag: 'drops-critical',
    standard: 0.01,
    min: 0,
    max: 1,
    what: 'the same share: critical above it',
  },
  interruptsMax: {
    flag: 'interrupts-max',
    standard: 100_000,
    min: 1,
    max: 1e9,
    what: 'interrupts a second on one CPU',
  },
  softirqMax: {
    flag: 'softirq-max',
    standard: 0.4,
    min: 0.01,
    max: 1,
    what: 'share of a CPU’s time in softirqs; an imbalance counts from half of it on',
  },
  imbalanceMax: {
    flag: 'imbalance-max',
    standard: 4,
    min: 1,
    max: 1000,
    what: 'how many times the packets of the next busiest CPU one CPU may take',
  },
  squeezesMax: {
    flag: 'squeezes-max',
    standard: 10,
    min: 0,
    max: 1e6,
    what: 'NET_RX runs a second on one CPU that end with work left',
  },
  eventsLostMax: {
    flag: 'events-lost-max',
    standard: 0.5,
    min: 0,
    max: 1,
    what: 'share of events (outliers, drops) that may be lost',
  },
  certificateWarningDays: {
    flag: 'certificate-warning-days',
    standard: 14,
    min: 0,
    max: 3650,
    what: 'days before the agent’s certificate expires: warning below it',
  },
  certificateCriticalDays: {
    flag: 'certificate-critical-days',
    standard: 3,
    min: 0,
    max: 3650,
    what: 'the same: critical below it',
  },
  costMax: {
    flag: 'cost-max',
    standard: 0.1,
    min: 0.001,
    max: 64,
    what: 'share of one CPU that the programs, or the agent’s process, may take',
  },
} as const satisfies Readonly<Record<string, Threshold>>;

export type ThresholdName = keyof typeof THRESHOLDS;
export const THRESHOLD_NAMES = Object.keys(THRESHOLDS) as readonly ThresholdName[];

export const HISTOGRAMS = ['auto', 'native', 'classic'] as const;
/** Which form of histogram the expressions read. */
export type Histograms = (typeof HISTOGRAMS)[number];

export interface RuleOptions {
  /** The scrape job of the agents. */
  readonly job: string;
  readonly histograms: Histograms;
  /** The window of rates; all other times are in proportion. */
  readonly windowMs: number;
  /** What the anchor of an alert's section is appended to. */
  readonly runbookUrl: string;
  /** Drop reasons that mean loss here, beside those of loss_reasons.ts. */
  readonly lossReasons: readonly string[];
  readonly thresholds: Readonly<Record<ThresholdName, number>>;
}

/** Times in the sources of the rules are meant for this window. */
export const WINDOW_STANDARD_MS = 300_000;
/** Shorter than four scrapes of a fast scraper no rate can be; longer no alert is in time. */
export const WINDOW_MIN_MS = 2_000;
export const WINDOW_MAX_MS = 3_600_000;

export const STANDARD_OPTIONS: RuleOptions = {
  job: 'rxscope',
  histograms: 'auto',
  windowMs: WINDOW_STANDARD_MS,
  // The file beside the rules, since where it is published is the operator's to say.
  runbookUrl: 'runbook.md',
  lossReasons: [],
  thresholds: Object.fromEntries(
    THRESHOLD_NAMES.map((name) => [name, THRESHOLDS[name].standard]),
  ) as Record<ThresholdName, number>,
};
