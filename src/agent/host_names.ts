// The names behind the kernel's numbers: network devices and the interrupts that are theirs, as
// they are now. Reads the host when told to; measures nothing.

import type { ScriptDevice } from '../capture/bpftrace/script_reading.ts';
import type { DeviceKey, IrqKey } from '../capture/reading.ts';
import { type Device, listDevices } from '../host/devices.ts';
import { type IrqOwner, networkInterrupts } from '../host/interrupts.ts';

export const OTHER_NETNS = '(other netns)';
export const OVERFLOW = '(other)';

export class HostNames {
  #devices: readonly Device[] = [];
  #interrupts: ReadonlyMap<number, IrqOwner> = new Map();
  readonly #unknownIrqs = new Set<number>();

  /** Throws when /sys or /proc cannot be read. */
  read(): void {
    this.#devices = listDevices();
    this.#interrupts = networkInterrupts();
  }

  /** Reads the devices again; of those seen, by ifindex, returns the ones that are no more. */
  refreshDevices(seen: readonly DeviceKey[]): Set<number> {
    const devices = listDevices();
    const there = new Set(devices.map(({ ifindex }) => ifindex));
    const gone = seen.flatMap((key) => (typeof key === 'number' && !there.has(key) ? [key] : []));
    const changed = JSON.stringify(devices) !== JSON.stringify(this.#devices);
    this.#devices = devices;
    if (changed) this.#interrupts = networkInterrupts();
    return new Set(gone);
  }

  /** An interrupt that nobody has named yet: its device may just have come up. Asked once each. */
  refreshInterrupts(seen: readonly IrqKey[]): void {
    const unknown = seen.flatMap((irq) =>
      irq === 'overflow' || this.#interrupts.has(irq) || this.#unknownIrqs.has(irq) ? [] : [irq],
    );
    if (unknown.length === 0) return;
    this.#interrupts = networkInterrupts();
    for (const irq of unknown) if (!this.#interrupts.has(irq)) this.#unknownIrqs.add(irq);
  }

  /** Labels that can occur: devices that can receive, and those that have interrupts. */
  known(): { readonly devices: string[]; readonly irqDevices: string[] } {
    return {
      devices: [...this.#devices.filter(({ up }) => up).map(({ name }) => name), OTHER_NETNS],
      irqDevices: [...new Set([...this.#interrupts.values()].map(({ device }) => device))],
    };
  }

  /** Undefined when the device is gone. */
  device(key: DeviceKey): string | undefined {
    if (key === 'other_netns') return OTHER_NETNS;
    if (key === 'overflow') return OVERFLOW;
    return this.#devices.find(({ ifindex }) => ifindex === key)?.name;
  }

  /** The same for bpftrace's scripts, which know devices by name. */
  scriptDevice(device: ScriptDevice): string | undefined {
    if (typeof device === 'string') return this.device(device);
    return this.#devices.find(({ name }) => name === device.name)?.name;
  }

  irq(key: IrqKey): string {
    return key === 'overflow' ? OVERFLOW : (this.#interrupts.get(key)?.device ?? '');
  }
}
