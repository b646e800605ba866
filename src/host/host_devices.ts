// The network devices of the agent's network namespace and the interrupts that are theirs, as they are now:
// from one netlink dump and one reading of /proc/interrupts a gather. sysfs tells what netlink does not, once
// it is sure that both speak of the same namespace: it shows that of whoever mounted it.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { deviceName, devicePath } from './device_names.ts';
import {
  type Device,
  deviceNames,
  hardwareDevices,
  listDevices,
  type NetDevice,
  parentOf,
} from './devices.ts';
import { hasHardware } from './host_reading.ts';
import {
  type InterruptTable,
  type IrqOwner,
  interruptOwners,
  readInterrupts,
  sameInterrupts,
} from './interrupts.ts';
import type { Link } from './links.ts';
import type { Roots } from './roots.ts';
import { readNumber, readText } from './text_files.ts';

export interface DeviceSources {
  readonly roots: Roots;
  links(): Link[];
}

const NO_COUNTS = new Float64Array(0);

export class HostDevices {
  readonly #sources: DeviceSources;
  #links: readonly Link[] = [];
  #devices: readonly Device[] = [];
  /** The list is of this reading, not of an earlier one. */
  #fresh = false;
  #key = '';
  #owners: ReadonlyMap<number, IrqOwner> = new Map();
  /** What the owners were made from; undefined: they have to be made again. */
  #table: InterruptTable | undefined;
  #sysfsElsewhere = false;
  /** Devices that sysfs has been seen to have, too: name → ifindex. */
  #verified: ReadonlyMap<string, number> = new Map();

  constructor(sources: DeviceSources) {
    this.#sources = sources;
  }

  /** As netlink told them last. */
  get links(): readonly Link[] {
    return this.#links;
  }

  /** The same, or what sysfs lists where netlink cannot be asked. */
  get devices(): readonly Device[] {
    return this.#devices;
  }

  /** Whether what is not among the devices is gone for sure. */
  get fresh(): boolean {
    return this.#fresh;
  }

  /** By interrupt number, of network devices only. */
  get owners(): ReadonlyMap<number, IrqOwner> {
    return this.#owners;
  }

  /** How a device's hardware is found. */
  netDevice({ name, ifindex, parentBus, parentDevice }: Link): NetDevice {
    const parent =
      parentBus === undefined || parentDevice === undefined ? {} : { parentBus, parentDevice };
    return { name, ifindex, ...parent, elsewhere: this.#sysfsElsewhere };
  }

  get sysfsElsewhere(): boolean {
    return this.#sysfsElsewhere;
  }

  /** Returns whether other devices are there than before. Throws where netlink cannot be asked. */
  readLinks(): boolean {
    this.#fresh = false;
    try {
      this.#links = this.#withParents(this.#sources.links());
    } catch (error) {
      this.#links = [];
      const devices = devicesWithoutNetlink(this.#sources.roots);
      if (devices !== undefined) this.#take(devices);
      throw error;
    }
    return this.#take(this.#links);
  }

  /** Throws where /sys/class/net is not of the agent's network namespace, or hidden. */
  checkSysfs(): void {
    if (this.#links.length === 0) return;
    const before = this.#sysfsElsewhere;
    let differing: Map<string, string>;
    try {
      differing = this.#differing(this.#links);
      // What comes or goes between the two readings does not differ a second time.
      if (differing.size > 0) {
        const again = this.#differing(this.#sources.links());
        for (const name of differing.keys()) if (!again.has(name)) differing.delete(name);
      }
    } catch (error) {
      differing = new Map([['', `it cannot be read (${String(error)})`]]);
    }
    const [how] = differing.values();
    this.#sysfsElsewhere = how !== undefined;
    if (this.#sysfsElsewhere !== before) this.#table = undefined;
    if (how === undefined) return;
    throw new Error(
      `/sys/class/net is not of the network namespace that is measured: ${how}. Queues and steering of its devices are left out; mount the sysfs of that namespace`,
    );
  }

  /** Throws when the table cannot be read; the owners then stay as they were. */
  readInterrupts(): InterruptTable {
    const { roots } = this.#sources;
    const table = readInterrupts(roots);
    if (this.#table !== undefined && sameInterrupts(this.#table, table)) return table;
    const hardware =
      this.#links.length === 0
        ? hardwareDevices(roots.sys)
        : hardwareDevices(
            roots.sys,
            this.#links.filter(hasHardware).map((link) => this.netDevice(link)),
          );
    this.#owners = interruptOwners(table, roots, hardware);
    // Without its counts, which are 2 MB on a machine of 256 CPUs.
    this.#table = { ...table, rows: table.rows.map((row) => ({ ...row, counts: NO_COUNTS })) };
    return table;
  }

  #take(devices: readonly Device[]): boolean {
    this.#devices = devices;
    this.#fresh = true;
    const key = this.#devices.map(({ ifindex, name }) => `${ifindex} ${name}`).join('\n');
    if (key === this.#key) return false;
    this.#key = key;
    // A name may stand for another device now.
    this.#table = undefined;
    return true;
  }

  /** By name: how sysfs and netlink differ. */
  #differing(links: readonly Link[]): Map<string, string> {
    const { sys } = this.#sources.roots;
    const differing = new Map<string, string>();
    const verified = new Map<string, number>();
    const listed = new Set(deviceNames(sys));
    // More than netlink tells may be there: nobody asks for those.
    for (const { name, ifindex, address } of links) {
      if (!listed.has(name)) differing.set(name, `it has no ${name}`);
      else if (this.#verified.get(name) === ifindex || isSame(sys, name, ifindex, address))
        verified.set(name, ifindex);
      else differing.set(name, `its ${name} is another device`);
    }
    this.#verified = verified;
    return differing;
  }

  /** Before kernel 5.13 netlink tells no parents. Those without a kind need none to be known as hardware. */
  #withParents(links: Link[]): Link[] {
    if (this.#sysfsElsewhere || links.some(({ parentDevice }) => parentDevice !== undefined))
      return links;
    return links.map((link) => {
      if (link.kind === undefined || !HARDWARE_KINDS.has(link.kind)) return link;
      const parent = parentOf(link.name, this.#sources.roots.sys);
      return parent === undefined ? link : { ...link, parentDevice: parent };
    });
  }
}

/** Kinds that hardware can have, beside many that it cannot. */
const HARDWARE_KINDS = new Set(['ipoib', 'can', 'wwan', 'dsa']);

function isSame(sys: string, name: string, ifindex: number, address: string | undefined): boolean {
  const told = readNumber(devicePath(sys, name, 'ifindex'));
  // It went just now, or is masked: no contradiction.
  if (told === undefined) return true;
  const mac = readText(devicePath(sys, name, 'address'));
  return told === ifindex && (address === undefined || mac === undefined || mac === address);
}

/** /proc/net is of the namespace that is measured, but lists only names. Undefined when sysfs has others. */
function devicesWithoutNetlink({ proc, sys }: Roots): Device[] | undefined {
  try {
    const lines = readFileSync(join(proc, 'net/dev'), 'latin1').split('\n');
    const names = lines.flatMap((line) => {
      const name = /^ *([^ ]+):/.exec(line)?.[1];
      return name === undefined ? [] : [deviceName(Buffer.from(name, 'latin1'))];
    });
    const devices = listDevices(sys);
    const same =
      names.sort().join() ===
      devices
        .map(({ name }) => name)
        .sort()
        .join();
    return same ? devices : undefined;
  } catch {
    return undefined;
  }
}
