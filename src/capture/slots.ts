// How the histograms of one CPU follow each other in the kernel's memory: probe after probe, and each
// by what its histograms are by. The same order as in bpf/observe.h; the numbers get there by
// tools/generate_numbers.ts. Pure.

import { CATALOGUE, PROBES } from '../probes/index.ts';
import type { By } from '../probes/probe.ts';

/** Numbers that decide how large the programs' maps are. */
export interface Shape {
  /** Device slots of each CPU: a power of two. */
  readonly devices: number;
  /** CPUs that the kernel may ever use. */
  readonly cpus: number;
  /** Ids of the probes that are measured. */
  readonly probes: readonly string[];
}

export const PROTOCOLS = ['tcp', 'udp', 'other'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

/** Softirq vectors by their numbers (include/linux/interrupt.h), as /proc/softirqs names them. */
export const VECTORS = [
  'HI',
  'TIMER',
  'NET_TX',
  'NET_RX',
  'BLOCK',
  'IRQ_POLL',
  'TASKLET',
  'SCHED',
  'HRTIMER',
  'RCU',
] as const;

/** The smallest power of two that holds so many: a mask is what the verifier understands. */
export function roomFor(n: number): number {
  return 2 ** Math.ceil(Math.log2(n));
}

/** Room for probes in the programs' arrays. */
export const PROBES_ALL = roomFor(PROBES.length);
/** The first slots of a CPU are no device's and no interrupt's; those of the overflow found no slot near. */
export const DEVICE_OVERFLOW = 0;
export const DEVICE_OTHER_NETNS = 1;
export const DEVICE_FIRST = 2;
/** In the place of its key: of a device that is gone. No ifindex is as large. */
export const REMOVED_KEY = 0xffff_ffff;
/** Of network devices' interrupts a CPU keeps 16 apart. */
export const IRQ_OVERFLOW = 0;
export const IRQ_FIRST = 1;
export const IRQ_SLOTS = 17;
export const REASON_OVERFLOW = 0;
export const REASON_FIRST = 1;
export const REASON_SLOTS = 64;
/** The kernel has ten. */
export const VECTORS_ALL = roomFor(VECTORS.length);

/** Maps of probes with an entry for each device slot of each CPU, and the struct of an entry. */
export const DEVICE_MAPS = { drops: 'drop_row', polls: 'poll_work' } as const;
export type DeviceMap = keyof typeof DEVICE_MAPS;

/** Is a probe on that has this map? */
export function hasMap({ probes }: Shape, map: DeviceMap): boolean {
  return CATALOGUE.some(({ id, maps }) => probes.includes(id) && maps.includes(map));
}

/** Device slots, with the last one for what has no device. */
export function deviceSlots(shape: Shape): number {
  return DEVICE_FIRST + shape.devices + 1;
}

/** Histograms of a probe on one CPU. */
export function slotsOf(by: By, shape: Shape): number {
  switch (by) {
    case 'irq':
      return IRQ_SLOTS;
    case 'device':
      return deviceSlots(shape);
    case 'protocol':
      return PROTOCOLS.length;
    case 'device_protocol':
      return deviceSlots(shape) * PROTOCOLS.length;
    case 'vector':
      return VECTORS_ALL;
  }
}

/** By probe id, where its histograms begin among those of one CPU. */
export function histogramPlaces(shape: Shape): ReadonlyMap<string, number> {
  const places = new Map<string, number>();
  let next = 0;
  for (const { id, by } of PROBES) {
    if (!shape.probes.includes(id)) continue;
    places.set(id, next);
    next += slotsOf(by, shape);
  }
  return places;
}

export function histogramsPerCpu(shape: Shape): number {
  return PROBES.filter(({ id }) => shape.probes.includes(id))
    .map(({ by }) => slotsOf(by, shape))
    .reduce((sum, n) => sum + n, 0);
}
