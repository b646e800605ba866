// A network namespace for the agent to live in: its devices are those that a test makes, whatever else
// the machine has. A veth pair leads there from the test, which scrapes through it.
//
//   the test's namespace               namespace rxh-<pid>, the agent's
//   rxm<pid> 10.77.9.1/30 ────veth──── scrape0 10.77.9.2/30
//
// Every agent is scraped through `scrape()`, which holds each scrape against the one before.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { run } from '../kernel/lab.ts';
import { type AgentProcess, RXSCOPE, startAgent } from './agent_process.ts';
import {
  brokenHistograms,
  type Exposition,
  type Fall,
  fallsBetween,
  readExposition,
} from './backwards.ts';
import { Numbers } from './numbers.ts';

/** The device through which the test scrapes. */
export const SCRAPED = 'scrape0';
const OUTSIDE = '10.77.9.1';
const INSIDE = '10.77.9.2';
/** Where the receiver in the agent's namespace listens, on every address. */
const PORT = 5601;
const MANY = 1_000_000_000;

export class Home {
  readonly name = `rxh-${process.pid}`;
  readonly #namespaces = new Set<string>();
  readonly #folder = mkdtempSync(join(tmpdir(), 'rxscope-home-'));
  readonly #traffic = join(this.#folder, 'traffic');
  readonly #children = new Set<ChildProcess>();

  constructor() {
    try {
      const source = fileURLToPath(new URL('../kernel/traffic/traffic.cc', import.meta.url));
      run('g++', '-O2', '-std=c++20', '-Wall', '-Werror', '-o', this.#traffic, source);
      this.addNamespace(this.name);
      const outside = `rxm${process.pid}`;
      const peer = ['peer', 'name', SCRAPED, 'netns', this.name];
      run('ip', 'link', 'add', outside, 'type', 'veth', ...peer);
      run('ip', 'addr', 'add', `${OUTSIDE}/30`, 'dev', outside);
      run('ip', 'link', 'set', outside, 'up');
      this.ip('addr', 'add', `${INSIDE}/30`, 'dev', SCRAPED);
      this.ip('link', 'set', SCRAPED, 'up');
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Of no device that comes to be there anything is sent unasked. */
  addNamespace(name: string): void {
    run('ip', 'netns', 'add', name);
    this.#namespaces.add(name);
    const settings = ['all', 'default'].map((which) => `net.ipv6.conf.${which}.disable_ipv6=1`);
    run('ip', 'netns', 'exec', name, 'sysctl', '-qw', ...settings);
    run('ip', '-n', name, 'link', 'set', 'lo', 'up');
  }

  deleteNamespace(name: string): void {
    this.#namespaces.delete(name);
    run('ip', 'netns', 'del', name);
  }

  /** `ip` in the agent's namespace. */
  ip(...args: string[]): void {
    run('ip', '-n', this.name, ...args);
  }

  /** A veth pair with `10.<net>.1/24` here and `10.<net>.2/24` on `v0` in another namespace. */
  addVeth(device: string, other: string, net: string, options: readonly string[] = []): void {
    this.ip(
      'link',
      'add',
      device,
      ...options,
      'type',
      'veth',
      'peer',
      'name',
      'v0',
      'netns',
      other,
    );
    this.ip('addr', 'add', `10.${net}.1/24`, 'dev', device);
    this.ip('link', 'set', device, 'up');
    run('ip', '-n', other, 'addr', 'add', `10.${net}.2/24`, 'dev', 'v0');
    run('ip', '-n', other, 'link', 'set', 'v0', 'up');
  }

  /** Reads whatever datagrams are sent to the agent's namespace; resolves when it listens. */
  async receive(): Promise<void> {
    const words = ['receive', 'udp', '0.0.0.0', PORT, MANY, `idle-ms=${MANY}`];
    const child = this.#start(this.name, words);
    await new Promise((resolve) => child.stdout?.once('data', resolve));
  }

  /** Resolves when no device here has such a name: a namespace's go some time after it. */
  async untilGone(pattern: RegExp): Promise<void> {
    while (pattern.test(run('ip', '-n', this.name, '-o', 'link'))) await sleep(20);
  }

  /**
   * Sends datagrams, all on CPU 0, from a namespace that addVeth() has connected by this net; all are
   * received, on CPU 0, too.
   */
  async send(from: string, net: string, count: number): Promise<void> {
    const words = ['send', 'udp', `10.${net}.1`, `${PORT}`, `${count}`, 'gap-us=20', 'cpu=0'];
    await promisify(execFile)('ip', ['netns', 'exec', from, this.#traffic, ...words]);
  }

  /** Sends until the returned function is called, whatever becomes of the datagrams. */
  sendOn(from: string, net: string): () => Promise<void> {
    const child = this.#start(from, ['send', 'udp', `10.${net}.1`, PORT, MANY, 'gap-us=200']);
    const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
    return () => {
      child.kill();
      return closed;
    };
  }

  #start(namespace: string, words: readonly (string | number)[]): ChildProcess {
    const command = ['netns', 'exec', namespace, this.#traffic, ...words.map(String)];
    const child = spawn('ip', command, { stdio: ['ignore', 'pipe', 'ignore'] });
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }

  async startAgent(args: readonly string[]): Promise<Watched> {
    const address = ['--web.listen-address', `${INSIDE}:0`];
    const inside = ['ip', 'netns', 'exec', this.name, ...RXSCOPE];
    return new Watched(await startAgent([...address, ...args], inside));
  }

  close(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    for (const name of this.#namespaces) run('ip', 'netns', 'del', name);
    this.#namespaces.clear();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** An agent whose scrapes are held against each other. */
export class Watched {
  readonly agent: AgentProcess;
  /** Scrapes so far. */
  scrapes = 0;
  #last: Exposition | undefined;

  constructor(agent: AgentProcess) {
    this.agent = agent;
  }

  /**
   * One scrape. Fails when a count is lower than the last time, a histogram contradicts itself, or a
   * collector has failed. `allowed`: falls that are right, such as those of another device by the same name.
   */
  async scrape(allowed: (fall: Fall) => boolean = () => false): Promise<Numbers> {
    const { status, body } = await this.agent.scrape();
    expect(status).toBe(200);
    const exposition = readExposition(body);
    const falls = this.#last === undefined ? [] : fallsBetween(this.#last, exposition);
    expect(falls.filter((fall) => !allowed(fall))).toEqual([]);
    expect(brokenHistograms(exposition)).toEqual([]);
    this.#last = exposition;
    this.scrapes += 1;
    const numbers = new Numbers(exposition.series);
    const failed = numbers.find('rxscope_collector_success').filter(({ value }) => value !== 1);
    expect(failed, this.agent.stderr).toEqual([]);
    return numbers;
  }

  /** Series of the last scrape. */
  get series(): number {
    return this.#last?.series.size ?? 0;
  }
}
