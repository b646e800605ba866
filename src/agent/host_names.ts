// The names behind the kernel's numbers, from what host_devices.ts read. Pure.

import type { ScriptDevice } from '../capture/bpftrace/script_reading.ts';
import type { DeviceKey, IrqKey } from '../capture/reading.ts';
import { deviceName } from '../host/device_names.ts';
import type { Device } from '../host/devices.ts';
import type { IrqOwner } from '../host/interrupts.ts';
import { REMOVED } from '../metrics/family_places.ts';

export const OTHER_NETNS = '(other netns)';
export const OVERFLOW = '(other)';

export class HostNames {
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

  /**
   * Undefined when the device is gone, or has come since the devices were read. Where no device has a name,
   * as none could be read, its number.
   */
  device(key: DeviceKey): string | undefined {
    if (key === 'none') return '';
    if (key === 'other_netns') return OTHER_NETNS;
    if (key === 'overflow') return OVERFLOW;
    if (key === 'removed') return REMOVED;
    return this.#devices.length === 0 ? `ifindex ${key}` : this.#byIfindex.get(key);
  }

  /** The same for bpftrace's scripts, which know devices by the bytes of their names. */
  scriptDevice(device: ScriptDevice): string | undefined {
    if (typeof device === 'string') return this.device(device);
    const name = deviceName(Buffer.from(device.name, 'latin1'));
    return this.#devices.length === 0 || this.#names.has(name) ? name : undefined;
  }

  irq(key: IrqKey): string {
    return key === 'overflow' ? OVERFLOW : (this.#interrupts.get(key)?.device ?? '');
  }
}
