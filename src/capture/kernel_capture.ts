// The libbpf backend: loads the bundled programs, hands over their counters and their records.
// It owns the BPF object and its ring buffer; it knows no metric, no device name and no wall clock.

import { statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Addon, BpfObject, EventReader, StructLayout } from '../addon/addon.ts';
import { BUCKETS } from '../histogram/bounds.ts';
import type { Histogram } from '../histogram/histogram.ts';
import { CATALOGUE, PROBES } from '../probes/index.ts';
import { hooksOf } from '../probes/probe.ts';
import { DeviceSlots } from './device_slots.ts';
import { HOOKS, type Hook } from './hooks.ts';
import { type Climb, climb, type HookState } from './ladder.ts';
import { patiently } from './passing.ts';
import { isPreemptRt } from './preempt_rt.ts';
import { assemble, type Memory, type Reading } from './reading.ts';
import { type RecordSink, recordDecoder } from './records.ts';
import { withRemoved } from './removed.ts';
import {
  DEVICE_MAPS,
  type DeviceMap,
  deviceSlots,
  histogramPlaces,
  histogramsPerCpu,
  PROBES_ALL,
  type Shape,
} from './slots.ts';
import { TcpTableReader } from './tcp_table.ts';

export interface CaptureOptions {
  /** Ids of what is to be measured: probes, and `drops`. */
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
  /** CPUs other than those of this machine: for tests of larger ones. */
  readonly cpus?: number;
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

/**
 * Loads and attaches what this kernel allows. Never throws for what the kernel refuses: the states
 * of the hooks say what is missing. Throws only when the object file itself is unusable.
 */
export function openKernelCapture(addon: Addon, options: CaptureOptions): KernelCapture {
  const { devices, probes } = options;
  const shape: Shape = { cpus: options.cpus ?? addon.possibleCpus(), devices, probes };
  const wanted = CATALOGUE.filter(({ id }) => probes.includes(id));
  const hooks = (options.hooks ?? HOOKS).filter(({ name }) =>
    wanted.some((entry) => hooksOf(entry).includes(name)),
  );
  const open = (): BpfObject => prepare(addon, options, shape);
  const fill = (object: BpfObject): void => {
    placeCpus(object, shape);
    writeConfig(object, options, []);
  };
  return new KernelCapture(climb({ open, fill }, hooks), shape, options);
}

function prepare(addon: Addon, options: CaptureOptions, shape: Shape): BpfObject {
  const object = addon.openObject(OBJECT);
  try {
    for (const { id } of CATALOGUE) {
      object.setConst(`${id}_on`, Uint8Array.of(options.probes.includes(id) ? 1 : 0));
    }
    object.setConst('histograms_of', bytesOf(placesOf(shape)));
    object.setConst('exact', Uint8Array.of(options.exact ? 1 : 0));
    object.setConst('preempt_rt', Uint8Array.of(isPreemptRt() ? 1 : 0));
    object.setConst('own_netns', u32(statSync('/proc/self/ns/net').ino));
    object.setConst('device_mask', u32(options.devices - 1));
    object.setMaxEntries('cpus', shape.cpus);
    object.setMaxEntries('histograms', Math.max(1, shape.cpus * histogramsPerCpu(shape)));
    // What is off takes no memory.
    for (const { id, maps } of CATALOGUE) {
      for (const map of maps) {
        if (!options.probes.includes(id)) object.setMaxEntries(map, 1);
        else if (map in DEVICE_MAPS) object.setMaxEntries(map, shape.cpus * deviceSlots(shape));
      }
    }
    return object;
  } catch (error) {
    object.close();
    throw error;
  }
}

/** By the programs' number of a probe, where its histograms begin among those of one CPU. */
function placesOf(shape: Shape): Uint32Array {
  const places = histogramPlaces(shape);
  const words = new Uint32Array(PROBES_ALL);
  for (const [i, { id }] of PROBES.entries()) words[i] = places.get(id) ?? 0;
  return words;
}

/** Tells each CPU where its parts of the maps begin. */
function placeCpus(object: BpfObject, shape: Shape): void {
  const { size, fields } = object.layout('cpu_state');
  // first_histogram and first_device follow each other.
  const place = fields.first_histogram?.offset ?? 0;
  for (let cpu = 0; cpu < shape.cpus; cpu++) {
    const words = Uint32Array.of(cpu * histogramsPerCpu(shape), cpu * deviceSlots(shape));
    object.write('cpus', cpu * size + place, bytesOf(words));
  }
}

function writeConfig(object: BpfObject, options: LiveOptions, states: readonly HookState[]): void {
  const { fields, size } = object.layout('config');
  const words = new BigUint64Array(size / 8);
  const budgets = (fields.budget_ns?.offset ?? 0) / 8;
  for (const [i, { id }] of PROBES.entries()) {
    words[budgets + i] = BigInt(Math.round(options.budgets_ns[id] ?? 0));
  }
  const interval = BigInt(Math.round(1e9 / options.perCpuPerSecond));
  words[(fields.event_interval_ns?.offset ?? 0) / 8] = interval;
  words[(fields.event_burst_ns?.offset ?? 0) / 8] = interval * BigInt(BURST);
  const udpReads = states.some(({ hook, rung }) => hook === 'udp_read' && rung !== undefined);
  words[(fields.udp_reads_seen?.offset ?? 0) / 8] = udpReads ? 1n : 0n;
  object.write('.data.config', 0, new Uint8Array(words.buffer));
}

function u32(value: number): Uint8Array {
  return bytesOf(Uint32Array.of(value));
}

function bytesOf(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer);
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
  #tcp: TcpTableReader | undefined;
  readonly #slots: DeviceSlots | undefined;
  #reader: EventReader | undefined;
  #closed = false;

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
    this.#memory = memoryOf(object, this.#layouts, shape);
    this.#slots = new DeviceSlots(object, this.#layouts.cpuState, this.#memory, shape);
    // What the programs may expect of each other is known now that all stand.
    this.configure(options);
  }

  /** Sets budgets and the outliers' rate; takes effect with the next packet. */
  configure(options: LiveOptions): void {
    if (this.#object !== undefined) writeConfig(this.#object, options, this.states);
  }

  /**
   * All counters as they stand, latencies for each CPU or for all together; undefined when nothing
   * could be loaded.
   */
  read(perCpu = true): Reading | undefined {
    if (this.#object === undefined || this.#memory === undefined || this.#layouts === undefined) {
      return undefined;
    }
    const { cpuState } = this.#layouts;
    this.#tcp ??= new TcpTableReader(this.#object, cpuState, this.#shape.cpus);
    this.#slots?.settle();
    const reading = assemble(this.#memory, cpuState, this.#shape, this.#tcp.read(), perCpu);
    return withRemoved(reading, new Set(), this.#slots?.rows(perCpu));
  }

  /**
   * Frees the slots of devices that are no more, so that newcomers find room; what they counted goes on
   * as that of removed devices. `gone` are ifindexes of the agent's namespace.
   */
  forgetDevices(gone: ReadonlySet<number>): void {
    this.#slots?.remove(gone);
  }

  /** Resolves when the slots that the last removal left are free, where packets do not keep them. */
  async settleDevices(): Promise<void> {
    const ms = this.#slots?.leavingMs;
    if (ms === undefined) return;
    await sleep(ms);
    if (!this.#closed) this.#slots?.settle();
  }

  /** Delivers records until closed. At most once. */
  startRecords(sink: RecordSink): void {
    if (this.#object === undefined) return;
    const object = this.#object;
    const decode = recordDecoder((struct) => object.layout(struct));
    const ringBytes = this.#pagesPerCpu * 4096;
    const options = {
      pagesPerCpu: this.#pagesPerCpu,
      // Outliers are rare and wanted at once; a stream is cheaper in gulps.
      wakeupBytes: this.#exact ? ringBytes >> 2 : 0,
      batchBytesMax: 1 << 18,
    };
    this.#reader = patiently(() =>
      object.openEvents('events', options, (frames) => decode(frames, sink)),
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
    this.#closed = true;
    this.#reader?.close();
    this.#object?.close();
  }
}

function memoryOf(
  object: BpfObject,
  layouts: { cpuState: StructLayout; histogram: StructLayout },
  shape: Shape,
): Memory {
  const state = new Uint32Array(layouts.cpuState.size / 4);
  const wordsOf = (map: DeviceMap) => new Uint32Array(object.layout(DEVICE_MAPS[map]).size / 4);
  const row = wordsOf('drops');
  const work = wordsOf('polls');
  const copy = (map: string, into: Uint32Array, index: number): Uint32Array => {
    object.read(map, index * into.byteLength, new Uint8Array(into.buffer));
    return into;
  };
  const sums = new Float64Array(layouts.histogram.size / 8);
  const sumAt = (layouts.histogram.fields.sum_ns?.offset ?? 0) / 8;
  const overAt = (layouts.histogram.fields.over_budget?.offset ?? 0) / 8;
  return {
    cpuState: (cpu) => copy('cpus', state, cpu),
    drops: (cpu, slot) => copy('drops', row, cpu * deviceSlots(shape) + slot),
    polls: (cpu, slot) => copy('polls', work, cpu * deviceSlots(shape) + slot),
    histogram: (indices): Histogram | undefined => {
      object.sum('histograms', bytesOf(Uint32Array.from(indices)), new Uint8Array(sums.buffer));
      const counts = sums.slice(0, BUCKETS);
      if (counts.every((n) => n === 0)) return undefined;
      return { counts, sumNs: sums[sumAt] ?? 0, overBudget: sums[overAt] ?? 0 };
    },
  };
}
