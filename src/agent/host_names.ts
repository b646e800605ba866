// The names behind the kernel's numbers: network devices and the interrupts that are theirs, as
// they are now. Reads the host when told to; measures nothing.

import type { ScriptDevice } from '../capture/bpftrace/script_reading.ts';
import type { DeviceKey, IrqKey } from '../capture/reading.ts';
import { type Device, listDevices } from '../host/devices.ts';
import {
  type InterruptTable,
  type IrqOwner,
  interruptOwners,
  readInterrupts,
  sameInterrupts,
} from '../host/interrupts.ts';
import { HOST_ROOTS, type Roots } from '../host/roots.ts';

export const OTHER_NETNS = '(other netns)';
export const OVERFLOW = '(other)';
const NO_COUNTS = new Float64Array(0);

export class HostNames {
  #devices: readonly Device[] = [];
  #interrupts: ReadonlyMap<number, IrqOwner> = new Map();
  /** The table that `#interrupts` was made from. */
  #table: InterruptTable = { cpus: [], rows: [], torn: 0 };
  readonly #unknownIrqs = new Set<number>();
  readonly #roots: Roots;

  constructor(roots: Roots = HOST_ROOTS) {
    this.#roots = roots;
  }

  /** Throws when /sys or /proc cannot be read. */
  read(): void {
    this.#devices = listDevices(this.#roots.sys);
    this.#learn(readInterrupts(this.#roots));
  }

  /**
   * Reads the devices again, unless the caller has; of those seen, by ifindex, returns the ones that
   * are no more.
   */
  refreshDevices(
    seen: readonly DeviceKey[],
    devices: readonly Device[] = listDevices(this.#roots.sys),
  ): Set<number> {
    const there = new Set(devices.map(({ ifindex }) => ifindex));
    const gone = seen.flatMap((key) => (typeof key === 'number' && !there.has(key) ? [key] : []));
    const changed = !isSameList(devices, this.#devices);
    this.#devices = devices;
    if (changed) this.#learn(readInterrupts(this.#roots));
    return new Set(gone);
  }

  /** A table that was read for its counts: costs next to nothing while it lists the same interrupts. */
  useInterrupts(table: InterruptTable): void {
    if (!sameInterrupts(table, this.#table)) this.#learn(table);
  }

  /** By interrupt number, of network devices only. */
  get interrupts(): ReadonlyMap<number, IrqOwner> {
    return this.#interrupts;
  }

  /** An interrupt that nobody has named yet: its device may just have come up. Asked once each. */
  refreshInterrupts(seen: readonly IrqKey[]): void {
    const unknown = seen.flatMap((irq) =>
      irq === 'overflow' || this.#interrupts.has(irq) || this.#unknownIrqs.has(irq) ? [] : [irq],
    );
    if (unknown.length === 0) return;
    this.#learn(readInterrupts(this.#roots));
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
    if (key === 'none') return '';
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

  #learn(table: InterruptTable): void {
    this.#interrupts = interruptOwners(table, this.#roots);
    // Without its counts, which are 2 MB on a machine of 256 CPUs.
    this.#table = { ...table, rows: table.rows.map((row) => ({ ...row, counts: NO_COUNTS })) };
    for (const irq of this.#interrupts.keys()) this.#unknownIrqs.delete(irq);
  }
}

function isSameList(devices: readonly Device[], others: readonly Device[]): boolean {
  return (
    devices.length === others.length &&
    devices.every(({ name, ifindex, up }, index) => {
      const other = others[index];
      return name === other?.name && ifindex === other.ifindex && up === other.up;
    })
  );
}
