// What the agent tells the service manager that started it (systemd; sd_notify(3)): ready, reloading,
// stopping, and signs of life for its watchdog. Where nothing started it that wants to know, this does
// nothing: no timer runs, no socket is opened.

import type { Logger } from 'pino';
import { loadAddon } from '../addon/addon.ts';
import { patiently } from '../capture/passing.ts';

/** Sends one message; throws where it cannot. */
type Send = (socket: string, message: string) => void;

export class ServiceManager {
  readonly #log: Logger;
  readonly #send: Send;
  readonly #socket: string | undefined;
  readonly #watchdogMs: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #phase: 'starting' | 'ready' | 'stopping' = 'starting';
  #failed = false;

  /** Takes the variables out of the environment, so that no process we start speaks in our name. */
  constructor(
    log: Logger,
    env: NodeJS.ProcessEnv = process.env,
    send: Send = (socket, message) => patiently(() => loadAddon().notifyService(socket, message)),
  ) {
    this.#log = log;
    this.#send = send;
    this.#socket = env.NOTIFY_SOCKET === '' ? undefined : env.NOTIFY_SOCKET;
    this.#watchdogMs = watchdogMs(env);
    for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete env[name];
  }

  /** Everything that can be attached is, and the metrics are served. `status` is one line for people. */
  ready(status: string): void {
    this.#phase = 'ready';
    this.#tell('READY=1', `STATUS=${status}`);
    if (this.#socket === undefined || this.#watchdogMs === undefined) return;
    // Half of what the manager allows, as sd_watchdog_enabled(3) advises: one may be late.
    this.#timer = setInterval(() => this.#tell('WATCHDOG=1'), this.#watchdogMs / 2);
    this.#timer.unref();
  }

  /** Around a reload. Before ready() it says nothing: READY=1 would be believed. */
  reload(work: () => void): void {
    const told = this.#phase === 'ready';
    // The time lets systemd 253 and newer (Type=notify-reload) tell this reload from an earlier one.
    if (told) this.#tell('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
    work();
    if (told) this.#tell('READY=1');
  }

  /** The watchdog watches the end, too: it is bounded by less time than any watchdog allows. */
  stopping(): void {
    if (this.#phase === 'stopping') return;
    this.#phase = 'stopping';
    clearInterval(this.#timer);
    this.#tell('STOPPING=1', 'STATUS=stopping');
  }

  /** A manager that cannot be reached is told of once, and is no reason not to measure. */
  #tell(...lines: readonly string[]): void {
    if (this.#socket === undefined) return;
    try {
      this.#send(this.#socket, lines.join('\n'));
    } catch (error) {
      if (this.#failed) return;
      this.#failed = true;
      const reason = error instanceof Error ? error.message : String(error);
      this.#log.warn({ reason }, 'the service manager cannot be told');
    }
  }
}

/** The manager's limit between two signs of life, in milliseconds, when it has set one for us. */
function watchdogMs({ WATCHDOG_USEC, WATCHDOG_PID }: NodeJS.ProcessEnv): number | undefined {
  // Without WATCHDOG_PID it is meant for whoever gets it.
  if (WATCHDOG_PID !== undefined && Number(WATCHDOG_PID) !== process.pid) return undefined;
  const usec = Number(WATCHDOG_USEC);
  return Number.isSafeInteger(usec) && usec > 0 ? usec / 1000 : undefined;
}
