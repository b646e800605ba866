// Sockets that are opened, filled, locked and closed as chance has it, and packets to them and to nobody.

import type { Sockets } from '../sockets.ts';
import type { Devices } from './devices.ts';
import type { Random } from './random.ts';

const SOCKETS_MAX = 12;
const UDP_PORT = 7000;
const UDP_PORTS = 24;
const TCP_PORT = 7100;
const TCP_PORTS = 4;
/** A lock is let go after so long: some of them pass a reading or two. */
const HELD_MS_MAX = 700;

export class Traffic {
  /** The longest that a socket was locked. */
  heldMsMax = 0;
  readonly #random: Random;
  readonly #devices: Devices;
  readonly #here: Sockets;
  readonly #there: Sockets;
  readonly #udp: string[] = [];
  readonly #taps: string[] = [];
  readonly #connections: string[] = [];
  readonly #held = new Map<string, number>();
  #opened = 0;

  constructor(random: Random, devices: Devices, here: Sockets, there: Sockets) {
    this.#random = random;
    this.#devices = devices;
    this.#here = here;
    this.#there = there;
  }

  async start(): Promise<void> {
    for (let i = 0; i < TCP_PORTS; i++)
      await this.#here.do(`listen l${i} 0.0.0.0 ${TCP_PORT + i} reuse=1`);
  }

  /** One random event: what it was, and when it is done. */
  async event(): Promise<string> {
    await this.release(HELD_MS_MAX);
    const kind = this.#random.below(20);
    if (kind < 9) return this.#send();
    if (kind < 10) return this.#openUdp();
    if (kind < 11) return this.#closeOne(this.#udp);
    if (kind < 12) return this.#openTap();
    if (kind < 13) return this.#closeOne(this.#taps);
    if (kind < 14) return this.#connect();
    return this.#onConnection();
  }

  /** Lets go of locks that have been held for so long. */
  async release(heldMs: number): Promise<void> {
    for (const [name, sinceMs] of this.#held) {
      if (performance.now() - sinceMs < heldMs) continue;
      this.#held.delete(name);
      await this.#here.try(`release a${name}`);
      this.heldMsMax = Math.max(this.heldMsMax, performance.now() - sinceMs);
    }
  }

  async #send(): Promise<string> {
    const random = this.#random;
    const port = UDP_PORT + random.below(UDP_PORTS);
    const size = random.of([1, 16, 100, 1400, 3000]);
    const segment = random.chance(30) && size !== 3000 ? 'segment=1' : '';
    const command = `${port} ${1 + random.below(64)} size=${size} ${segment} cpu=${random.below(2)}`;
    if (random.chance(20)) await this.#here.try(`send 127.0.0.1 ${command}`);
    else await this.#there.try(`send ${this.#devices.address()} ${command}`);
    return `send ${command}`;
  }

  async #openUdp(): Promise<string> {
    if (this.#udp.length >= SOCKETS_MAX) return this.#closeOne(this.#udp);
    const random = this.#random;
    const name = `u${this.#opened++}`;
    const buffer = random.chance(30) ? 'buffer=4096' : 'buffer=1000000';
    const gro = random.chance(20) ? 'gro=1' : '';
    const command = `udp ${name} 0.0.0.0 ${UDP_PORT + random.below(UDP_PORTS)} reuse=1 ${buffer} ${gro}`;
    if (typeof (await this.#here.try(command)) === 'number') this.#udp.push(name);
    return command;
  }

  async #openTap(): Promise<string> {
    if (this.#taps.length >= 3) return this.#closeOne(this.#taps);
    const name = `t${this.#opened++}`;
    const command = this.#random.chance(50)
      ? `packet ${name}`
      : `raw ${name} ${this.#random.of([1, 17, 253])}`;
    if (typeof (await this.#here.try(command)) === 'number') this.#taps.push(name);
    return command;
  }

  async #closeOne(names: string[]): Promise<string> {
    const [name] = names.splice(this.#random.below(Math.max(1, names.length)), 1);
    if (name === undefined) return 'nothing to close';
    // Half of them have been read.
    if (this.#random.chance(50)) await this.#here.try(`read ${name}`);
    await this.#here.try(`close ${name}`);
    return `close ${name}`;
  }

  async #connect(): Promise<string> {
    const random = this.#random;
    if (this.#connections.length >= SOCKETS_MAX)
      return this.#disconnect(this.#connections[0] ?? '');
    const name = `${this.#opened++}`;
    const port = random.below(TCP_PORTS);
    const isLocal = random.chance(50);
    const from = isLocal ? this.#here : this.#there;
    const address = isLocal ? '127.0.0.1' : this.#devices.address();
    const command = `connect c${name} ${address} ${TCP_PORT + port}`;
    if (typeof (await from.try(command)) !== 'number') return command;
    if (typeof (await this.#here.try(`accept a${name} l${port}`)) !== 'number') {
      await from.try(`close c${name}`);
      return command;
    }
    this.#connections.push(name);
    return command;
  }

  async #disconnect(name: string): Promise<string> {
    this.#connections.splice(this.#connections.indexOf(name), 1);
    this.#held.delete(name);
    await this.#here.try(`close a${name}`);
    // It is of one of them.
    await this.#here.try(`close c${name}`);
    await this.#there.try(`close c${name}`);
    return `disconnect ${name}`;
  }

  async #onConnection(): Promise<string> {
    const random = this.#random;
    const name = random.of(this.#connections);
    if (name === undefined) return this.#connect();
    const both = async (command: string): Promise<void> => {
      await this.#here.try(command);
      await this.#there.try(command);
    };
    const kind = random.below(12);
    if (kind < 5) {
      const command = `write c${name} ${1 + random.below(20_000)} pieces=${1 + random.below(8)}`;
      await both(command);
      return command;
    }
    // All of the rest waits for the lock.
    if (this.#held.has(name)) return 'held';
    if (kind < 8) {
      await this.#here.try(`read a${name}`);
      return `read a${name}`;
    }
    if (kind < 9) {
      const command = `lowat a${name} ${random.of([1, 1000, 100_000])}`;
      await this.#here.try(command);
      return command;
    }
    if (kind < 11) {
      const sinceMs = performance.now();
      if (typeof (await this.#here.try(`hold a${name}`)) === 'number')
        this.#held.set(name, sinceMs);
      return `hold a${name}`;
    }
    if (random.chance(50)) await both(`shut c${name} ${random.below(3)}`);
    return this.#disconnect(name);
  }
}
