// Checks passwords against bcrypt hashes, one at a time, in a thread of their own: a check takes tens of
// milliseconds on purpose, and a flood of wrong passwords must not stop the agent nor take a CPU.
// The thread lives only as long as there is something to check. Remembers nothing.

import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';

export interface PasswordCheck {
  /** Equal for equal checks: those that wait already are shared. */
  readonly key: string;
  readonly hash: string;
  readonly password: string;
  readonly address: string;
}

/** Each check is to be followed by so many times as long a rest: it takes a quarter of a CPU at most. */
const REST = 3;
/**
 * So much rest may be owed. Who logs in for the first time after a few wrong passwords waits for the check
 * that is going on and for no rest; a flood owes this much at once, and then rests after each.
 */
const REST_OWED_MS_MAX = 5_000;
/** Of one address, with the one that is being checked; more are turned away. */
const WAITING_PER_ADDRESS_MAX = 4;
/** Each has its turn, whatever the others send. */
const ADDRESSES_MAX = 32;

export class PasswordChecks {
  /** By address, in the order of their turns. */
  readonly #queues = new Map<string, Waiting[]>();
  /** By key, those that wait or are being checked. */
  readonly #shared = new Map<string, Promise<boolean | undefined>>();
  /** When all the rest that is owed would be over. */
  #restUntilMs = 0;
  /** Whose password is being checked. */
  #checking: string | undefined;
  #running = false;
  #closed = false;
  #worker: Worker | undefined;

  /** Whether the password is right; undefined when too many are waiting. */
  check(one: PasswordCheck): Promise<boolean | undefined> {
    const same = this.#shared.get(one.key);
    if (same !== undefined) return same;
    const queue = this.#queues.get(one.address) ?? [];
    const asked = queue.length + (this.#checking === one.address ? 1 : 0);
    const full =
      asked >= WAITING_PER_ADDRESS_MAX ||
      (queue.length === 0 && this.#queues.size >= ADDRESSES_MAX);
    if (full || this.#closed) return Promise.resolve(undefined);
    const checked = new Promise<boolean | undefined>((resolve, reject) => {
      queue.push({ ...one, resolve, reject });
    });
    this.#queues.set(one.address, queue);
    this.#shared.set(one.key, checked);
    if (!this.#running) void this.#run();
    return checked;
  }

  async close(): Promise<void> {
    this.#closed = true;
    const left = [...this.#queues.values()].flat();
    this.#queues.clear();
    for (const waiting of left) waiting.resolve(undefined);
    await this.#worker?.terminate();
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      const startMs = performance.now();
      this.#checking = next.address;
      try {
        next.resolve(await this.#ask(next));
      } catch (error) {
        if (this.#closed) next.resolve(undefined);
        else next.reject(error);
      }
      this.#checking = undefined;
      this.#shared.delete(next.key);
      const nowMs = performance.now();
      this.#restUntilMs = Math.max(this.#restUntilMs, startMs) + (1 + REST) * (nowMs - startMs);
      const restMs = this.#restUntilMs - nowMs - REST_OWED_MS_MAX;
      // Unreferenced: it holds up no process that has nothing else to do.
      if (restMs > 0) await sleep(restMs, undefined, { ref: false });
    }
    this.#running = false;
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }

  /** The oldest of the address whose turn it is. */
  #next(): Waiting | undefined {
    for (const [address, queue] of this.#queues) {
      const next = queue.shift();
      this.#queues.delete(address);
      if (queue.length > 0) this.#queues.set(address, queue);
      return next;
    }
    return undefined;
  }

  #start(): Worker {
    const worker = startWorker();
    // `run` has V8 optimise nothing, which takes twelve times as long for this. It is told so process-wide.
    if (process.argv[2] === 'run') {
      setFlagsFromString('--opt');
      worker.once('exit', () => {
        if (this.#worker === undefined || this.#worker === worker) setFlagsFromString('--no-opt');
      });
    }
    return worker;
  }

  #ask({ hash, password }: Waiting): Promise<boolean> {
    const worker = this.#worker ?? this.#start();
    this.#worker = worker;
    return new Promise((resolve, reject) => {
      const answered = (right: boolean): void => {
        forget();
        resolve(right);
      };
      const failed = (error: Error): void => {
        forget();
        this.#worker = undefined;
        reject(error);
      };
      const ended = (code: number): void =>
        failed(new Error(`the thread that checks passwords ended (${code})`));
      // Not all listeners: the worker has its own.
      const forget = (): void => {
        worker.off('message', answered).off('error', failed).off('exit', ended);
      };
      worker.on('message', answered).on('error', failed).on('exit', ended);
      worker.postMessage({ hash, password });
    });
  }
}

interface Waiting extends PasswordCheck {
  resolve(right: boolean | undefined): void;
  reject(error: unknown): void;
}

/** As text: a file of its own would have to be found both compiled and not. */
const PROGRAM = `
const { parentPort, workerData } = require('node:worker_threads');
const { compareSync } = require(workerData);
parentPort.on('message', ({ hash, password }) => parentPort.postMessage(compareSync(password, hash)));
`;

function startWorker(): Worker {
  const worker = new Worker(PROGRAM, {
    eval: true,
    workerData: createRequire(import.meta.url).resolve('bcryptjs'),
    // Neither the loaders nor the environment of the agent are its business.
    execArgv: [],
    env: {},
    resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 },
  });
  worker.unref();
  return worker;
}
