// A private network for kernel tests: two network namespaces joined by a veth pair, and the traffic
// program. Everything is undone at the end, also when a test fails.
//
//      namespace rxa-<pid>                 namespace rxb-<pid>
//   sender  va 10.77.0.1/24  ────veth────  vb 10.77.0.2/24  receiver
//              fd77::1/64                     fd77::2/64

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const SENDER = '10.77.0.1';
export const RECEIVER = '10.77.0.2';
export const RECEIVER_V6 = 'fd77::2';

/** Messages: more than any test sends or reads. */
export const ENDLESS = 1_000_000_000;

export interface Received {
  readonly received: number;
  readonly bytes: number;
  /** With stamps: each datagram's delay from the kernel's receive stamp to recvmsg, ns. */
  readonly delays_ns: readonly number[];
}

/** For raw the port is the number of an IP protocol. */
type Protocol = 'udp' | 'tcp' | 'raw';
type Options = Readonly<Record<string, number>>;

export class Lab {
  readonly sender = `rxa-${process.pid}`;
  readonly receiver = `rxb-${process.pid}`;
  readonly #folder = mkdtempSync(join(tmpdir(), 'rxscope-lab-'));
  readonly #children = new Set<ChildProcess>();
  readonly #traffic = join(this.#folder, 'traffic');

  constructor() {
    try {
      compile('traffic', this.#traffic);
      run('ip', 'netns', 'add', this.sender);
      run('ip', 'netns', 'add', this.receiver);
      ip(
        this.sender,
        'link',
        'add',
        'va',
        'type',
        'veth',
        'peer',
        'name',
        'vb',
        'netns',
        this.receiver,
      );
      for (const [ns, dev, host, peer] of [
        [this.sender, 'va', 1, 2],
        [this.receiver, 'vb', 2, 1],
      ] as const) {
        ip(ns, 'link', 'set', dev, 'address', mac(host));
        ip(ns, 'link', 'set', 'lo', 'up');
        ip(ns, 'link', 'set', dev, 'up');
        ip(ns, 'addr', 'add', `10.77.0.${host}/24`, 'dev', dev);
        // Without duplicate address detection the address can be used at once.
        ip(ns, '-6', 'addr', 'add', `fd77::${host}/64`, 'dev', dev, 'nodad');
        // Neighbours are known: no ARP among the packets that a test counts.
        for (const address of [`10.77.0.${peer}`, `fd77::${peer}`]) {
          ip(ns, 'neigh', 'replace', address, 'lladdr', mac(peer), 'dev', dev, 'nud', 'permanent');
        }
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Sends `count` messages from the sender's namespace; resolves when all are sent. */
  send(
    protocol: Protocol,
    to: string,
    port: number,
    count: number,
    options: Options = {},
  ): Promise<void> {
    return this.#send(this.sender, protocol, to, port, count, options);
  }

  /** The same from the receiver's own namespace: over its loopback. */
  sendLocally(
    protocol: Protocol,
    to: string,
    port: number,
    count: number,
    options: Options = {},
  ): Promise<void> {
    return this.#send(this.receiver, protocol, to, port, count, options);
  }

  /** Sends from the sender's namespace until it is killed, which close() does at the latest. */
  keepSending(protocol: Protocol, to: string, port: number, options: Options = {}): ChildProcess {
    const words = ['send', protocol, to, `${port}`, `${ENDLESS}`, ...wordsOf(options)];
    return this.#start(this.sender, words);
  }

  async #send(
    namespace: string,
    protocol: Protocol,
    to: string,
    port: number,
    count: number,
    options: Options,
  ): Promise<void> {
    const child = this.#start(namespace, [
      'send',
      protocol,
      to,
      `${port}`,
      `${count}`,
      ...wordsOf(options),
    ]);
    const { sent } = JSON.parse(await finished(child)) as { sent: number };
    if (sent !== count) throw new Error(`sent ${sent} of ${count}`);
  }

  /** Starts a receiver; `ready` resolves when it listens, `result` when it has `count` messages. */
  receive(
    protocol: Protocol,
    address: string,
    port: number,
    count: number,
    options: Options = {},
  ): { ready: Promise<void>; result: Promise<Received>; child: ChildProcess } {
    const child = this.#start(this.receiver, [
      'receive',
      protocol,
      address,
      `${port}`,
      `${count}`,
      ...wordsOf(options),
    ]);
    const result = finished(child).then((output) => {
      const lines = output.trim().split('\n');
      const { received, bytes } = JSON.parse(lines.at(-1) ?? '{}') as Received;
      return { received, bytes, delays_ns: lines.slice(1, -1).map(Number) };
    });
    const ready = new Promise<void>((resolve, reject) => {
      child.stdout?.once('data', () => resolve());
      result.catch(reject);
    });
    // A test that fails awaits neither any more: its second run must not fail by the end of this one.
    for (const promise of [ready, result]) promise.catch(() => {});
    return { ready, result, child };
  }

  /** A counter of /proc/net/snmp, snmp6 or netstat in the receiver's namespace. */
  counter(protocol: 'Udp' | 'Tcp' | 'Ip' | 'Udp6' | 'TcpExt', name: string): number {
    if (protocol === 'Udp6') {
      const text = run('ip', 'netns', 'exec', this.receiver, 'cat', '/proc/net/snmp6');
      return Number(new RegExp(`^Udp6${name}\\s+(\\d+)`, 'm').exec(text)?.[1]);
    }
    const file = protocol === 'TcpExt' ? '/proc/net/netstat' : '/proc/net/snmp';
    const text = run('ip', 'netns', 'exec', this.receiver, 'cat', file);
    const [names = [], values = []] = text
      .split('\n')
      .filter((line) => line.startsWith(`${protocol}:`))
      .map((line) => line.split(' '));
    return Number(values[names.indexOf(name)]);
  }

  /** Builds another program of the folder `traffic`; returns its path. */
  build(name: string): string {
    const program = join(this.#folder, name);
    compile(name, program);
    return program;
  }

  /** Runs a command in one of the namespaces. */
  exec(namespace: string, ...command: string[]): string {
    return run('ip', 'netns', 'exec', namespace, ...command);
  }

  #start(namespace: string, args: string[]): ChildProcess {
    const child = spawn('ip', ['netns', 'exec', namespace, this.#traffic, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }

  close(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    for (const namespace of [this.sender, this.receiver]) {
      try {
        run('ip', 'netns', 'del', namespace);
      } catch {
        // It was never made.
      }
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Sets a sysctl and returns what sets it back. */
export function withSysctl(name: string, value: string): () => void {
  const path = `/proc/sys/${name.replaceAll('.', '/')}`;
  const before = readFileSync(path, 'utf8').trim();
  writeFileSync(path, value);
  return () => writeFileSync(path, before);
}

function compile(name: string, program: string): void {
  const source = fileURLToPath(new URL(`./traffic/${name}.cc`, import.meta.url));
  run('g++', '-O2', '-std=c++20', '-Wall', '-Werror', '-o', program, source);
}

function mac(host: number): string {
  return `02:00:00:00:77:0${host}`;
}

export function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function ip(namespace: string, ...args: string[]): void {
  run('ip', '-n', namespace, ...args);
}

function wordsOf(options: Options): string[] {
  return Object.entries(options).map(([name, value]) => `${name}=${value}`);
}

function finished(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = '';
    let errors = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      errors += chunk.toString();
    });
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(output);
      else reject(new Error(`traffic ended with ${code}: ${errors}`));
    });
  });
}
