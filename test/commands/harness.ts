// Runs a command line in this process, with its output captured and the agent's actions recorded.

import pc from 'picocolors';
import type { RunOptions } from '../../src/agent/run.ts';
import type { Actions } from '../../src/commands/command.ts';
import type { ProbesOptions, RecordOptions, TraceOptions } from '../../src/commands/options.ts';
import { runCli } from '../../src/commands/program.ts';

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** What reached the agent, in order. */
  readonly run: readonly RunOptions[];
  readonly record: readonly RecordOptions[];
  readonly probes: readonly ProbesOptions[];
  readonly trace: readonly TraceOptions[];
}

/** `act` is what every action does; it resolves to the exit code. */
export async function cli(
  argv: readonly string[],
  act: () => Promise<number> = async () => 0,
  colors = false,
): Promise<Outcome> {
  let out = '';
  let err = '';
  const run: RunOptions[] = [];
  const record: RecordOptions[] = [];
  const probes: ProbesOptions[] = [];
  const trace: TraceOptions[] = [];
  const actions: Actions = {
    runAgent: (options) => {
      run.push(options);
      return act();
    },
    recordOnce: (options) => {
      record.push(options);
      return act();
    },
    listProbes: (options) => {
      probes.push(options);
      return act();
    },
    traceOnce: (options) => {
      trace.push(options);
      return act();
    },
  };
  const io = {
    out: (text: string) => {
      out += text;
    },
    err: (text: string) => {
      err += text;
    },
    outColors: pc.createColors(colors),
    errColors: pc.createColors(colors),
  };
  const code = await runCli(argv, io, actions);
  return { code, out, err, run, record, probes, trace };
}
