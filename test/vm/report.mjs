// How a script in a guest tells the test outside what it measured: one JSON object a line.
// Plain JavaScript, like all that runs in a guest: Node 20 cannot run TypeScript.

/** Prints one line. Histograms become lists of numbers. */
export function report(line) {
  const plain = (_, value) => (ArrayBuffer.isView(value) ? Array.from(value) : value);
  process.stdout.write(`${JSON.stringify(line, plain)}\n`);
}

/** The part of what was captured that JSON can carry; guest.ts puts the rest together again. */
export function plainCaptured({ states, reading, observations, seconds }) {
  return { states, reading, observations, seconds };
}
