// What devices and interrupts are called, wherever a reading is shown: metrics, outliers, drops, records. The
// names behind the kernel's numbers are as the host was last read. Pure.

import type { ScriptDevice } from '../capture/bpftrace/script_reading.ts';
import { type DeviceKey, type IrqKey, OTHER_REASON } from '../capture/reading.ts';
import type { DropRecord, Outlier } from '../capture/records.ts';
import { deviceName } from '../host/device_names.ts';
import type { Device } from '../host/devices.ts';
import type { DropReasons } from '../host/drop_reasons.ts';
import type { IrqOwner } from '../host/interrupts.ts';
import type { SymbolNames } from '../host/symbols.ts';
import { probeOf } from '../probes/index.ts';

/** What has no place of its own: its device found no slot, or its label set no row. */
export const OTHER = '(other)';
/** Devices that are gone, all together. */
export const REMOVED = '(removed)';
/** Devices of other network namespaces than the agent's, all together. */
export const OTHER_NETNS = '(other netns)';

/** Where something was observed: at a device, at an interrupt, or at neither. */
export interface Place {
  readonly device?: DeviceKey | undefined;
  readonly irq?: IrqKey | undefined;
}

export interface DeviceLabels {
  /** Undefined: it has gone, or has come since the names were read. */
  deviceLabel(device: DeviceKey): string | undefined;
  /** '' where it is no network device's. */
  irqLabel(irq: IrqKey): string;
}

/** The label `device` of what a probe observed; undefined as `deviceLabel`. */
export function labelOf(
  probe: string,
  { device = 'none', irq }: Place,
  labels: DeviceLabels,
): string | undefined {
  if (irq !== undefined) return labels.irqLabel(irq);
  if (device !== 'none') return labels.deviceLabel(device);
  return probeOf(probe)?.noDevice ?? '';
}

export function placeOfOutlier({ probe, otherNetns, ifindex, irq }: Outlier): Place {
  if (probeOf(probe)?.by === 'irq') return { irq };
  if (otherNetns) return { device: 'other_netns' };
  return ifindex === 0 ? {} : { device: ifindex };
}

export function placeOfDrop({ otherNetns, noDevice, ifindex }: DropRecord): Place {
  if (noDevice) return {};
  return { device: otherNetns ? 'other_netns' : ifindex };
}

/** A code location that no function is known for. Addresses are no labels: they would tell KASLR's. */
const NO_NAME = '(unknown)';

/** The reason's label: the kernel's name for it, before Linux 5.17 that of the function. */
export function reasonLabel(reason: number, reasons: DropReasons, symbols: SymbolNames): string {
  if (reason === OTHER_REASON) return OTHER;
  return reasons.known ? reasons.name(reason) : (symbols.nameOfLow(reason) ?? NO_NAME);
}

export class HostNames implements DeviceLabels {
  #devices: readonly Device[] = [];
  #byIfindex: ReadonlyMap<number, string> = new Map();
  #names: ReadonlySet<string> = new Set();
  #interrupts: ReadonlyMap<number, IrqOwner> = new Map();

  /** Both as they are now. */
  use(devices: readonly Device[], interrupts: ReadonlyMap<number, IrqOwner>): void {
    this.#interrupts = interrupts;
    if (devices === this.#devices) return;
    this.#devices = devices;
    this.#byIfindex = new Map(devices.map(({ ifindex, name }) => [ifindex, name]));
    this.#names = new Set(devices.map(({ name }) => name));
  }

  /** Of devices that have come since, so that what they do is theirs before the host is read again. */
  learn(devices: readonly Pick<Device, 'ifindex' | 'name'>[]): void {
    const news = devices.filter(({ ifindex }) => !this.#byIfindex.has(ifindex));
    this.#byIfindex = new Map([
      ...this.#byIfindex,
      ...news.map(({ ifindex, name }) => [ifindex, name] as const),
    ]);
  }

  /** Of the devices that were seen, by ifindex, those that are no more. */
  gone(seen: readonly DeviceKey[]): Set<number> {
    return new Set(
      seen.flatMap((key) => (typeof key === 'number' && !this.#byIfindex.has(key) ? [key] : [])),
    );
  }

  /** Labels that can occur: devices that can receive, and those that have interrupts. */
  known(): { readonly devices: string[]; readonly irqDevices: string[] } {
    return {
      devices: [...this.#devices.filter(({ up }) => up).map(({ name }) => name), OTHER_NETNS],
      irqDevices: [...new Set([...this.#interrupts.values()].map(({ device }) => device))],
    };
  }

  /** Where no device has a name, as none could be read, its number. */
  deviceLabel(key: DeviceKey): string | undefined {
    if (key === 'none') return '';
    if (key === 'other_netns') return OTHER_NETNS;
    if (key === 'overflow') return OTHER;
    if (key === 'removed') return REMOVED;
    return this.#devices.length === 0 ? `ifindex ${key}` : this.#byIfindex.get(key);
  }

  /** The same for bpftrace's scripts, which know devices by the bytes of their names. */
  scriptDevice(device: ScriptDevice): string | undefined {
    if (typeof device === 'string') return this.deviceLabel(device);
    const name = deviceName(Buffer.from(device.name, 'latin1'));
    return this.#devices.length === 0 || this.#names.has(name) ? name : undefined;
  }

  irqLabel(key: IrqKey): string {
    return key === 'overflow' ? OTHER : (this.#interrupts.get(key)?.device ?? '');
  }
}
