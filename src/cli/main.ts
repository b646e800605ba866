#!/usr/bin/env node
// The executable: runs the command line of this process and hands its exit code to the shell.

import { runCli } from './program.ts';

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // The reader has seen enough, as in `rxscope record | head -1`: no failure of ours.
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

// Set rather than process.exit(): what is still on its way to a pipe must arrive.
process.exitCode = await runCli(process.argv.slice(2));
