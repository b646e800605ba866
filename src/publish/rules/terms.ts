// The parts of an expression that can be chosen: selector, times, thresholds. The rules are written once,
// in these terms; the command line fills in values, the mixin variables of its own.

import { formatDuration } from './duration.ts';
import { anyOf, LOSS_REASONS } from './loss_reasons.ts';
import { type RuleOptions, type ThresholdName, WINDOW_STANDARD_MS } from './options.ts';
import { withoutRemoved } from './removed.ts';

export interface Terms {
  /** What stands between the braces of every selector. */
  readonly selector: string;
  /** A time that is meant for a window of five minutes, such as a window or how long to wait. */
  time(seconds: number): string;
  /** How often a group is evaluated: as `time`, but never longer than it says. */
  interval(seconds: number): string;
  threshold(name: ThresholdName): string;
  /** A share, or a part of it, as people read it: for the runbook, which no mixin has. */
  percent(name: ThresholdName, part?: number): string;
  /** The value of a matcher that takes the reasons of a loss. */
  readonly lossReasons: string;
  /** An expression on native histograms, and one on classic ones that yields the same labels. */
  either(native: string, classic: string): string;
  /** Where the section of an alert is. */
  runbookUrl(alert: string): string;
}

export const MINUTE = 60;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** The rates' window and, for what has to go on, one in which it must come again. */
export const WINDOW = 5 * MINUTE;
export const SHORT_WINDOW = 2 * MINUTE;

export function termsOf(options: RuleOptions): Terms {
  const { job, histograms, windowMs, runbookUrl, lossReasons, thresholds } = options;
  const inProportion = (ms: number): number => (ms * windowMs) / WINDOW_STANDARD_MS;
  return {
    selector: `job=${JSON.stringify(job)}`,
    time: (seconds) => formatDuration(inProportion(seconds * 1000)),
    // Prometheus looks back five minutes for a sample, whatever the window: a longer interval leaves gaps.
    interval: (seconds) => formatDuration(Math.min(inProportion(seconds * 1000), seconds * 1000)),
    threshold: (name) => String(thresholds[name]),
    // Rounded: 0.07 × 100 is 7.000000000000001.
    percent: (name, part = 1) => `${Number((thresholds[name] * part * 100).toPrecision(9))} %`,
    lossReasons: anyOf([...Object.keys(LOSS_REASONS), ...lossReasons]),
    either: (native, classic) => {
      if (histograms === 'native') return native;
      return histograms === 'classic' ? classic : eitherOf(native, classic);
    },
    runbookUrl: (alert) => `${runbookUrl}#${anchor(alert)}`,
  };
}

/** Native where a target sends it, else classic: Prometheus keeps the former only, up to 2.x. */
function eitherOf(native: string, classic: string): string {
  return `(\n  ${native}\nor\n  ${classic}\n)`;
}

/** Of a heading in Markdown, as the usual renderers make it. */
export function anchor(heading: string): string {
  return heading.toLowerCase();
}

/** `name{job="rxscope",more}`. */
export function series(terms: Terms, name: string, more = ''): string {
  return `${name}{${terms.selector}${more === '' ? '' : `,${more}`}}`;
}

/** `rate(name{…}[5m])`. */
export function rate(terms: Terms, name: string, more = '', seconds = WINDOW): string {
  return `rate(${series(terms, name, withoutRemoved(name, more))}[${terms.time(seconds)}])`;
}

/** The same for the number in that time, in which a rare event is easier to read. */
export function increase(terms: Terms, name: string, more = '', seconds = WINDOW): string {
  return `increase(${series(terms, name, withoutRemoved(name, more))}[${terms.time(seconds)}])`;
}
