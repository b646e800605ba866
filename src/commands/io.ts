// Where the command line writes to and whether colours are welcome there.
// A value of its own so that tests can run commands in their own process.

import { type Colors, colorsFor } from '../terminal/colors.ts';
import { print } from '../terminal/output.ts';

export interface CliIo {
  out(text: string): void;
  err(text: string): void;
  readonly outColors: Colors;
  readonly errColors: Colors;
}

export function processIo(): CliIo {
  return {
    out: print,
    err: (text) => process.stderr.write(text),
    outColors: colorsFor(process.stdout),
    errColors: colorsFor(process.stderr),
  };
}
