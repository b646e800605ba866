// What a command prints on standard output, whole or not at all, and what happens when that fails.

import { fstatSync, writeFileSync } from 'node:fs';

const STDOUT = 1;

/** Throws where standard output is a file that takes no more; what else goes wrong is told later. */
export function print(text: string): void {
  if (!isFile()) {
    process.stdout.write(text);
    return;
  }
  try {
    // Node's own stream takes a part that was written for the whole: on a disk that fills, the rest is gone.
    writeFileSync(STDOUT, text);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw Object.assign(new Error(unprintable(code ?? message)), { code });
  }
}

/** Pipes, sockets and terminals may take their time, which their streams know how to wait for. */
function isFile(): boolean {
  const stats = fstatSync(STDOUT);
  return !(process.stdout.isTTY || stats.isFIFO() || stats.isSocket());
}

/** To be called once. Without it an error of a stream is an uncaught exception. */
export function heedOutputErrors(): void {
  // There is nobody left to tell.
  process.stderr.on('error', () => {});
  process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
    // The reader has seen enough, as in `rxscope record | head -1`: no failure of ours.
    if (code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED') return;
    // Whatever the command itself says of its success.
    process.once('exit', () => {
      process.exitCode = 1;
    });
    process.stderr.write(`rxscope: ${unprintable(code ?? message)}\n`);
  });
}

function unprintable(code: string): string {
  return `cannot write to standard output: ${WHY[code] ?? code}`;
}

const WHY: Readonly<Record<string, string>> = {
  ENOSPC: 'ENOSPC, no space is left on the device',
  EDQUOT: 'EDQUOT, the quota is used up',
  EFBIG: 'EFBIG, the file would be larger than is allowed',
  EIO: 'EIO, the device or the terminal is gone',
};
