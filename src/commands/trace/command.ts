// `rxscope trace`: a bundled bpftrace script, or the list of them. Here only its command line; what
// it does is in src/commands/trace/trace.ts.

import { Command } from 'commander';
import { type BundledScript, bundledScripts } from '../../capture/bpftrace/bundled.ts';
import { ConfigError } from '../../config/problem.ts';
import { didYouMean } from '../../config/suggest.ts';
import { type CliContext, durationOf, examples, withDuration } from '../command.ts';

interface TraceFlags {
  readonly duration?: string;
  readonly json?: boolean;
}

export function traceCommand({ io, actions, exit }: CliContext): Command {
  const command = new Command('trace')
    .description('Run a bundled bpftrace script and print what it measured; list them.')
    .usage('[options] [name]')
    .argument('[name]', 'which script (default: none, which lists them)');
  withDuration(command)
    .option('--json', 'JSON instead of text (default: off)')
    .addHelpText('after', EXAMPLES)
    .action(async (name: string | undefined, given: TraceFlags) => {
      const scripts = bundledScripts();
      const { json = false } = given;
      const durationMs = understood(name, given.duration, scripts);
      if (name === undefined)
        io.out(json ? `${JSON.stringify(scripts, null, 2)}\n` : list(scripts));
      else exit(await actions.traceOnce({ script: name, durationMs, json }));
    });
  return command;
}

const EXAMPLES = examples([
  ['rxscope trace', 'the scripts, and what each measures'],
  ['rxscope trace packet_latency', "three steps of each packet's way, for 10 seconds"],
  ['rxscope trace softirq_delay --duration 60s --json', 'for a script'],
]);

/** Throws a ConfigError with all that is wrong. */
function understood(
  name: string | undefined,
  duration: string | undefined,
  scripts: readonly BundledScript[],
): number {
  const names = scripts.map((script) => script.name);
  const checked = durationOf(duration);
  const problems: string[] = 'problem' in checked ? [checked.problem] : [];
  if (name !== undefined && !names.includes(name)) {
    const guess = didYouMean(name, names) || `; there are ${names.join(', ')}`;
    problems.push(`rxscope trace: no script "${name}"${guess}`);
  }
  if ('ms' in checked && problems.length === 0) return checked.ms;
  throw new ConfigError(problems);
}

function list(scripts: readonly BundledScript[]): string {
  const width = Math.max(...scripts.map(({ name }) => name.length));
  return scripts.map(({ name, summary }) => `${name.padEnd(width)}  ${summary}\n`).join('');
}
