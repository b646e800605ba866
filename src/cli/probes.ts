// `rxscope probes`: what can be measured here. Only its options; the rest is in src/agent/probes.ts.

import { Command } from 'commander';
import { effectiveConfig } from '../config/load.ts';
import { type CliContext, type CommonFlags, examples, withConfigFile } from './command.ts';

interface ProbesFlags extends CommonFlags {
  readonly json?: boolean;
}

export function probesCommand({ actions, exit }: CliContext): Command {
  const command = new Command('probes')
    .description('List every probe: up or why not, and how each program is attached.')
    .usage('[options]')
    .option('--json', 'JSON instead of a table (default: off)');
  withConfigFile(command)
    .addHelpText('after', EXAMPLES)
    .action(async ({ json = false, ...given }: ProbesFlags) => {
      const config = effectiveConfig({ configFile: given['config.file'] });
      exit(await actions.listProbes({ config, json }));
    });
  return command;
}

const EXAMPLES = examples([
  ['rxscope probes', 'a table'],
  ['rxscope probes --json', 'for a script'],
]);
