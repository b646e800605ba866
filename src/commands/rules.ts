// `rxscope rules`: recording and alerting rules for Prometheus. Only its options; the rules are made in
// src/publish/rules. No agent is asked: thresholds on latency come from the agents' metrics themselves.

import { Command } from 'commander';
import { alternatives, ConfigError, gotExpected } from '../config/problem.ts';
import { didYouMean } from '../config/suggest.ts';
import { formatDuration, parseDuration } from '../publish/rules/duration.ts';
import { ruleFiles, rulesYaml } from '../publish/rules/files.ts';
import {
  HISTOGRAMS,
  type Histograms,
  type RuleOptions,
  STANDARD_OPTIONS,
  THRESHOLD_NAMES,
  THRESHOLDS,
  type ThresholdName,
  WINDOW_MAX_MS,
  WINDOW_MIN_MS,
} from '../publish/rules/options.ts';
import { type CliContext, examples } from './command.ts';
import { writeFiles } from './output_files.ts';

/** Thresholds are here, too, by commander's name: camel case of the flag. */
interface RulesFlags extends Readonly<Record<string, unknown>> {
  readonly out?: string;
  readonly job?: string;
  readonly histograms?: string;
  readonly window?: string;
  readonly runbookUrl?: string;
  readonly lossReason?: readonly string[];
}

export function rulesCommand({ io }: CliContext): Command {
  const { job, histograms, windowMs, runbookUrl } = STANDARD_OPTIONS;
  const command = new Command('rules')
    .description(
      'Print recording and alerting rules for Prometheus, or write them with runbook and mixin.',
    )
    .option(
      '--out <dir>',
      'write rules, runbook, PrometheusRule and mixin there (default: print the rules)',
    )
    .option('--job <name>', `scrape job of the agents (default: ${job})`)
    .option(
      '--histograms <form>',
      `which histograms to read: ${alternatives(HISTOGRAMS)} (default: ${histograms}, native where there are any)`,
    )
    .option(
      '--window <time>',
      `window of rates; all other times are in proportion, and recorded names tell theirs: short to try the rules (default: ${formatDuration(windowMs)})`,
    )
    .option(
      '--runbook-url <url>',
      `where the runbook is published, for runbook_url (default: ${runbookUrl}, the file beside the rules)`,
    )
    .option(
      '--loss-reason <reason>',
      'a further reason of drops that means loss here, such as NO_SOCKET; may be given several times (default: none)',
      (reason: string, previous: readonly string[] = []) => [...previous, reason],
    );
  for (const name of THRESHOLD_NAMES) {
    const { flag, what, standard } = THRESHOLDS[name];
    command.option(`--${flag} <number>`, `${what} (default: ${standard})`);
  }
  return command.addHelpText('after', EXAMPLES).action((flags: RulesFlags) => {
    const options = optionsOf(flags);
    if (flags.out === undefined) io.out(rulesYaml(options));
    else writeFiles(flags.out, ruleFiles(options), io.out);
  });
}

const EXAMPLES = examples([
  ['rxscope rules > rxscope.rules.yaml', 'for rule_files of Prometheus'],
  ['rxscope rules --out /etc/prometheus/rxscope', 'with runbook, PrometheusRule and mixin'],
  ['rxscope rules --job net --drops-warning 0.001', 'for another job, with another threshold'],
  ['rxscope rules --window 15s', 'all times at a twentieth, to try the alerts'],
]);

/** Throws a ConfigError with all that is wrong. */
function optionsOf(flags: RulesFlags): RuleOptions {
  const problems: string[] = [];
  const wrong = <T>(flag: string, got: unknown, expected: string, instead: T): T => {
    problems.push(`--${flag}: ${gotExpected(got, expected)}`);
    return instead;
  };
  const { out: _, ...given } = flags;
  const { job = STANDARD_OPTIONS.job, lossReason: lossReasons = [] } = given;
  if (job.trim() === '') wrong('job', job, 'the name of a scrape job', job);
  for (const reason of lossReasons) {
    if (!/^\w+$/.test(reason)) wrong('loss-reason', reason, 'a reason such as NO_SOCKET', reason);
  }
  const options: RuleOptions = {
    job,
    lossReasons,
    histograms: histogramsOf(given.histograms, wrong),
    windowMs: windowOf(given.window, wrong),
    runbookUrl: runbookOf(given.runbookUrl, wrong),
    thresholds: Object.fromEntries(
      THRESHOLD_NAMES.map((name) => [name, thresholdOf(name, given, wrong)]),
    ) as Record<ThresholdName, number>,
  };
  if (problems.length > 0) throw new ConfigError(problems);
  return options;
}

type Wrong = <T>(flag: string, got: unknown, expected: string, instead: T) => T;

function histogramsOf(given: string | undefined, wrong: Wrong): Histograms {
  if (given === undefined) return STANDARD_OPTIONS.histograms;
  const form = HISTOGRAMS.find((candidate) => candidate === given);
  const expected = `${alternatives(HISTOGRAMS)}${didYouMean(given, HISTOGRAMS)}`;
  return form ?? wrong('histograms', given, expected, 'auto');
}

function windowOf(given: string | undefined, wrong: Wrong): number {
  if (given === undefined) return STANDARD_OPTIONS.windowMs;
  const ms = parseDuration(given);
  if (ms !== undefined && ms >= WINDOW_MIN_MS && ms <= WINDOW_MAX_MS) return ms;
  const [min, max] = [formatDuration(WINDOW_MIN_MS), formatDuration(WINDOW_MAX_MS)];
  return wrong(
    'window',
    given,
    `a duration of Prometheus such as 5m or 15s, from ${min} to ${max}`,
    0,
  );
}

function runbookOf(given: string | undefined, wrong: Wrong): string {
  if (given === undefined) return STANDARD_OPTIONS.runbookUrl;
  // The section's anchor comes behind it; a template would be filled in by Prometheus.
  if (/^[^\s#{}]+$/.test(given)) return given;
  return wrong('runbook-url', given, 'an address without # and spaces', '');
}

function thresholdOf(name: ThresholdName, given: RulesFlags, wrong: Wrong): number {
  const { flag, standard, min, max } = THRESHOLDS[name];
  const text = given[flag.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())];
  if (text === undefined) return standard;
  const value = typeof text === 'string' && text.trim() !== '' ? Number(text) : Number.NaN;
  // Not a number compares with nothing.
  return value >= min && value <= max
    ? value
    : wrong(flag, text, `a number from ${min} to ${max}`, standard);
}
