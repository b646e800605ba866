// `rxscope record`: measures once. Here only its options; what it does is in src/agent/record.ts.

import { Command } from 'commander';
import { checkDuration } from '../config/duration.ts';
import { effectiveConfig } from '../config/load.ts';
import { ConfigError, gotExpected } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import {
  type CliContext,
  type CommonFlags,
  examples,
  withConfigFile,
  withProbe,
} from './command.ts';

interface RecordFlags extends CommonFlags {
  readonly duration?: string;
  readonly json?: boolean;
  readonly exact?: boolean;
}

const DURATION_DEFAULT = '10s';
/** Shorter, and attaching the programs takes longer than measuring. */
const DURATION_MIN_NS = 100_000_000;
/** An hour: who wants to measure for longer wants `rxscope run`. */
const DURATION_MAX_NS = 3_600_000_000_000;

export function recordCommand({ actions, exit }: CliContext): Command {
  const command = new Command('record')
    .description('Measure once; print a histogram and quantiles for each probe.')
    .usage('[options]')
    .option(
      '--duration <time>',
      `how long to measure, such as 500ms or 60s (default: ${DURATION_DEFAULT})`,
    )
    .option('--json', 'JSON instead of tables (default: off)')
    .option('--exact', 'quantiles from every single observation (default: off)');
  withConfigFile(withProbe(command))
    .addHelpText('after', EXAMPLES)
    .action(async (given: RecordFlags) => {
      const { config, durationMs } = understood(given);
      const { json = false, exact = false } = given;
      exit(await actions.recordOnce({ config, durationMs, json, exact }));
    });
  return command;
}

const EXAMPLES = examples([
  ['rxscope record', 'all probes for 10 seconds'],
  ['rxscope record --duration 60s --json', 'for a script'],
  ['rxscope record --exact --probe receive_to_socket', 'exact quantiles of one probe'],
]);

/** Reports a bad duration together with what is wrong with the configuration. */
function understood(given: RecordFlags): { config: Config; durationMs: number } {
  const text = given.duration ?? DURATION_DEFAULT;
  const duration = checkDuration(text, DURATION_MIN_NS, DURATION_MAX_NS);
  const problems: string[] = [];
  if ('expected' in duration) problems.push(`--duration: ${gotExpected(text, duration.expected)}`);
  try {
    const config = effectiveConfig({ configFile: given['config.file'], probes: given.probe });
    if ('ns' in duration) return { config, durationMs: duration.ns / 1e6 };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    problems.push(...error.problems);
  }
  throw new ConfigError(problems);
}
