#!/usr/bin/env node
// The executable: runs the command line of this process and hands its exit code to the shell. It imports
// nothing before its first line, so that hardly a moment is left for Node's own ideas of signals.

// Node opens its debugger at this one unless somebody listens.
process.on('SIGUSR1', () => {});

process.exitCode = await main().catch(async (error: unknown) => {
  const { failure } = await import('./failure.ts');
  // Nothing could be loaded that would say it better.
  process.stderr.write(`rxscope: ${failure(error)}\n`);
  return 1;
});
// What is still on its way to a pipe arrives before this. Node's own way out lets go of signals first, and
// one that came then would make a failure of it.
process.once('beforeExit', () => process.exit());

async function main(): Promise<number> {
  const { closeDebugger, endSoonWhenAsked, heedSignals } = await import('../agent/signals.ts');
  heedSignals();
  const { heedOutputErrors } = await import('../terminal/output.ts');
  heedOutputErrors();
  const { runCli } = await import('./program.ts');
  // A signal that came just before ours were heeded may have opened it meanwhile.
  closeDebugger();
  const code = await runCli(process.argv.slice(2));
  endSoonWhenAsked();
  return code;
}
