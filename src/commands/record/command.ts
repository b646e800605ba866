// `rxscope record`: measures once. Here only its options; what it does is in src/commands/record/record.ts.

import { Command } from 'commander';
import { effectiveConfig } from '../../config/load.ts';
import { ConfigError } from '../../config/problem.ts';
import type { Config } from '../../config/schema.ts';
import {
  type CliContext,
  type CommonFlags,
  durationOf,
  examples,
  withConfigFile,
  withDuration,
  withProbe,
} from '../command.ts';

interface RecordFlags extends CommonFlags {
  readonly duration?: string;
  readonly json?: boolean;
  readonly exact?: boolean;
}

export function recordCommand({ actions, exit }: CliContext): Command {
  const command = new Command('record')
    .description('Measure once; print a histogram and quantiles for each probe.')
    .usage('[options]');
  withDuration(command)
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
  const duration = durationOf(given.duration);
  const problems = 'problem' in duration ? [duration.problem] : [];
  try {
    const config = effectiveConfig({ configFile: given['config.file'], probes: given.probe });
    if ('ms' in duration) return { config, durationMs: duration.ms };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    problems.push(...error.problems);
  }
  throw new ConfigError(problems);
}
