// What sysfs tells of network devices: the hardware behind them, and which there are where netlink cannot
// be asked. What their queues and interrupts do is in steering.ts and interrupts.ts.

import { readdirSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { deviceName, devicePath } from './device_names.ts';
import { HOST_ROOTS, type Roots } from './roots.ts';
import { listFolder, readNumber, readText } from './text_files.ts';

export interface Device {
  readonly name: string;
  readonly ifindex: number;
  /** Administratively up (IFF_UP): such a device can receive. */
  readonly up: boolean;
}

export interface HardwareDevice {
  /** Of the network device: `eth0`. */
  readonly name: string;
  readonly driver: string | undefined;
  /** `pci`, `virtio`, `usb`, `platform`, `xen` …: the bus of the device that it sits on. */
  readonly bus: string | undefined;
  /** Names of the bus devices it sits on, nearest first: `virtio2`, `0000:00:03.0`. */
  readonly busNames: readonly string[];
  /** Undefined where the firmware does not tell, as on machines of one node. */
  readonly numaNode: number | undefined;
  /** Its MSI or MSI-X vectors, those without a handler too. */
  readonly vectors: readonly number[];
  /** Its interrupt line while it has no vectors; may be shared with other devices, or another's while it is down. */
  readonly line: number | undefined;
}

const IFF_UP = 1;

/** All devices, sorted by ifindex. `sys` is where sysfs is mounted. Throws when it is not. */
export function listDevices(sys = '/sys'): Device[] {
  const devices: Device[] = [];
  for (const name of deviceNames(sys)) {
    // A device may go between the listing and the reading; bonding_masters is no device.
    const ifindex = readNumber(devicePath(sys, name, 'ifindex'));
    const flags = readNumber(devicePath(sys, name, 'flags'));
    if (ifindex === undefined || flags === undefined) continue;
    devices.push({ name, ifindex, up: (flags & IFF_UP) !== 0 });
  }
  return devices.sort((a, b) => a.ifindex - b.ifindex);
}

/** What stands in /sys/class/net. Throws when it cannot be read. */
export function deviceNames(sys: string): string[] {
  return readdirSync(join(sys, 'class/net'), { encoding: 'buffer' }).map(deviceName);
}

/**
 * Devices with hardware behind them, virtual hardware included. Bonds, bridges, VLANs, veths and
 * loopback have none. Where several share one PCI function, the one that interrupts are most likely
 * meant for comes first: a port itself before what stands for a virtual function, then by port.
 * `devices`: as netlink tells them; all that sysfs has, unless given.
 */
export function hardwareDevices(
  sys: string = HOST_ROOTS.sys,
  devices: readonly NetDevice[] = namesIn(sys),
): HardwareDevice[] {
  const found = devices.flatMap((device) => {
    const hardware = hardwareOf(device.name, { ...HOST_ROOTS, sys }, device);
    return hardware === undefined ? [] : [{ hardware, rank: rankOf(device, sys) }];
  });
  return found
    .sort(
      ({ rank: a }, { rank: b }) =>
        Number(a.representor) - Number(b.representor) || a.port - b.port || a.ifindex - b.ifindex,
    )
    .map(({ hardware }) => hardware);
}

/** A network device, and what leads to its hardware. */
export interface NetDevice {
  readonly name: string;
  readonly ifindex?: number;
  /** As netlink tells; from kernel 5.13 on. */
  readonly parentBus?: string;
  readonly parentDevice?: string;
  /** /sys/class/net is of another network namespace: what it says of this name is of another device. */
  readonly elsewhere?: boolean;
}

function namesIn(sys: string): NetDevice[] {
  try {
    return deviceNames(sys).map((name) => ({ name }));
  } catch {
    return [];
  }
}

function rankOf({ name, ifindex, elsewhere }: NetDevice, sys: string) {
  const path = (file: string): string | Buffer => devicePath(sys, name, file);
  if (elsewhere === true) return { representor: false, port: 0, ifindex: ifindex ?? 0 };
  return {
    // `pf0vf3`, `c1pf0sf88`: a representor (Documentation/networking/switchdev.rst).
    representor: /pf\d+[vs]f\d+$/.test(readText(path('phys_port_name')) ?? ''),
    port: readNumber(path('dev_port')) ?? 0,
    ifindex: ifindex ?? readNumber(path('ifindex')) ?? 0,
  };
}

/** Undefined for a device without hardware, and for one that is gone. */
export function hardwareOf(
  name: string,
  roots: Roots = HOST_ROOTS,
  device: NetDevice = { name },
): HardwareDevice | undefined {
  const path = hardwareFolder(device, roots.sys);
  if (path === undefined) return undefined;
  // A virtio device's vectors and node are those of the PCI device that it sits on.
  const folders = /^virtio\d+$/.test(basename(path)) ? [path, dirname(path)] : [path];
  const vectors = folders
    .flatMap((folder) => listFolder(join(folder, 'msi_irqs')).map(Number))
    .filter((irq) => Number.isInteger(irq));
  const nodes = folders.map((folder) => readNumber(join(folder, 'numa_node')));
  const lines = folders.map((folder) => readNumber(join(folder, 'irq')));
  return {
    name,
    driver: linkedName(join(path, 'driver')),
    bus: linkedName(join(path, 'subsystem')),
    busNames: folders.map((folder) => basename(folder)),
    // -1: the firmware does not say.
    numaNode: nodes.find((node) => node !== undefined && node >= 0),
    vectors,
    line: vectors.length > 0 ? undefined : lines.find(isLine),
  };
}

/** Buses are the same in every network namespace, and in every sysfs. */
function hardwareFolder(device: NetDevice, sys: string): string | undefined {
  const { name, parentBus, parentDevice, elsewhere } = device;
  // Only devices with hardware behind them have this link.
  const ofName = elsewhere === true ? undefined : realPath(devicePath(sys, name, 'device'));
  if (ofName !== undefined || parentBus === undefined || parentDevice === undefined) return ofName;
  return realPath(join(sys, 'bus', parentBus, 'devices', parentDevice));
}

/** The name of the bus device that it sits on, if on any. */
export function parentOf(name: string, sys: string): string | undefined {
  const path = realPath(devicePath(sys, name, 'device'));
  return path === undefined ? undefined : basename(path);
}

function realPath(path: string | Buffer): string | undefined {
  try {
    return realpathSync.native(path);
  } catch {
    return undefined;
  }
}

/** 0 and 255 say that firmware gave it none (PCI, "Interrupt Line"). */
function isLine(line: number | undefined): boolean {
  return line !== undefined && line > 0 && line !== 255;
}

function linkedName(path: string): string | undefined {
  const target = realPath(path);
  return target === undefined ? undefined : basename(target);
}
