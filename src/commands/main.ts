#!/usr/bin/env node
// The executable: runs the command line of this process and hands its exit code to the shell. It imports
// nothing before its first line, so that hardly a moment is left for Node's own ideas of signals.

// Node opens its debugger at this one unless somebody listens.
process.on('SIGUSR1', () => {});

// V8 is made for pages that want all of a machine; the agent is a guest on it. test/bench/README.md has what
// each brings. These may be set while V8 runs, in Node 20, 22 and 24; --single-threaded-gc, for one, breaks it.
const SPARING = [
  // To compile what runs a few times a minute costs more than it saves, and most of the memory.
  '--no-opt',
  '--no-maglev',
  // The young generation stays at the 1 MB that it begins with.
  '--semi-space-growth-factor=1',
  // The old one is collected when so much more than what lived at the last time is there.
  '--heap-growing-percent=20',
];
if (process.argv[2] === 'run')
  for (const flag of SPARING) process.getBuiltinModule('node:v8').setFlagsFromString(flag);

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
  // Once descriptors are short, it could not be loaded any more.
  await import('./failure.ts');
  const { runCli } = await import('./program.ts');
  // A signal that came just before ours were heeded may have opened it meanwhile.
  closeDebugger();
  const code = await runCli(process.argv.slice(2));
  endSoonWhenAsked();
  return code;
}
