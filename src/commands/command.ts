// What the commands have in common: their context, and the options that several of them take.
// Options carry no default of commander's: a flag that is not given must not override the file.

import type { Command } from 'commander';
import type { RunOptions } from '../agent/run.ts';
import { checkDuration } from '../config/duration.ts';
import { gotExpected } from '../config/problem.ts';
import { CATALOGUE } from '../probes/index.ts';
import type { CliIo } from './io.ts';
import type { ProbesOptions, RecordOptions, TraceOptions } from './options.ts';

/** What the commands start. Each resolves to the exit code: 0 or 1. */
export interface Actions {
  runAgent(options: RunOptions): Promise<number>;
  recordOnce(options: RecordOptions): Promise<number>;
  listProbes(options: ProbesOptions): Promise<number>;
  traceOnce(options: TraceOptions): Promise<number>;
}

export interface CliContext {
  readonly io: CliIo;
  readonly actions: Actions;
  /** Says with which code the process is to end; 0 unless said. */
  exit(code: number): void;
}

/** Commander keeps a dot in an option's attribute name and camel-cases what follows a hyphen. */
export interface CommonFlags {
  readonly 'config.file'?: string;
  readonly probe?: readonly string[];
}

export function withConfigFile(command: Command): Command {
  return command.option('--config.file <file>', 'YAML file with the configuration (default: none)');
}

export function withProbe(command: Command): Command {
  const ids = CATALOGUE.map(({ id }) => id).join(', ');
  return command.option(
    '--probe <id>',
    `only this probe; may be given several times: ${ids} (default: those the file enables)`,
    (id: string, previous: readonly string[] = []) => [...previous, id],
  );
}

const DURATION_DEFAULT = '10s';
/** Shorter, and attaching the programs takes longer than measuring. */
const DURATION_MIN_NS = 100_000_000;
/** An hour: who wants to measure for longer wants `rxscope run`. */
const DURATION_MAX_NS = 3_600_000_000_000;

export function withDuration(command: Command): Command {
  return command.option(
    '--duration <time>',
    `how long to measure, such as 500ms or 60s (default: ${DURATION_DEFAULT})`,
  );
}

/** The value of `--duration`, or what is wrong with it. */
export function durationOf(
  text = DURATION_DEFAULT,
): { readonly ms: number } | { readonly problem: string } {
  const duration = checkDuration(text, DURATION_MIN_NS, DURATION_MAX_NS);
  return 'ns' in duration
    ? { ms: duration.ns / 1e6 }
    : { problem: `--duration: ${gotExpected(text, duration.expected)}` };
}

/** Examples at the end of a command's help: the line to type and what it does. */
export function examples(lines: readonly (readonly [string, string])[]): string {
  const width = Math.max(...lines.map(([line]) => line.length));
  const rows = lines.map(([line, what]) => `  ${line.padEnd(width)}  ${what}`);
  return ['', 'Examples:', ...rows].join('\n');
}
