// Events of the kernel that no BPF program is told of, counted to the unit. On some machines there is a
// process during whose turns no BPF program runs, of nobody's: a packet that arrives by interrupting it is
// unseen by rxscope as by any tracer of that kind. ftrace's own events are not. So a test that counts to the
// unit watches what it measures, and expects as many as were sent less `unseen`. Elsewhere that is none.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { type BpfObject, loadAddon } from '../../src/addon/addon.ts';
import { type Captured, captureOnce } from '../../src/capture/capture_once.ts';
import type { CaptureOptions } from '../../src/capture/kernel_capture.ts';
import { buildFixture } from '../native/fixture.ts';

/** Events that test/native/fixtures/witness.bpf.c has a program for, by ftrace's name of each. */
export type Event =
  | 'net/netif_receive_skb'
  | 'skb/kfree_skb'
  | 'irq/softirq_entry'
  | 'irq/irq_handler_entry';

/** By event, ftrace's filter, such as `name == "vb"`; all of them where it is empty. */
export type Filters = Readonly<Partial<Record<Event, string>>>;

export interface Watched<T> {
  readonly result: T;
  /** How many ftrace saw; of those alone whose line in its output contains `text`, if it is given. */
  readonly all: (event: Event, text?: string) => number;
  /** Those of them of which no BPF program was told. */
  readonly unseen: (event: Event, text?: string) => number;
}

/** Datagrams of the lab's usual size that its receiver's device receives, over IPv4 or IPv6. */
const DATAGRAMS = 'name == "vb" && (len == 44 || len == 64)';
const RECEIVED = 'net/netif_receive_skb';

export interface Measured {
  readonly captured: Captured;
  /** Of the packets that arrived, those of which no BPF program was told. */
  readonly unseen: number;
}

/** As captureOnce() of the agent, of the lab's datagrams or of what another of ftrace's filters names. */
export async function measureWatched(
  options: CaptureOptions,
  during: () => Promise<unknown>,
  filter = DATAGRAMS,
): Promise<Measured> {
  const { result, unseen } = await watch({ [RECEIVED]: filter }, () =>
    captureOnce(options, during),
  );
  return { captured: result, unseen: unseen(RECEIVED) };
}

interface Line {
  readonly thread: number;
  readonly event: string;
  readonly text: string;
}

/** The rings of all CPUs together; one CPU's has room for 100,000 events at least. */
const RINGS_KB = 65_536;
const RING_KB_MIN = 6144;

/** Runs `during` and tells what of these events was there meanwhile. */
export async function watch<T>(filters: Filters, during: () => Promise<T>): Promise<Watched<T>> {
  const names = Object.keys(filters).map((event) => event.split('/')[1] ?? '');
  const trace = await Trace.open(filters);
  const witness = openWitness();
  try {
    // The witness has seen whatever ftrace has: it is there before, and until after.
    for (const name of names) witness.attach(name);
    trace.switch(true);
    const result = await during();
    trace.switch(false);
    const lines = trace.lines();
    const blind = new Set(lines.map(({ thread }) => thread).filter(isBlind(witness)));
    const count = (of: readonly Line[]) => (event: Event, text: string) =>
      of.filter((line) => line.event === event.split('/')[1] && line.text.includes(text)).length;
    const [all, unseen] = [lines, lines.filter(({ thread }) => blind.has(thread))].map(count);
    return {
      result,
      all: (event, text = '') => all?.(event, text) ?? 0,
      unseen: (event, text = '') => unseen?.(event, text) ?? 0,
    };
  } finally {
    witness.close();
    await trace.close();
  }
}

function openWitness(): BpfObject {
  const witness = loadAddon().openObject(buildFixture('witness'));
  witness.setMaxEntries('runs', Number(readFileSync('/proc/sys/kernel/pid_max', 'utf8')));
  witness.load();
  return witness;
}

function isBlind(witness: BpfObject): (thread: number) => boolean {
  const runs = new BigUint64Array(1);
  return (thread) => {
    witness.read('runs', 8 * thread, new Uint8Array(runs.buffer));
    return runs[0] === 0n;
  };
}

/** An instance of ftrace that nothing else uses, in a mount of tracefs that nobody else has. */
class Trace {
  static #opened = 0;
  readonly #keeper: ChildProcess;
  readonly #folder: string;

  private constructor(keeper: ChildProcess, folder: string) {
    this.#keeper = keeper;
    this.#folder = folder;
  }

  static async open(filters: Filters): Promise<Trace> {
    const tracefs = '/sys/kernel/tracing';
    const instance = `${tracefs}/instances/rxscope-${process.pid}-${Trace.#opened++}`;
    // Holds mount and instance until its input ends, with this process at the latest.
    const steps = `mount -t tracefs tracefs ${tracefs} && mkdir "$0" && echo && { cat; rmdir "$0"; }`;
    const args = ['--mount', '--propagation', 'private', 'sh', '-c', steps, instance];
    const keeper = spawn('unshare', args, { stdio: ['pipe', 'pipe', 'inherit'] });
    await Promise.race([once(keeper.stdout, 'data'), once(keeper, 'exit')]);
    if (keeper.exitCode !== null) throw new Error(`cannot have tracefs: see above (${instance})`);
    const trace = new Trace(keeper, `/proc/${keeper.pid}/root${instance}`);
    trace.#write('tracing_on', '0');
    const ringKb = Math.max(RING_KB_MIN, Math.ceil(RINGS_KB / availableParallelism()));
    trace.#write('buffer_size_kb', `${ringKb}`);
    for (const [event, filter] of Object.entries(filters)) {
      if (filter !== '') trace.#write(`events/${event}/filter`, filter);
      trace.#write(`events/${event}/enable`, '1');
    }
    return trace;
  }

  switch(on: boolean): void {
    this.#write('tracing_on', on ? '1' : '0');
  }

  /** Of `   traffic-713     [001] ..s1.    61.404186: kfree_skb: skbaddr=…`, one each. */
  lines(): Line[] {
    for (const cpu of readdirSync(join(this.#folder, 'per_cpu'))) {
      const stats = this.#read(join('per_cpu', cpu, 'stats'));
      if (!/^overrun: 0$/m.test(stats) || !/^dropped events: 0$/m.test(stats))
        throw new Error(`ftrace's ring of ${cpu} is too small for these events:\n${stats}`);
    }
    const pattern = /-(\d+) +\[\d+\] +\S+ +[\d.]+: (\w+): (.*)$/gm;
    return [...this.#read('trace').matchAll(pattern)].map(([, thread, event = '', text = '']) => ({
      thread: Number(thread),
      event,
      text,
    }));
  }

  async close(): Promise<void> {
    const ended = once(this.#keeper, 'exit');
    this.#keeper.stdin?.end();
    await ended;
  }

  #read(file: string): string {
    return readFileSync(join(this.#folder, file), 'utf8');
  }

  #write(file: string, value: string): void {
    writeFileSync(join(this.#folder, file), value);
  }
}
