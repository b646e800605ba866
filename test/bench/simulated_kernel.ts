// The kernel side of a large machine: the maps of the BPF object, made for its CPUs and filled as if every
// queue had traffic on the CPU that its interrupt goes to. No program counts into them: only reading is real.

import { type Addon, type BpfObject, loadAddon } from '../../src/addon/addon.ts';
import { HOOKS } from '../../src/capture/hooks.ts';
import { type KernelCapture, openKernelCapture } from '../../src/capture/kernel_capture.ts';
import {
  DEVICE_FIRST,
  histogramPlaces,
  histogramsPerCpu,
  IRQ_FIRST,
} from '../../src/capture/slots.ts';
import type { Topology } from '../../src/host/topology.ts';
import { PROBES } from '../../src/probes/index.ts';

const DEVICES = 16;

/** `ifindexes`: by device. The caller closes it. */
export function simulatedKernel(
  { interrupts }: Topology,
  cpus: number,
  ifindexes: ReadonlyMap<string, number>,
): KernelCapture {
  const addon = loadAddon();
  const opened: BpfObject[] = [];
  const openObject = (path: string): BpfObject => {
    const object = addon.openObject(path);
    opened.push(object);
    return object;
  };
  const probes = PROBES.map(({ id }) => id);
  const capture = openKernelCapture({ ...addon, openObject } as Addon, {
    ...{ probes, cpus, hooks: HOOKS.slice(0, 1), exact: false, devices: DEVICES, pagesPerCpu: 1 },
    ...{ budgets_ns: {}, perCpuPerSecond: 1 },
  });
  const object = opened.at(-1);
  if (object === undefined || capture.failure !== undefined) throw new Error(capture.failure);

  // An object is not loaded without a program; counting by this one is not wanted.
  capture.detach();

  const { size, fields } = object.layout('cpu_state');
  const histogram = object.layout('histogram').size;
  const shape = { devices: DEVICES, cpus, probes };
  const places = histogramPlaces(shape);
  for (let cpu = 0; cpu < cpus; cpu++) {
    const here = interrupts.filter(({ effective }) => effective?.[0] === cpu).slice(0, 16);
    const devices = [...new Set(here.map(({ device }) => ifindexes.get(device) ?? 0))];
    const keys = (field: string, of: readonly number[]): void => {
      const words = new Uint32Array(2 * Math.ceil(of.length / 2));
      words.set(of);
      if (of.length === 0) return;
      object.write('cpus', cpu * size + (fields[field]?.offset ?? 0), bytes(words));
    };
    keys('device_keys', devices);
    keys(
      'irq_keys',
      here.map(({ irq }) => irq + 1),
    );
    for (const { id, by } of PROBES) {
      const slots = {
        irq: here.map((_, at) => IRQ_FIRST + at),
        device: devices.map((_, at) => DEVICE_FIRST + at),
        protocol: [0, 1],
        device_protocol: devices.flatMap((_, at) => [0, 1].map((p) => (DEVICE_FIRST + at) * 3 + p)),
        vector: [1, 2, 3, 6, 7, 9],
      }[by];
      for (const slot of slots) {
        const words = new BigUint64Array(histogram / 8);
        for (let bucket = 50; bucket < 90; bucket++) words[bucket] = BigInt(1 + slot + bucket);
        words[words.length - 2] = 1_000_000n;
        const index = cpu * histogramsPerCpu(shape) + (places.get(id) ?? 0) + slot;
        object.write('histograms', index * histogram, bytes(words));
      }
    }
  }
  return capture;
}

function bytes(words: Uint32Array | BigUint64Array): Uint8Array {
  return new Uint8Array(words.buffer);
}
