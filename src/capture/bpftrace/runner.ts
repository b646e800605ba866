// Runs one bpftrace script: its output as a checked stream, its complaints as one sentence.
// No shell, no restart (supervisor.ts), no mount: what the host lacks is said, not changed.
//
// The script lives in a process group of its own, so that a Ctrl-C meant for the agent does not end
// it first, and the kernel kills it when the agent dies, however the agent dies (pdeathsig).

import { execa } from 'execa';
import { childEnvironment } from './child_environment.ts';
import { explainBpftrace, isPassing, relevant } from './explain.ts';
import { type Bpftrace, findProgram, tracefsMounted } from './find.ts';
import { KeptText, LineSplitter } from './lines.ts';
import { parseOutput, type ScriptOutput, ScriptOutputError } from './output.ts';

export interface ScriptOptions {
  readonly bpftrace: Bpftrace;
  /** Path of the script. */
  readonly file: string;
  /** The script's text where it is not the file's: given to bpftrace on stdin. */
  readonly source?: string;
  /** The script's `$1`, `$2`, … */
  readonly args?: readonly string[];
  /** Ends the script like `stop`. */
  readonly signal?: AbortSignal;
  /** How long it may take to print and end, once told to; a second unless said. */
  readonly stopMsMax?: number;
  onOutput(output: ScriptOutput): void;
  /** A line that is no output of bpftrace, or too long; the script goes on. */
  onProblem?(problem: string): void;
}

export interface ScriptEnd {
  /** Undefined when it ended as it should: by itself without an error, or because of `stop`. */
  readonly reason?: string;
  /** The reason may be over a moment later. */
  readonly passing?: true;
  /** What it wrote there, the first 16 KiB, less what it always says. */
  readonly stderr: string;
}

export interface RunningScript {
  readonly pid: number | undefined;
  /** Never rejects. All output was handed over before. */
  readonly done: Promise<ScriptEnd>;
  /** Has it print all its maps. Only after its first printf: before, the signal would end it. */
  askForMaps(): void;
  /** Lets END run and the maps be printed; kills what does not end within `stopMsMax`. */
  stop(): Promise<ScriptEnd>;
}

/** A map of 4,096 histograms in JSON has 7 MB. */
const LINE_BYTES_MAX = 1 << 23;
const STDERR_BYTES_MAX = 1 << 14;
const STOP_MS_MAX = 1000;
const AGAIN_MS = 200;

/** Starts at once; whatever goes wrong, starting included, is the reason of `done`. */
export function startScript(options: ScriptOptions): RunningScript {
  const [program, args] = commandOf(options);
  const child = execa(program, args, {
    env: childEnvironment(),
    extendEnv: false,
    stdin: options.source === undefined ? 'ignore' : 'pipe',
    ...(options.source === undefined ? {} : { input: options.source }),
    stdout: 'pipe',
    stderr: 'pipe',
    buffer: false,
    reject: false,
    detached: true,
    cleanup: false,
  });
  const complaints = new KeptText(STDERR_BYTES_MAX);
  const lines = new LineSplitter(LINE_BYTES_MAX, (line) => handOver(line, options), 'latin1');
  child.stdout.on('data', (chunk: Buffer) => lines.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => complaints.push(chunk));

  let stopping = false;
  let ended = false;
  const send = (signal: NodeJS.Signals): void => {
    if (!ended && child.pid !== undefined) signalGroup(child.pid, signal);
  };
  const done = child.then(({ failed, isTerminated, signal, exitCode, shortMessage }): ScriptEnd => {
    ended = true;
    lines.end();
    options.signal?.removeEventListener('abort', abort);
    if (lines.tooLong > 0) options.onProblem?.(`${lines.tooLong} lines were too long`);
    const stderr = relevant(complaints.toString());
    if (!failed || stopping) return { stderr };
    if (isTerminated) return { reason: `bpftrace was ended by ${signal}`, stderr };
    if (exitCode === undefined)
      return { reason: `bpftrace cannot be run: ${shortMessage}`, stderr };
    return {
      reason: explainBpftrace(stderr, { tracefs: tracefsMounted() }),
      ...(isPassing(stderr) ? { passing: true } : {}),
      stderr,
    };
  });
  const stop = (): Promise<ScriptEnd> => {
    if (!stopping) {
      stopping = true;
      send('SIGTERM');
      // bpftrace 0.17 overlooks a signal that comes while it handles an event. A second SIGINT would
      // end it while it prints; SIGTERM does not.
      const again = setInterval(() => send('SIGTERM'), AGAIN_MS);
      const timer = setTimeout(() => send('SIGKILL'), options.stopMsMax ?? STOP_MS_MAX);
      void done.then(() => {
        clearInterval(again);
        clearTimeout(timer);
      });
    }
    return done;
  };
  const abort = (): void => void stop();
  options.signal?.addEventListener('abort', abort, { once: true });
  if (options.signal?.aborted) abort();
  return { pid: child.pid, done, stop, askForMaps: () => send('SIGUSR1') };
}

function commandOf({ bpftrace, file, source, args = [] }: ScriptOptions): [string, string[]] {
  const words = ['-f', 'json', source === undefined ? file : '-', ...args];
  const setpriv = findProgram('setpriv');
  // Without util-linux there is no such promise; an agent that is killed then leaves bpftrace
  // running until it prints and finds nobody to read.
  return setpriv === undefined
    ? [bpftrace.path, words]
    : [setpriv, ['--pdeathsig', 'KILL', '--', bpftrace.path, ...words]];
}

function handOver(line: string, { onOutput, onProblem }: ScriptOptions): void {
  // bpftrace parts what it prints at its end by empty lines.
  if (line.trim() === '') return;
  let outputs: ScriptOutput[];
  try {
    outputs = parseOutput(line);
  } catch (error) {
    if (!(error instanceof ScriptOutputError)) throw error;
    onProblem?.(error.message);
    return;
  }
  for (const output of outputs) onOutput(output);
}

/** To the whole group: nothing that the script started outlives it. */
function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // It ended by itself.
  }
}
