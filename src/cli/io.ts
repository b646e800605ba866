// Where the command line writes to and whether colours are welcome there.
// A value of its own so that tests can run commands in their own process.

import pc from 'picocolors';

type Colors = ReturnType<typeof pc.createColors>;

export interface CliIo {
  out(text: string): void;
  err(text: string): void;
  readonly outColors: Colors;
  readonly errColors: Colors;
}

export function processIo(): CliIo {
  return {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    outColors: pc.createColors(wantsColors(process.stdout)),
    errColors: pc.createColors(wantsColors(process.stderr)),
  };
}

/** picocolors looks at stdout only and takes CI for a terminal: here each stream decides. */
function wantsColors(stream: { readonly isTTY?: boolean }): boolean {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
  if (NO_COLOR) return false;
  return Boolean(FORCE_COLOR) || (stream.isTTY === true && TERM !== 'dumb');
}
