// Gives slots of devices that are gone to others, and keeps what they counted.
//
// A slot changes hands in two steps, since programs on other CPUs may still count in it. First its key
// becomes one that no device has: what counts for the device from then on finds another slot, which the
// next removal finds. Once nothing can be on its way to the slot any more, its counts are taken over and
// it is free.

import type { BpfObject, StructLayout } from '../addon/addon.ts';
import { probeOf } from '../probes/index.ts';
import { type DeviceRows, type Memory, rowsOfSlot } from './reading.ts';
import { NO_ROWS, withRemoved } from './removed.ts';
import {
  DEVICE_FIRST,
  DEVICE_MAPS,
  type DeviceMap,
  deviceSlots,
  hasMap,
  histogramPlaces,
  histogramsPerCpu,
  PROTOCOLS,
  REMOVED_KEY,
  type Shape,
} from './slots.ts';

/** A program that has looked up a slot has counted in it by then: it runs for microseconds. */
const UNDER_WAY_MS = 10;

/** A slot without an owner that may still be counted in. */
interface Leaving {
  readonly cpu: number;
  readonly slot: number;
  readonly sinceMs: number;
  /** Packets up to this place of the CPU's ring may have been given the slot. */
  ringTail?: number;
}

export class DeviceSlots {
  readonly #object: BpfObject;
  /** Of `struct cpu_state`. */
  readonly #layout: StructLayout;
  readonly #memory: Memory;
  readonly #shape: Shape;
  #leaving: Leaving[] = [];
  #rows: DeviceRows = NO_ROWS;

  constructor(object: BpfObject, layout: StructLayout, memory: Memory, shape: Shape) {
    this.#object = object;
    this.#layout = layout;
    this.#memory = memory;
    this.#shape = shape;
  }

  /** What was counted in slots that are free again, for each CPU or for all together. */
  rows(perCpu: boolean): DeviceRows {
    if (perCpu) return this.#rows;
    const latencies = this.#rows.latencies.map(({ cpu: _, ...latency }) => latency);
    return { ...this.#rows, latencies };
  }

  /** Takes the slots from devices that are gone. */
  remove(gone: ReadonlySet<number>): void {
    this.settle();
    if (gone.size === 0) return;
    const keys = this.#place('device_keys');
    const sinceMs = performance.now();
    for (let cpu = 0; cpu < this.#shape.cpus; cpu++) {
      const state = this.#memory.cpuState(cpu);
      for (let i = 0; i < this.#shape.devices; i++) {
        if (!gone.has(state[keys / 4 + i] ?? 0)) continue;
        const slot = DEVICE_FIRST + i;
        this.#setKey(cpu, slot, REMOVED_KEY);
        this.#leaving.push({ cpu, slot, sinceMs });
      }
    }
  }

  /** Milliseconds until slots may be freed that have lost their devices; undefined where none has. */
  get leavingMs(): number | undefined {
    return this.#leaving.length === 0 ? undefined : UNDER_WAY_MS;
  }

  /** Frees the slots that nothing can be counted in any more. */
  settle(): void {
    const over = this.#leaving.filter((leaving) => this.#isOver(leaving));
    if (over.length === 0) return;
    for (const { cpu, slot } of over) this.#free(cpu, slot);
    this.#leaving = this.#leaving.filter((leaving) => !over.includes(leaving));
  }

  #isOver(leaving: Leaving): boolean {
    if (performance.now() - leaving.sinceMs < UNDER_WAY_MS) return false;
    const state = this.#memory.cpuState(leaving.cpu);
    leaving.ringTail ??= state[this.#place('ring_tail') / 4] ?? 0;
    // Both only grow, and wrap.
    return (((state[this.#place('ring_head') / 4] ?? 0) - leaving.ringTail) | 0) >= 0;
  }

  #free(cpu: number, slot: number): void {
    const rows = rowsOfSlot(this.#memory, this.#layout, this.#shape, cpu, slot);
    this.#rows = withRemoved(rows, new Set(), this.#rows);
    this.#clear(cpu, slot);
    this.#setKey(cpu, slot, 0);
  }

  /** Four bytes alone: the neighbour may find its owner in this moment. */
  #setKey(cpu: number, slot: number, key: number): void {
    const place = this.#place('device_keys') + (slot - DEVICE_FIRST) * 4;
    this.#object.write32('cpus', cpu * this.#layout.size + place, key);
  }

  /** Zeroes all that one CPU has counted in a device slot. */
  #clear(cpu: number, slot: number): void {
    const shape = this.#shape;
    const zero = (map: string, struct: string, index: number): void => {
      const { size } = this.#object.layout(struct);
      this.#object.write(map, index * size, new Uint8Array(size));
    };
    for (const [id, place] of histogramPlaces(shape)) {
      const by = probeOf(id)?.by;
      const first = cpu * histogramsPerCpu(shape) + place;
      if (by === 'device') zero('histograms', 'histogram', first + slot);
      if (by !== 'device_protocol') continue;
      for (let p = 0; p < PROTOCOLS.length; p++)
        zero('histograms', 'histogram', first + slot * PROTOCOLS.length + p);
    }
    const index = cpu * deviceSlots(shape) + slot;
    for (const map of Object.keys(DEVICE_MAPS) as DeviceMap[])
      if (hasMap(shape, map)) zero(map, DEVICE_MAPS[map], index);
    const received = cpu * this.#layout.size + this.#place('received') + slot * 8;
    this.#object.write('cpus', received, new Uint8Array(8));
  }

  /** Of a member of `struct cpu_state`, in bytes. */
  #place(member: string): number {
    return this.#layout.fields[member]?.offset ?? 0;
  }
}
