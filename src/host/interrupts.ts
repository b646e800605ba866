// Which network device an interrupt belongs to, which of its queues, and how often it fired on each
// CPU. sysfs is asked first: a PCI device lists its vectors under msi_irqs, and a virtio device sits on
// such a PCI device. The names in /proc/interrupts decide what sysfs does not tell, and the queue. What
// neither tells is nobody's.

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { nameWithin } from './device_names.ts';
import { type HardwareDevice, hardwareDevices } from './devices.ts';
import {
  type Direction,
  isMadeOf,
  type Meaning,
  meaningOf,
  namesDevice,
} from './interrupt_names.ts';
import { type InterruptRow, type InterruptTable, parseInterrupts } from './interrupt_table.ts';
import { HOST_ROOTS, type Roots } from './roots.ts';

export type { InterruptRow, InterruptTable } from './interrupt_table.ts';
export { parseInterrupts } from './interrupt_table.ts';

export interface IrqOwner {
  readonly device: string;
  /** When the interrupt's name tells. Receive and transmit queues are numbered apart. */
  readonly queue?: number;
  readonly direction: Direction;
}

const TRIES = 3;
const BYTES_MAX = 64 * 1024 * 1024;
let scratch = Buffer.allocUnsafe(64 * 1024);

/**
 * /proc/interrupts as it is now. A CPU that comes or goes while the kernel prints tears the table:
 * it is read again then, and rows that are torn even so are left out and counted in `torn`.
 * Throws when the file cannot be read, or is empty.
 */
export function readInterrupts(roots: Roots = HOST_ROOTS): InterruptTable {
  const file = roots.interrupts ?? join(roots.proc, 'interrupts');
  for (let attempt = 1; ; attempt++) {
    const table = parseInterrupts(readAll(file));
    if (table.cpus.length === 0) {
      throw new Error(`${file} is empty: is it hidden by a container runtime?`);
    }
    if (table.torn === 0 || attempt === TRIES) return table;
  }
}

/** By interrupt number: the network device behind it. Interrupts of other devices are absent. */
export function interruptOwners(
  table: InterruptTable,
  roots: Roots = HOST_ROOTS,
  devices: readonly HardwareDevice[] = hardwareDevices(roots.sys),
): ReadonlyMap<number, IrqOwner> {
  const byVector = new Map<number, HardwareDevice[]>();
  for (const device of devices) {
    for (const irq of device.vectors) byVector.set(irq, [...(byVector.get(irq) ?? []), device]);
  }
  const found = new Map<number, { device: string; meaning: Meaning }>();
  for (const row of table.rows) {
    if (typeof row.irq !== 'number') continue;
    const owner = ownerOf(row.name.split(', '), byVector.get(row.irq), row.irq, devices);
    if (owner !== undefined) found.set(row.irq, owner);
  }
  return settlePlain(found);
}

/** Are the owners of one table those of the other too, for the same devices? Counts do not matter. */
export function sameInterrupts(one: InterruptTable, other: InterruptTable): boolean {
  return (
    one.rows.length === other.rows.length &&
    one.rows.every((row, index) => isSameLine(row, other.rows[index]))
  );
}

function isSameLine(row: InterruptRow, other: InterruptRow | undefined): boolean {
  return row.irq === other?.irq && row.name === other.name && row.chip === other.chip;
}

/**
 * Never by elimination: that a line has no other owner, or a device no other line, is no evidence. `mine`:
 * devices that have the interrupt among their vectors. They are several when one PCI function has several
 * ports, or stands for those of its virtual functions.
 */
function ownerOf(
  actions: readonly string[],
  mine: readonly HardwareDevice[] | undefined,
  irq: number,
  devices: readonly HardwareDevice[],
): { device: string; meaning: Meaning } | undefined {
  for (const action of actions) {
    const device = mine === undefined ? lineOwner(action, irq, devices) : named(action, mine);
    if (device !== undefined) return { device: device.name, meaning: meaningFor(action, device) };
  }
  const [first] = mine ?? [];
  if (first === undefined) return undefined;
  return { device: first.name, meaning: meaningFor(actions.join(', '), first) };
}

/**
 * Of an interrupt that is nobody's vector: a line, which may be shared and whose handler may bear its driver's
 * name, or an interrupt of a bus that sysfs tells nothing of.
 */
function lineOwner(
  action: string,
  irq: number,
  devices: readonly HardwareDevice[],
): HardwareDevice | undefined {
  const byBus = devices.find(({ busNames }) => namesDevice(action, busNames));
  if (byBus !== undefined) return byBus;
  const onLine = devices.filter(({ line }) => line === irq);
  return (
    named(action, onLine) ??
    onLine.find(({ driver }) => driver !== undefined && isMadeOf(action, driver, undefined)) ??
    named(
      action,
      devices.filter((device) => mayHaveUntold(action, device)),
    )
  );
}

/** That device whose name the action's is made of. The longest: `eth0-1` before `eth0`. */
function named(action: string, devices: readonly HardwareDevice[]): HardwareDevice | undefined {
  let longest: HardwareDevice | undefined;
  for (const device of devices) {
    const { name, driver } = device;
    if (name.length <= (longest?.name.length ?? 0)) continue;
    if (isMadeOf(action, nameWithin(name), driver)) longest = device;
  }
  return longest;
}

/**
 * May it have an interrupt that sysfs does not tell? Devices of systems on a chip, of Xen and of SPI do, and
 * it bears their name. Of PCI, sysfs tells: there, a name counts with its queue (`eth1-rx-7`, a vector that
 * came or went just now), but not alone, since one called `mmc0` or `timer` is not who owns that line. Those
 * of USB and SDIO have none.
 */
function mayHaveUntold(action: string, device: HardwareDevice): boolean {
  const { bus = '', busNames, vectors, line } = device;
  const [name = ''] = busNames;
  if (bus === 'usb' || bus === 'sdio' || USB.test(name)) return false;
  const isTold = bus === 'pci' || bus === 'virtio' || PCI.test(name) || vectors.length > 0;
  if (!isTold && line === undefined) return true;
  return ['rx', 'tx', 'rxtx'].includes(meaningFor(action, device).direction);
}

/** `0000:00:03.0` */
const PCI = /^[0-9a-f]+:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/i;
/** `1-1.4:1.0` */
const USB = /^\d+-[\d.]+:\d+\.\d+$/;

function meaningFor(action: string, device: HardwareDevice): Meaning {
  const { name, busNames, driver } = device;
  return meaningOf(action, [
    nameWithin(name),
    ...busNames,
    ...(driver === undefined ? [] : [driver]),
  ]);
}

/** `eth0` alone is all that a card with one interrupt has; beside `eth0-TxRx-0` it tells of the link. */
function settlePlain(
  found: ReadonlyMap<number, { device: string; meaning: Meaning }>,
): Map<number, IrqOwner> {
  const withQueues = new Set<string>();
  for (const { device, meaning } of found.values()) {
    if (meaning.direction !== 'plain' && meaning.direction !== 'other') withQueues.add(device);
  }
  const owners = new Map<number, IrqOwner>();
  for (const [irq, { device, meaning }] of found) {
    const { direction, ...queue } = meaning;
    const whole = withQueues.has(device) ? 'other' : 'rxtx';
    owners.set(irq, { device, ...queue, direction: direction === 'plain' ? whole : direction });
  }
  return owners;
}

/**
 * The kernel gives about one line a read on a large machine, so the buffer is kept, not allocated for
 * each. The bytes are good until the next call.
 */
function readAll(path: string): Uint8Array {
  // The path may be a user's choice, and a pipe would keep the agent waiting for ever.
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(file);
    if (!stats.isFile())
      throw new Error(
        `${path}: not a regular file, expected the kernel's /proc/interrupts: is it hidden by a container runtime? If not, check RXSCOPE_INTERRUPTS_FILE`,
      );
    if (stats.size > BYTES_MAX) throw new Error(`${path}: longer than ${BYTES_MAX} bytes`);
    let length = 0;
    for (;;) {
      if (length === scratch.length) {
        if (length >= BYTES_MAX) throw new Error(`${path}: longer than ${BYTES_MAX} bytes`);
        scratch = Buffer.concat([scratch], length * 2);
      }
      const got = readSync(file, scratch, length, scratch.length - length, null);
      if (got === 0) return scratch.subarray(0, length);
      length += got;
    }
  } finally {
    closeSync(file);
  }
}
