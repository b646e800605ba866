// The command line as a whole: dispatch, help, and how errors reach the user.
// Exit codes: 0 done, 1 a failure at run time, 2 a command line or configuration to be corrected.

import { Command, CommanderError } from 'commander';
import { VERSION } from '../agent/version.ts';
import { ConfigError } from '../config/problem.ts';
import { didYouMean } from '../config/suggest.ts';
import { checkConfigCommand } from './check_config.ts';
import { type Actions, examples } from './command.ts';
import { dashboardsCommand } from './dashboards.ts';
import { failure } from './failure.ts';
import { type CliIo, processIo } from './io.ts';
import { probesCommand } from './probes/command.ts';
import { recordCommand } from './record/command.ts';
import { rulesCommand } from './rules.ts';
import { runCommand } from './run.ts';
import { traceCommand } from './trace/command.ts';

/** Runs one command line (without `node` and the script) and resolves to the exit code. */
export async function runCli(
  argv: readonly string[],
  io: CliIo = processIo(),
  actions: Actions = agentActions,
): Promise<number> {
  let exitCode = 0;
  const exit = (code: number): void => {
    exitCode = code;
  };
  const context = { io, actions, exit };
  const program = new Command('rxscope')
    .description("Where a received packet's time goes inside the Linux kernel.")
    .version(`rxscope ${VERSION}`, '-V, --version', 'print the version')
    // `rxscope COMMAND --help` is the one way: commander's help command is mute about a typo.
    .helpCommand(false)
    .addCommand(runCommand(context))
    .addCommand(recordCommand(context))
    .addCommand(probesCommand(context))
    .addCommand(traceCommand(context))
    .addCommand(checkConfigCommand(context))
    .addCommand(rulesCommand(context))
    .addCommand(dashboardsCommand(context))
    .addHelpText('after', EXAMPLES);
  for (const command of [program, ...program.commands]) {
    command.helpOption('-h, --help', 'print this help').exitOverride();
    // Commander takes the value in --flag=value for a part of the typo; see whatIsWrong().
    command.showSuggestionAfterError(false);
    command.configureHelp({ styleTitle: (title) => io.outColors.bold(title) });
    command.configureOutput({
      writeOut: io.out,
      writeErr: io.err,
      getOutHasColors: () => io.outColors.isColorSupported,
      getErrHasColors: () => io.errColors.isColorSupported,
      outputError: (text) => io.err(usageError(command, text)),
    });
  }
  try {
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    return exitCodeOf(error, io);
  }
}

const EXAMPLES = `${examples([
  ['rxscope run', 'measure until stopped; metrics at http://127.0.0.1:10750/metrics'],
  ['rxscope record --duration 30s', 'measure once and print quantiles'],
  ['rxscope probes', 'what can be measured on this host, and why not the rest'],
  ['rxscope trace packet_latency', 'look closer with one of the bundled bpftrace scripts'],
  ['rxscope check-config rxscope.yaml', 'every problem of a configuration file'],
  ['rxscope rules --out rules', 'alerts for Prometheus, with their runbook'],
  ['rxscope dashboards --out dashboards', 'dashboards for Grafana'],
])}

Exit codes: 0 done, 1 failure at run time, 2 wrong usage or configuration.`;

/** Loaded when a command needs them: help and check-config work where the agent cannot start. */
const agentActions: Actions = {
  runAgent: async (options) => (await import('../agent/run.ts')).runAgent(options),
  recordOnce: async (options) => (await import('./record/record.ts')).recordOnce(options),
  listProbes: async (options) => (await import('./probes/probes.ts')).listProbes(options),
  traceOnce: async (options) => (await import('./trace/trace.ts')).traceOnce(options),
};

/** Commander's message as one line that says what is wrong, and one that says what to do. */
function usageError(command: Command, text: string): string {
  const name = command.parent === null ? command.name() : `rxscope ${command.name()}`;
  return `${name}: ${whatIsWrong(command, text)}\nSee \`${name} --help\`.\n`;
}

function whatIsWrong(command: Command, text: string): string {
  const what = text.trim().replace(/^error: /, '');
  if (what.startsWith('too many arguments')) {
    // Commander counts them; the first that is too much says more.
    return `unexpected argument '${command.args[command.registeredArguments.length]}'`;
  }
  const name = /^unknown command '(.+)'$/s.exec(what)?.[1];
  if (name !== undefined) return what + didYouMean(name, command.commands.map(nameOf));
  const flag = /^unknown option '(--[^'=]+)/.exec(what)?.[1];
  if (flag === undefined) return what;
  const owner = command.commands.find((candidate) => flagsOf(candidate).includes(flag));
  return owner === undefined
    ? what + didYouMean(flag, flagsOf(command))
    : `option '${flag}' belongs behind a command, as in rxscope ${owner.name()} ${flag}`;
}

function nameOf(command: Command): string {
  return command.name();
}

/** The long options that the help shows, --help among them. */
function flagsOf(command: Command): string[] {
  const options = command.createHelp().visibleOptions(command);
  return options.flatMap(({ long }) => (long == null ? [] : [long]));
}

function exitCodeOf(error: unknown, io: CliIo): number {
  if (error instanceof CommanderError) {
    // Already printed: help and version end with 0, all else is wrong usage.
    return error.exitCode === 0 ? 0 : 2;
  }
  const red = io.errColors.red;
  if (error instanceof ConfigError) {
    io.err(error.problems.map((problem) => `${red(problem)}\n`).join(''));
    return 2;
  }
  io.err(`${red(`rxscope: ${failure(error)}`)}\n`);
  return 1;
}
