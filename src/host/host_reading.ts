// What the host says at one moment, beside the packets: CPUs, interrupts, links, settings. Types only, but for
// what tells hardware.

import type { CpuSeconds } from './cpu_times.ts';
import type { HardwareDevice } from './devices.ts';
import type { DeviceSettings } from './ethtool.ts';
import type { IrqOwner } from './interrupts.ts';
import type { Link } from './links.ts';
import type { ProtocolCounters } from './protocol_counters.ts';
import type { SoftnetCount } from './softnet.ts';
import type { DeviceSteering, NetworkSettings } from './steering.ts';

/** By CPU. */
export type ByCpu = ReadonlyMap<number, number>;

/** One interrupt of a network device. */
export interface InterruptSource {
  readonly irq: string;
  readonly owner: IrqOwner;
  /** By position in InterruptCounts.cpus. */
  readonly counts: Float64Array;
}

export interface InterruptCounts {
  readonly cpus: readonly number[];
  readonly sources: readonly InterruptSource[];
  /** All other interrupts together, by position in `cpus`. */
  readonly others: Float64Array;
}

/** What is read of a device with hardware behind it, now and then. */
export interface DeviceFacts {
  readonly device: string;
  readonly hardware: HardwareDevice | undefined;
  readonly settings: DeviceSettings;
  /** Undefined where sysfs tells of another network namespace. */
  readonly steering: DeviceSteering | undefined;
}

/** What the host says now. Counts only rise as long as the agent lives; what is offline is kept. */
export interface HostReading {
  /** CPUs that are or were online. */
  readonly cpus: readonly number[];
  readonly softnet: ReadonlyMap<SoftnetCount, ByCpu>;
  /** Packets waiting now, by CPU that is online; empty where the kernel does not tell. */
  readonly backlogPackets: ByCpu;
  /** By vector. */
  readonly softirqs: ReadonlyMap<string, ByCpu>;
  readonly cpuSeconds: ReadonlyMap<number, CpuSeconds>;
  readonly contextSwitches: number | undefined;
  readonly interrupts: InterruptCounts;
  readonly links: readonly Link[];
  /** By device and statistic. */
  readonly driverDrops: ReadonlyMap<string, ReadonlyMap<string, number>>;
  readonly devices: readonly DeviceFacts[];
  readonly settings: NetworkSettings | undefined;
  /** For the families of drops. */
  readonly protocols: ProtocolCounters;
}

/**
 * Is there hardware behind it, real or virtual? It has a parent, whatever its kind (IPoIB, CAN, WWAN, a port of
 * a switch). Before kernel 5.13 the parent is not told, and what has no kind is no other link's.
 */
export function hasHardware({
  kind,
  loopback,
  parentDevice,
}: Pick<Link, 'kind' | 'loopback' | 'parentDevice'>): boolean {
  return parentDevice !== undefined || (kind === undefined && !loopback);
}
