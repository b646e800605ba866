// Keeps one probe's script running: started, read, started again when it dies, given up when that
// does not help. Knows processes and time, not what the maps mean.
//
// Policy: a script that never stood is not tried again, for its reason stays, but where that may pass:
// then it is tried three times. One that did stand is started again up to five times, after 1, 2, 4, 8
// and 16 seconds; after ten minutes of standing the count begins anew.

import { adapt, printOnSignal } from './adapt.ts';
import type { Bpftrace } from './find.ts';
import type { ScriptOutput } from './output.ts';
import { type RunningScript, type ScriptEnd, startScript } from './runner.ts';
import { Tallies, type Tally } from './tally.ts';

export type ScriptAttach = 'tracepoint' | 'kprobe';

export type ScriptState =
  | { readonly phase: 'starting' }
  | { readonly phase: 'up'; readonly attach: ScriptAttach }
  | { readonly phase: 'restarting'; readonly reason: string }
  | { readonly phase: 'down'; readonly reason: string };

export interface SupervisorOptions {
  readonly bpftrace: Bpftrace;
  readonly file: string;
  readonly text: string;
  readonly args: readonly string[];
  /** Maps that hold the moment and no counts. */
  readonly stateMaps: readonly string[];
  onChange(state: ScriptState): void;
  onProblem(problem: string): void;
}

const STARTS_MAX = 3;
const START_AGAIN_MS = 250;
const RESTARTS_MAX = 5;
const RESTART_MS = 1000;
const FORGIVEN_MS = 600_000;
/** bpftrace compiles for one or two seconds; a busy machine takes many more. */
const START_MS_MAX = 60_000;
/** From the signal to the last map; a read takes milliseconds. */
const READ_MS_MAX = 1000;
/** Printed last of all maps; see the scripts. */
const LAST_MAP = '@zz_end';

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #tallies = new Tallies();
  #state: ScriptState = { phase: 'starting' };
  #text: string;
  #attach: ScriptAttach = 'tracepoint';
  #script: RunningScript | undefined;
  #stood = false;
  #starts = 1;
  #restarts = 0;
  #upSinceMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #onLastMap: ((fresh: boolean) => void) | undefined;
  #onSettled: () => void = () => {};
  /** Resolves when the script stands for the first time, or is given up. */
  readonly settled: Promise<void>;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#text = printOnSignal(options.text, options.bpftrace.version);
    this.settled = new Promise((resolve) => {
      this.#onSettled = resolve;
    });
  }

  get state(): ScriptState {
    return this.#state;
  }

  /** Of the running script. */
  get pid(): number | undefined {
    return this.#script?.pid;
  }

  start(): void {
    const { bpftrace, file, args } = this.#options;
    const script = startScript({
      bpftrace,
      file,
      ...(this.#text === this.#options.text ? {} : { source: this.#text }),
      args,
      onOutput: (output) => this.#take(output),
      onProblem: (problem) => this.#options.onProblem(problem),
    });
    this.#script = script;
    const late = `bpftrace did not attach within ${START_MS_MAX / 1000} s`;
    let isLate = false;
    this.#timer = setTimeout(() => {
      isLate = true;
      void script.stop();
    }, START_MS_MAX);
    void script.done.then((end) => this.#ended(isLate ? { ...end, reason: late } : end));
  }

  /** All that it counted. `fresh` is false when a running script did not answer in time. */
  async read(): Promise<{ readonly tally: Tally; readonly fresh: boolean }> {
    const fresh = this.#state.phase !== 'up' || (await this.#ask());
    return { tally: this.#tallies.sum(), fresh };
  }

  /** Resolves when no process is left, in a second at most; harmless twice. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#onSettled();
    await this.#script?.stop();
  }

  #ask(): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#onLastMap?.(false), READ_MS_MAX);
      this.#onLastMap = (fresh) => {
        clearTimeout(timer);
        this.#onLastMap = undefined;
        resolve(fresh);
      };
      this.#script?.askForMaps();
    });
  }

  #take(output: ScriptOutput): void {
    // A script prints its line when all of its hooks are attached.
    if (output.type === 'printf' && this.#state.phase !== 'up') this.#standing();
    this.#tallies.add(output);
    if (output.type === 'map' && output.name === LAST_MAP) this.#onLastMap?.(true);
  }

  #standing(): void {
    clearTimeout(this.#timer);
    this.#stood = true;
    this.#upSinceMs = performance.now();
    this.#change({ phase: 'up', attach: this.#attach });
    this.#onSettled();
  }

  #ended(end: ScriptEnd): void {
    clearTimeout(this.#timer);
    this.#script = undefined;
    this.#tallies.endRun(this.#options.stateMaps);
    this.#onLastMap?.(false);
    if (this.#stopped) return;
    if (!this.#stood && this.#adapt(end)) return;
    if (!this.#stood && end.passing === true && this.#starts < STARTS_MAX) {
      this.#starts++;
      this.#timer = setTimeout(() => this.start(), START_AGAIN_MS);
      return;
    }
    const reason = end.reason ?? 'bpftrace ended by itself';
    const wasUp = this.#state.phase === 'up';
    if (wasUp && performance.now() - this.#upSinceMs > FORGIVEN_MS) this.#restarts = 0;
    if (!this.#stood) {
      const tries = this.#starts > 1 ? `, after ${this.#starts} tries` : '';
      this.#change({ phase: 'down', reason: reason + tries });
    } else if (this.#restarts >= RESTARTS_MAX) {
      const given = `${reason}; given up after ${RESTARTS_MAX} restarts`;
      this.#change({ phase: 'down', reason: given });
    } else {
      const delayMs = RESTART_MS * 2 ** this.#restarts;
      this.#restarts++;
      const plan = `restart ${this.#restarts} of ${RESTARTS_MAX} in ${delayMs / 1000} s`;
      this.#change({ phase: 'restarting', reason: `${reason}; ${plan}` });
      this.#timer = setTimeout(() => this.start(), delayMs);
      return;
    }
    this.#onSettled();
  }

  /** Once: for a kernel without the tracepoint there may be a function to hook. */
  #adapt(end: ScriptEnd): boolean {
    const text = this.#attach === 'tracepoint' ? adapt(this.#text, end.stderr) : undefined;
    if (text === undefined) return false;
    this.#text = text;
    this.#attach = 'kprobe';
    this.start();
    return true;
  }

  #change(state: ScriptState): void {
    this.#state = state;
    this.#options.onChange(state);
  }
}
