// Where the log's lines go: standard error, without ever waiting for it. Whatever happens to its disk,
// its terminal or its reader, the agent goes on; lines that are lost are counted.

import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Takes some of the bytes and says how many, or throws an errno: EAGAIN where it takes none now. */
type Put = (bytes: Uint8Array) => number;

/** What a reader that does not read may leave with us. */
const QUEUE_BYTES_MAX = 256 * 1024;
/** Nothing tells when a terminal or a pipe of our own takes more. Runs only while something waits. */
const AGAIN_MS = 50;
const NEW_LINE = Buffer.from('\n');

export class LogOutput {
  readonly isTTY: boolean;
  readonly #put: Put;
  readonly #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #lost = 0;
  #untold = 0;
  #reason = '';
  /** Of the first line that waits, something is written already; or of one that is lost since. */
  #begun = false;
  #torn = false;
  /** Called once lines go through again: so many were lost, and the last of them why. */
  onRecovered: (lines: number, reason: string) => void = () => {};

  constructor(put: Put = standardError(), isTTY = process.stderr.isTTY === true) {
    this.#put = put;
    this.isTTY = isTTY;
  }

  /** Lines that nobody will ever read. */
  get lost(): number {
    return this.#lost;
  }

  write(line: string): void {
    const bytes = Buffer.from(line);
    if (this.#waitingBytes + bytes.length > QUEUE_BYTES_MAX) {
      this.#lose('its reader does not read');
      return;
    }
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (this.#timer === undefined) this.#flush();
  }

  /** Resolves when nothing waits any more, or `msMax` have passed. */
  async flushed(msMax: number): Promise<void> {
    const giveUpMs = performance.now() + msMax;
    while (this.#waiting.length > 0 && performance.now() < giveUpMs) await sleep(AGAIN_MS);
  }

  #flush(): void {
    this.#timer = undefined;
    for (let line = this.#waiting[0]; line !== undefined; line = this.#waiting[0]) {
      try {
        if (this.#torn) this.#put(NEW_LINE);
        this.#torn = false;
        const taken = this.#put(line);
        this.#waitingBytes -= taken;
        this.#begun = taken < line.length;
        if (this.#begun) this.#waiting[0] = line.subarray(taken);
        else {
          this.#waiting.shift();
          this.#recovered();
        }
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        if (code === 'EAGAIN') {
          this.#timer = setTimeout(() => this.#flush(), AGAIN_MS).unref();
          return;
        }
        this.#waiting.shift();
        this.#waitingBytes -= line.length;
        this.#torn ||= this.#begun;
        this.#begun = false;
        this.#lose(code ?? message);
      }
    }
  }

  #lose(reason: string): void {
    this.#lost++;
    this.#untold++;
    this.#reason = reason;
  }

  #recovered(): void {
    const lines = this.#untold;
    this.#untold = 0;
    if (lines > 0) this.onRecovered(lines, this.#reason);
  }
}

const STDERR = 2;

/**
 * A pipe or a terminal is opened anew, so that not to wait for it is our own affair, and not that of
 * whoever else has it open. What cannot be opened so is a socket, which Node's stream has set the same way,
 * or a file, which makes nobody wait.
 */
function standardError(): Put {
  const stats = fstatSync(STDERR);
  let fd = STDERR;
  if (process.stderr.isTTY || stats.isFIFO()) {
    const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
    try {
      fd = openSync(`/proc/self/fd/${STDERR}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
    } catch {
      // Of another user, for instance, or without /proc.
    }
  }
  return (bytes) => writeSync(fd, bytes);
}
