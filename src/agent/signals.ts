// What signals mean to every command, from its first line on. main.ts loads this before all else, so
// it needs next to nothing itself.
//
// Handlers stay for as long as the process lives: a signal that arrives while programs are loaded, which
// takes most of a second in one piece, is heard right after, whoever listens then.

/** How long a command that was asked to end may still take to hand over what it has printed. */
const LAST_WORDS_MS = 1000;

/** Signals that mean nothing here. */
export const STRAY = ['SIGUSR1', 'SIGUSR2', 'SIGIO'] as const;

const ending = new AbortController();
let inOrder = false;
let hangUps = 0;
let onHangUp: (() => void) | undefined;

/** Aborted once a signal has asked the command to end; the reason is its name. */
export const askedToEnd: AbortSignal = ending.signal;

/** To be called once, by the process' first line. */
export function heedSignals(): void {
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  process.on('SIGHUP', () => {
    hangUps++;
    onHangUp?.();
  });
  // Node opens its debugger at SIGUSR1 unless somebody listens; the other two would end the process. Who
  // sends them means something that we have not, such as a log file to open anew.
  for (const signal of STRAY) process.on(signal, () => {});
  closeDebugger();
}

function end(signal: NodeJS.Signals): void {
  // Nothing is held yet that would have to be given back. An agent that is stopped early has not failed;
  // who asked for an answer has got none.
  if (!inOrder) process.exit(process.argv[2] === 'run' ? 0 : 1);
  ending.abort(signal);
}

/** From now on a signal does not end the process but is told by `askedToEnd`. */
export function endInOrder(): void {
  inOrder = true;
}

/** What SIGHUP means to `run`. One that came before is answered now. */
export function reloadAtHangUp(reload: () => void): void {
  onHangUp = reload;
  if (hangUps > 0) reload();
}

/** What SIGHUP means to a command that measures once: its terminal is gone. */
export function endAtHangUp(): void {
  reloadAtHangUp(() => end('SIGHUP'));
}

/**
 * Whoever connects to Node's debugger runs code as this process, and any user of the host may connect.
 * It is open where somebody asked for it (--inspect, NODE_OPTIONS), or sent SIGUSR1 before our first line.
 */
export function closeDebugger(): void {
  const inspector = process.features.inspector
    ? process.getBuiltinModule('node:inspector')
    : undefined;
  const url = inspector?.url();
  if (inspector === undefined || url === undefined) return;
  inspector.close();
  process.stderr.write(
    `rxscope: closed Node's debugger (${url}), by which any user of this host could run code as this one\n`,
  );
}

/** The command is done: once it is asked to end, too, a reader that does not read delays that no longer. */
export function endSoonWhenAsked(): void {
  if (onHangUp === undefined) endAtHangUp();
  const leave = (): void => {
    setTimeout(() => process.exit(), LAST_WORDS_MS).unref();
  };
  if (askedToEnd.aborted) leave();
  else askedToEnd.addEventListener('abort', leave);
}
