// The libbpf backend: loads the bundled programs, hands over their counters and their records.
// It owns the BPF object and its ring buffer; it knows no metric, no device name and no wall clock.

import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { PROBES } from '../probes/index.ts';
import { hooksOf } from '../probes/probe.ts';
import type { Addon, BpfObject, EventReader, StructLayout } from './addon.ts';
import { HOOKS, type Hook } from './hooks.ts';
import { type Climb, climb, type HookState } from './ladder.ts';
import { isPreemptRt } from './preempt_rt.ts';
import {
  assemble,
  histogramsPerCpu,
  type Memory,
  PROBE_INDEX,
  type Reading,
  type Shape,
} from './reading.ts';
import { type RecordSink, recordDecoder } from './records.ts';

export interface CaptureOptions {
  /** Ids of the probes to measure. */
  readonly probes: readonly string[];
  /** Send every observation, not only those over budget. */
  readonly exact: boolean;
  /** Device slots of each CPU: a power of two, 4 to 64. */
  readonly devices: number;
  /** Ring of each CPU in pages of 4 KiB, a power of two. */
  readonly pagesPerCpu: number;
  /** By probe id, nanoseconds. */
  readonly budgets_ns: Readonly<Record<string, number>>;
  /** Outliers that one CPU may send in a second. */
  readonly perCpuPerSecond: number;
  /** Ladders other than the default ones: for tests that force a rung. */
  readonly hooks?: readonly Hook[];
}

/** The part of the options that may change while the programs run. */
export type LiveOptions = Pick<CaptureOptions, 'budgets_ns' | 'perCpuPerSecond'>;

export interface ProgramStats {
  readonly program: string;
  readonly runTimeNs: number;
  readonly runs: number;
}

const OBJECT = fileURLToPath(new URL('../../dist/bpf/rxscope.bpf.o', import.meta.url));
/** Outliers that a CPU may send at once before its rate applies. */
const BURST = 10;
/** A TCP packet still in the table after so long reached no socket that we could see. */
const TCP_OPEN_NS_MAX = 2e9;

/**
 * Loads and attaches what this kernel allows. Never throws for what the kernel refuses: the states
 * of the hooks say what is missing. Throws only when the object file itself is unusable.
 */
export function openKernelCapture(addon: Addon, options: CaptureOptions): KernelCapture {
  const shape: Shape = { cpus: addon.possibleCpus(), devices: options.devices };
  const wanted = PROBES.filter((probe) => options.probes.includes(probe.id));
  const hooks = (options.hooks ?? HOOKS).filter(({ name }) =>
    wanted.some((probe) => hooksOf(probe).includes(name)),
  );
  const open = (): BpfObject => prepare(addon, options, shape);
  const fill = (object: BpfObject): void => {
    placeHistograms(object, shape);
    writeConfig(object, options);
  };
  return new KernelCapture(climb({ open, fill }, hooks), shape, options);
}

function prepare(addon: Addon, options: CaptureOptions, shape: Shape): BpfObject {
  const object = addon.openObject(OBJECT);
  try {
    for (const id of PROBE_INDEX) {
      object.setConst(`${id}_on`, Uint8Array.of(options.probes.includes(id) ? 1 : 0));
    }
    object.setConst('exact', Uint8Array.of(options.exact ? 1 : 0));
    object.setConst('preempt_rt', Uint8Array.of(isPreemptRt() ? 1 : 0));
    object.setConst('own_netns', u32(statSync('/proc/self/ns/net').ino));
    object.setConst('device_mask', u32(options.devices - 1));
    object.setMaxEntries('cpus', shape.cpus);
    object.setMaxEntries('histograms', shape.cpus * histogramsPerCpu(shape));
    return object;
  } catch (error) {
    object.close();
    throw error;
  }
}

/** Tells each CPU where its histograms begin. */
function placeHistograms(object: BpfObject, shape: Shape): void {
  const layout = object.layout('cpu_state');
  const place = layout.fields.first_histogram?.offset ?? 0;
  const words = new Uint32Array(2);
  for (let cpu = 0; cpu < shape.cpus; cpu++) {
    words[0] = cpu * histogramsPerCpu(shape);
    object.write('cpus', cpu * layout.size + place, new Uint8Array(words.buffer));
  }
}

function writeConfig(object: BpfObject, options: LiveOptions): void {
  const { fields, size } = object.layout('config');
  const words = new BigUint64Array(size / 8);
  const budgets = (fields.budget_ns?.offset ?? 0) / 8;
  for (const [i, id] of PROBE_INDEX.entries()) {
    words[budgets + i] = BigInt(Math.round(options.budgets_ns[id] ?? 0));
  }
  const interval = BigInt(Math.round(1e9 / options.perCpuPerSecond));
  words[(fields.event_interval_ns?.offset ?? 0) / 8] = interval;
  words[(fields.event_burst_ns?.offset ?? 0) / 8] = interval * BigInt(BURST);
  object.write('.data.config', 0, new Uint8Array(words.buffer));
}

function u32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

export class KernelCapture {
  readonly states: readonly HookState[];
  /** Why nothing at all could be loaded. */
  readonly failure: string | undefined;
  /** CPU slots that the kernel may ever use. */
  readonly cpus: number;
  readonly #object: BpfObject | undefined;
  readonly #shape: Shape;
  readonly #pagesPerCpu: number;
  readonly #exact: boolean;
  readonly #layouts: { cpuState: StructLayout; histogram: StructLayout } | undefined;
  readonly #memory: Memory | undefined;
  #tcpLost = 0;
  #reader: EventReader | undefined;

  constructor({ object, states, failure }: Climb, shape: Shape, options: CaptureOptions) {
    this.states = states;
    this.failure = failure;
    this.cpus = shape.cpus;
    this.#shape = shape;
    this.#pagesPerCpu = options.pagesPerCpu;
    this.#exact = options.exact;
    this.#object = object;
    if (object === undefined) return;
    this.#layouts = { cpuState: object.layout('cpu_state'), histogram: object.layout('histogram') };
    this.#memory = memoryOf(object, this.#layouts);
  }

  /** Sets budgets and the outliers' rate; takes effect with the next packet. */
  configure(options: LiveOptions): void {
    if (this.#object !== undefined) writeConfig(this.#object, options);
  }

  /** All counters as they stand; undefined when nothing could be loaded. */
  read(): Reading | undefined {
    if (this.#object === undefined || this.#memory === undefined || this.#layouts === undefined) {
      return undefined;
    }
    const tcp = this.#readTcpTable(this.#object, this.#layouts.cpuState);
    return assemble(this.#memory, this.#layouts, this.#shape, tcp);
  }

  /**
   * Packets that entered the TCP table and left without a trace: kept - resolved - still there.
   * Read in this order, packets under way can only make the difference too small, never too large,
   * and it never runs backwards.
   */
  #readTcpTable(object: BpfObject, layout: StructLayout): { lost: number; open: number } {
    const kept = this.#sumOverCpus(object, layout, 'tcp_kept');
    const table = new Uint32Array(object.mapBytes('tcp_packets') / 4);
    object.read('tcp_packets', 0, new Uint8Array(table.buffer));
    const resolved = this.#sumOverCpus(object, layout, 'tcp_resolved');
    const words = object.layout('tcp_packet').size / 4;
    const nowNs = Number(process.hrtime.bigint());
    let there = 0;
    let open = 0;
    for (let at = 0; at < table.length; at += words) {
      if (table[at] === 0 && table[at + 1] === 0) continue;
      there++;
      const receivedNs = (table[at + 2] ?? 0) + (table[at + 3] ?? 0) * 0x1_0000_0000;
      if (nowNs - receivedNs < TCP_OPEN_NS_MAX) open++;
    }
    const gone = kept - resolved - there;
    this.#tcpLost = Math.max(this.#tcpLost, gone + (there - open));
    return { lost: this.#tcpLost, open };
  }

  #sumOverCpus(object: BpfObject, layout: StructLayout, field: string): number {
    const place = layout.fields[field]?.offset ?? 0;
    const words = new Uint32Array(2);
    let total = 0;
    for (let cpu = 0; cpu < this.#shape.cpus; cpu++) {
      object.read('cpus', cpu * layout.size + place, new Uint8Array(words.buffer));
      total += (words[0] ?? 0) + (words[1] ?? 0) * 0x1_0000_0000;
    }
    return total;
  }

  /**
   * Frees the slots of devices that are no more, so that newcomers find room; their counts go.
   * `gone` are ifindexes of the agent's namespace.
   */
  forgetDevices(gone: ReadonlySet<number>): void {
    const object = this.#object;
    const layout = this.#layouts;
    if (object === undefined || layout === undefined || gone.size === 0) return;
    const { cpuState, histogram } = layout;
    const state = new Uint32Array(cpuState.size / 4);
    const keys = (cpuState.fields.device_keys?.offset ?? 0) / 4;
    const zeros = new Uint8Array(histogram.size);
    for (let cpu = 0; cpu < this.#shape.cpus; cpu++) {
      object.read('cpus', cpu * cpuState.size, new Uint8Array(state.buffer));
      for (let i = 0; i < this.#shape.devices; i++) {
        if (!gone.has(state[keys + i] ?? 0)) continue;
        const slot = i + 2;
        const first = cpu * histogramsPerCpu(this.#shape) + slot * 6;
        for (let h = first; h < first + 6; h++) {
          object.write('histograms', h * histogram.size, zeros);
        }
        const received = (cpuState.fields.received?.offset ?? 0) + slot * 8;
        object.write('cpus', cpu * cpuState.size + received, new Uint8Array(8));
        // Keys are 4 bytes and writes 8: the neighbour is written back as it was read. No packet
        // can arrive for a device that is gone; a neighbour claimed in between would be claimed anew.
        const pair = i & ~1;
        const words = Uint32Array.of(state[keys + pair] ?? 0, state[keys + pair + 1] ?? 0);
        words[i - pair] = 0;
        object.write('cpus', cpu * cpuState.size + (keys + pair) * 4, new Uint8Array(words.buffer));
        state[keys + i] = 0;
      }
    }
  }

  /** Delivers records until closed. At most once. */
  startRecords(sink: RecordSink): void {
    if (this.#object === undefined) return;
    const decode = recordDecoder(
      this.#object.layout('outlier'),
      this.#object.layout('observation'),
    );
    const ringBytes = this.#pagesPerCpu * 4096;
    this.#reader = this.#object.openEvents(
      'events',
      {
        pagesPerCpu: this.#pagesPerCpu,
        // Outliers are rare and wanted at once; a stream is cheaper in gulps.
        wakeupBytes: this.#exact ? ringBytes >> 2 : 0,
        batchBytesMax: 1 << 18,
      },
      (frames) => decode(frames, sink),
    );
  }

  /** Delivers what is in the rings now. */
  drain(): void {
    this.#reader?.drain();
  }

  /**
   * Ends the measurement: what begins one first, then what ends it. Counters and records stay
   * readable, and no longer change. Harmless twice.
   */
  detach(): void {
    for (const { rung } of [...this.states].reverse()) {
      if (rung !== undefined) this.#object?.detach(rung.program);
    }
  }

  /** Run time and runs of the attached programs; zeros while BPF statistics are off. */
  programStats(): ProgramStats[] {
    return this.states.flatMap(({ rung }) =>
      rung === undefined || this.#object === undefined
        ? []
        : [{ program: rung.program, ...this.#object.programStats(rung.program) }],
    );
  }

  /** Detaches and frees everything; harmless twice. */
  close(): void {
    this.#reader?.close();
    this.#object?.close();
  }
}

function memoryOf(
  object: BpfObject,
  layouts: { cpuState: StructLayout; histogram: StructLayout },
): Memory {
  const state = new Uint32Array(layouts.cpuState.size / 4);
  const histogram = new Uint32Array(layouts.histogram.size / 4);
  const copy = (map: string, into: Uint32Array, index: number): Uint32Array => {
    object.read(map, index * into.byteLength, new Uint8Array(into.buffer));
    return into;
  };
  return {
    cpuState: (cpu) => copy('cpus', state, cpu),
    histogram: (index) => copy('histograms', histogram, index),
  };
}
