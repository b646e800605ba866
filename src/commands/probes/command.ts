// `rxscope probes`: what can be measured here. Only its options; the rest is in src/commands/probes/probes.ts.

import { Command, InvalidArgumentError } from 'commander';
import { ATTACHES, type Attach } from '../../capture/hooks.ts';
import { effectiveConfig } from '../../config/load.ts';
import { alternatives } from '../../config/problem.ts';
import { didYouMean } from '../../config/suggest.ts';
import { type CliContext, type CommonFlags, examples, withConfigFile } from '../command.ts';

type Rung = Attach | 'bpftrace';

const RUNGS: readonly Rung[] = [...ATTACHES, 'bpftrace'];

interface ProbesFlags extends CommonFlags {
  readonly json?: boolean;
  readonly try?: Rung;
}

export function probesCommand({ actions, exit }: CliContext): Command {
  const command = new Command('probes')
    .description('List every probe: up or why not, and how each program is attached.')
    .usage('[options]')
    .option(
      '--try <rung>',
      `try only this way of attaching, where it can be: ${alternatives(RUNGS)} (default: all)`,
      rungOf,
    )
    .option('--json', 'JSON instead of a table (default: off)');
  withConfigFile(command)
    .addHelpText('after', EXAMPLES)
    .action(async ({ json = false, try: rung, ...given }: ProbesFlags) => {
      const config = effectiveConfig({ configFile: given['config.file'] });
      exit(await actions.listProbes({ config, json, ...(rung === undefined ? {} : { rung }) }));
    });
  return command;
}

const EXAMPLES = examples([
  ['rxscope probes', 'a table'],
  ['rxscope probes --try raw_tp', 'would raw tracepoints do here?'],
  ['rxscope probes --json', 'for a script'],
]);

function rungOf(given: string): Rung {
  const rung = RUNGS.find((candidate) => candidate === given);
  if (rung !== undefined) return rung;
  throw new InvalidArgumentError(`expected ${alternatives(RUNGS)}${didYouMean(given, RUNGS)}`);
}
