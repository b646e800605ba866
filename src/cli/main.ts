#!/usr/bin/env node
// The executable: runs the command line of this process and hands its exit code to the shell. Loads
// what it needs only when signals are heeded, so that hardly a moment is left for Node's own ideas of them.

import { failure } from '../agent/failure.ts';
import { heedOutputErrors } from '../agent/output.ts';
import { closeDebugger, endSoonWhenAsked, heedSignals } from '../agent/signals.ts';

heedSignals();
heedOutputErrors();
const code = await run();
// Set rather than process.exit(): what is still on its way to a pipe must arrive. An error of the output
// has set it already.
process.exitCode ||= code;
endSoonWhenAsked();

async function run(): Promise<number> {
  try {
    const { runCli } = await import('./program.ts');
    // A signal that came just before ours were heeded may have opened it meanwhile.
    closeDebugger();
    return await runCli(process.argv.slice(2));
  } catch (error) {
    // Nothing could be loaded that would say it better.
    process.stderr.write(`rxscope: ${failure(error)}\n`);
    return 1;
  }
}
