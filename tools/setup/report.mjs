// How the set-up speaks: one line for what it does, and what/why/do for what it cannot do.
// Everything goes to stderr, so that stdout stays the agent's and the test runner's.

import { spawn } from 'node:child_process';
import { constants } from 'node:os';

/** A failure that the reader can mend: what failed, why, and what to do by hand. */
export class SetupError extends Error {
  constructor(what, why, remedy) {
    super([what, ...[why, remedy].flatMap((text) => text.split('\n')).map(indent)].join('\n'));
    this.name = 'SetupError';
  }
}

export function say(line) {
  process.stderr.write(`rxscope setup: ${line}\n`);
}

/** Says what is about to happen, lets it happen, and says how long it took. */
export async function step(label, work) {
  const startedMs = performance.now();
  say(`${label} …`);
  const result = await work();
  say(`  done in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
  return result;
}

/** Ends the process with the message of a SetupError, or with the stack of a fault of ours. */
export function fail(error) {
  if (error instanceof SetupError) say(error.message);
  else process.stderr.write(`${error?.stack ?? error}\n`);
  process.exit(1);
}

/** How much of a command's output is kept: what it said first, and what it said last. */
const HEAD_CHARS = 1500;
const TAIL_CHARS = 2500;

/**
 * Runs a command without showing its output and resolves to its exit code (127 when there is no
 * such command, 128+n when a signal ended it) and the two ends of its output. Never rejects.
 */
export function run(command, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    let head = '';
    let tail = '';
    const keep = (chunk) => {
      const room = HEAD_CHARS - head.length;
      head += chunk.slice(0, room);
      const rest = tail + chunk.slice(room);
      tail = rest.length > TAIL_CHARS ? `\n…\n${rest.slice(-TAIL_CHARS)}` : rest;
    };
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    child.on('error', (error) => resolve({ code: 127, output: `${command}: ${error.message}` }));
    child.on('close', (code, signal) => {
      resolve({ code: code ?? 128 + constants.signals[signal], output: `${head}${tail}`.trim() });
    });
  });
}

function indent(line) {
  return `  ${line}`;
}
