// The network devices of the agent's own network namespace, from sysfs: which there are, and the
// hardware behind them. What their queues and interrupts do is in steering.ts and interrupts.ts.

import { readdirSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
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
  const folder = join(sys, 'class/net');
  const devices: Device[] = [];
  for (const name of readdirSync(folder)) {
    // A device may go between the listing and the reading; bonding_masters is no device.
    const ifindex = readNumber(join(folder, name, 'ifindex'));
    const flags = readNumber(join(folder, name, 'flags'));
    if (ifindex === undefined || flags === undefined) continue;
    devices.push({ name, ifindex, up: (flags & IFF_UP) !== 0 });
  }
  return devices.sort((a, b) => a.ifindex - b.ifindex);
}

/**
 * Devices with hardware behind them, virtual hardware included. Bonds, bridges, VLANs, veths and
 * loopback have none. Where several share one PCI function, the one that interrupts are most likely
 * meant for comes first: a port itself before what stands for a virtual function, then by port.
 */
export function hardwareDevices(sys: string = HOST_ROOTS.sys): HardwareDevice[] {
  const found = listFolder(join(sys, 'class/net')).flatMap((name) => {
    const device = hardwareOf(name, { ...HOST_ROOTS, sys });
    return device === undefined ? [] : [device];
  });
  const folder = (name: string): string => join(sys, 'class/net', name);
  const rank = new Map(
    found.map(({ name }) => [
      name,
      {
        // `pf0vf3`, `c1pf0sf88`: a representor (Documentation/networking/switchdev.rst).
        representor: /pf\d+[vs]f\d+$/.test(readText(join(folder(name), 'phys_port_name')) ?? ''),
        port: readNumber(join(folder(name), 'dev_port')) ?? 0,
        ifindex: readNumber(join(folder(name), 'ifindex')) ?? 0,
      },
    ]),
  );
  return found.sort((one, other) => {
    const a = rank.get(one.name);
    const b = rank.get(other.name);
    if (a === undefined || b === undefined) return 0;
    return (
      Number(a.representor) - Number(b.representor) || a.port - b.port || a.ifindex - b.ifindex
    );
  });
}

/** Undefined for a device without hardware, and for one that is gone. */
export function hardwareOf(name: string, roots: Roots = HOST_ROOTS): HardwareDevice | undefined {
  let path: string;
  try {
    // Only devices with hardware behind them have this link.
    path = realpathSync.native(join(roots.sys, 'class/net', name, 'device'));
  } catch {
    return undefined;
  }
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

/** 0 and 255 say that firmware gave it none (PCI, "Interrupt Line"). */
function isLine(line: number | undefined): boolean {
  return line !== undefined && line > 0 && line !== 255;
}

function linkedName(path: string): string | undefined {
  try {
    return basename(realpathSync.native(path));
  } catch {
    return undefined;
  }
}
