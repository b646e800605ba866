// A machine's counters as memory that is laid out as the programs lay it out, empty until a test fills it.

import { fileURLToPath } from 'node:url';
import { loadAddon } from '../../src/addon/addon.ts';
import { assemble, type Memory, type Reading, type TcpTable } from '../../src/capture/reading.ts';
import { histogramPlaces, histogramsPerCpu, type Shape } from '../../src/capture/slots.ts';
import { emptyHistogram, type Histogram, merge } from '../../src/histogram/histogram.ts';
import { CATALOGUE } from '../../src/probes/index.ts';

const object = loadAddon().openObject(
  fileURLToPath(new URL('../../dist/bpf/rxscope.bpf.o', import.meta.url)),
);
const LAYOUT = object.layout('cpu_state');
const ROW_WORDS = object.layout('drop_row').size / 4;
const WORK_WORDS = object.layout('poll_work').size / 4;
object.close();

export const DEVICES = 4;
const CPUS = 3;
const ALL = CATALOGUE.map(({ id }) => id);
/** The slot of a device key, and that of what has no device. */
export const FIRST = 2;
export const NONE = FIRST + DEVICES;

/** Three CPUs, four devices. */
export class Machine {
  readonly shape: Shape;
  readonly #states = Array.from({ length: CPUS }, () => new Uint32Array(LAYOUT.size / 4));
  readonly #histograms = new Map<number, Histogram>();
  readonly #rows = new Map<string, Uint32Array>();

  constructor(probes: readonly string[] = ALL) {
    this.shape = { cpus: CPUS, devices: DEVICES, probes };
  }

  /** A 32-bit member of a CPU's state, or an item of an array of them. */
  set32(cpu: number, member: string, value: number, item = 0): void {
    const state = this.#states[cpu] ?? new Uint32Array();
    state[offsetOf(member) / 4 + item] = value;
  }

  set64(cpu: number, member: string, value: number, item = 0): void {
    write64(this.#states[cpu] ?? new Uint32Array(), offsetOf(member) / 4 + item * 2, value);
  }

  /** `n` observations of 1 µs in histogram `slot` of a probe on a CPU. */
  observe(cpu: number, probe: string, slot: number, n: number, overBudget = 0): void {
    const histogram = emptyHistogram();
    histogram.counts[64] = n;
    histogram.sumNs = n * 1000;
    histogram.overBudget = overBudget;
    const place = histogramPlaces(this.shape).get(probe) ?? Number.NaN;
    this.#histograms.set(cpu * histogramsPerCpu(this.shape) + place + slot, histogram);
  }

  drop(cpu: number, device: number, reasonSlot: number, packets: number): void {
    write64(this.#row('drops', cpu, device, ROW_WORDS), reasonSlot * 2, packets);
  }

  poll(cpu: number, device: number, polls: readonly number[], rest: readonly [number, number]) {
    const words = this.#row('polls', cpu, device, WORK_WORDS);
    for (const [i, value] of [...polls, ...rest].entries()) write64(words, i * 2, value);
  }

  read({ perCpu = true, tcp = { lost: 0, open: 0 } as TcpTable } = {}): Reading {
    return assemble(this.#memory(), LAYOUT, this.shape, tcp, perCpu);
  }

  #row(of: string, cpu: number, device: number, words: number): Uint32Array {
    const key = `${of} ${cpu} ${device}`;
    const row = this.#rows.get(key) ?? new Uint32Array(words);
    this.#rows.set(key, row);
    return row;
  }

  #memory(): Memory {
    // As the real one does, hands out the same buffer for each CPU and each row.
    const state = new Uint32Array(LAYOUT.size / 4);
    const row = new Uint32Array(ROW_WORDS);
    const work = new Uint32Array(WORK_WORDS);
    const copy = (into: Uint32Array, from: Uint32Array | undefined): Uint32Array => {
      into.set(from ?? new Uint32Array(into.length));
      return into;
    };
    return {
      cpuState: (cpu) => copy(state, this.#states[cpu]),
      drops: (cpu, slot) => copy(row, this.#rows.get(`drops ${cpu} ${slot}`)),
      polls: (cpu, slot) => copy(work, this.#rows.get(`polls ${cpu} ${slot}`)),
      histogram: (indices) => {
        const found = indices.flatMap((index) => this.#histograms.get(index) ?? []);
        const sum = emptyHistogram();
        for (const one of found) merge(sum, one);
        return found.length === 0 ? undefined : sum;
      },
    };
  }
}

function offsetOf(member: string): number {
  const field = LAYOUT.fields[member];
  if (field === undefined) throw new Error(`struct cpu_state has no member ${member}`);
  return field.offset;
}

function write64(words: Uint32Array, at: number, value: number): void {
  words[at] = value % 2 ** 32;
  words[at + 1] = Math.floor(value / 2 ** 32);
}
