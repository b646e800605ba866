// Devices that come and go as chance has it: of a namespace, and joined to another one. Each is made by one
// long-lived `ip`, so that thousands cost little; what it refuses is refused.

import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { Random } from './random.ts';

const DEVICES_MAX = 40;

/** `ip -batch` in a namespace: one command after the other, each with an answer. */
class Ip {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #waiting: (() => void)[] = [];

  constructor(namespace: readonly string[]) {
    this.#child = spawn('ip', [...namespace, '-force', '-oneline', '-batch', '-'], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    createInterface(this.#child.stdout).on('line', () => this.#waiting.shift()?.());
    this.#child.once('exit', () => {
      for (const done of this.#waiting.splice(0)) done();
    });
  }

  /** Resolves when all have been tried: the last command, which lists one device, has printed a line. */
  do(...commands: readonly string[]): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#child.stdin.write(`${[...commands, 'link show dev lo'].join('\n')}\n`);
    });
  }

  close(): void {
    this.#child.stdin.end();
  }
}

interface Veth {
  name: string;
  readonly peer: string;
  readonly net: number;
}

export class Devices {
  readonly #random: Random;
  readonly #here = new Ip([]);
  readonly #there: Ip;
  readonly #other: string;
  readonly #veths: Veth[] = [];
  readonly #upper: string[] = [];
  #made = 0;

  constructor(random: Random, other: string) {
    this.#random = random;
    this.#other = other;
    this.#there = new Ip(['-n', other]);
  }

  /** An address of a device that is there, or of none. */
  address(): string {
    const veth = this.#random.of(this.#veths);
    return veth === undefined
      ? '127.0.0.1'
      : `10.100.${veth.net}.${this.#random.chance(85) ? 1 : 3}`;
  }

  /** One random change; what it was, and when it is done. */
  change(): [what: string, done: Promise<void>] {
    const kind = this.#random.below(10);
    const veth = this.#random.of(this.#veths);
    if (veth === undefined || (kind < 4 && this.#made - this.#gone < DEVICES_MAX))
      return this.#add();
    if (kind < 5) return this.#rename(veth);
    if (kind < 6) return this.#addUpper(veth);
    if (kind < 7) return this.#removeUpper();
    return this.#remove(veth, kind < 8);
  }

  #gone = 0;

  #add(): [string, Promise<void>] {
    const number = this.#made++;
    const used = new Set(this.#veths.map(({ net }) => net));
    const net = Array.from({ length: 250 }, (_, i) => i).find((i) => !used.has(i)) ?? 0;
    const veth = { name: `d${number}`, peer: `p${number}`, net };
    this.#veths.push(veth);
    // Now and then with the number of one that was there before.
    const index = this.#random.chance(30) ? `index ${3000 + this.#random.below(20)}` : '';
    const inLists = this.#random.chance(30);
    const done = async (): Promise<void> => {
      await this.#here.do(
        `link add ${veth.name} ${index} type veth peer name ${veth.peer} netns ${this.#other}`,
        `addr add 10.100.${net}.1/24 dev ${veth.name}`,
        `link set ${veth.name} up`,
      );
      await this.#there.do(
        `addr add 10.100.${net}.2/24 dev ${veth.peer}`,
        `link set ${veth.peer} up`,
      );
      // Its packets then arrive in lists, as drivers with GRO hand them over.
      if (inLists) await tried('ethtool', '-K', veth.name, 'gro', 'on');
    };
    return [`add ${veth.name} ${index}`, done()];
  }

  #rename(veth: Veth): [string, Promise<void>] {
    const old = veth.name;
    veth.name = `r${this.#made++}`;
    this.#gone++;
    const commands = [`link set ${old} down`, `link set ${old} name ${veth.name}`];
    return [`rename ${old}`, this.#here.do(...commands, `link set ${veth.name} up`)];
  }

  #addUpper(veth: Veth): [string, Promise<void>] {
    const name = `u${this.#made++}`;
    this.#upper.push(name);
    if (this.#random.chance(50))
      return [
        `bridge ${veth.name}`,
        this.#here.do(
          `link add ${name} type bridge`,
          `link set ${veth.name} master ${name}`,
          `addr add 10.100.${veth.net}.3/24 dev ${name}`,
          `link set ${name} up`,
        ),
      ];
    return [
      `macvlan ${veth.name}`,
      this.#here.do(
        `link add link ${veth.name} name ${name} type macvlan mode bridge`,
        `addr add 10.100.${veth.net}.3/24 dev ${name}`,
        `link set ${name} up`,
      ),
    ];
  }

  #removeUpper(): [string, Promise<void>] {
    const [name] = this.#upper.splice(this.#random.below(this.#upper.length), 1);
    if (name === undefined) return this.#add();
    this.#gone++;
    return [`del ${name}`, this.#here.do(`link del ${name}`)];
  }

  #remove(veth: Veth, byLeaving: boolean): [string, Promise<void>] {
    this.#veths.splice(this.#veths.indexOf(veth), 1);
    this.#gone++;
    if (!byLeaving) return [`del ${veth.name}`, this.#here.do(`link del ${veth.name}`)];
    const leave = async (): Promise<void> => {
      await this.#here.do(`link set ${veth.name} netns ${this.#other}`);
      await this.#there.do(`link set ${veth.name} up`, `link del ${veth.name}`);
    };
    return [`move ${veth.name}`, leave()];
  }

  async close(): Promise<void> {
    await this.#here.do(
      ...[...this.#upper, ...this.#veths.map(({ name }) => name)].map((name) => `link del ${name}`),
    );
    this.#here.close();
    this.#there.close();
  }
}

function tried(command: string, ...args: string[]): Promise<void> {
  return new Promise((resolve) => execFile(command, args, () => resolve()));
}
