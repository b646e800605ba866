// Which network device an interrupt belongs to, and which of its queues. The one place that knows
// how drivers name their interrupts.
//
// sysfs is asked first: a PCI device lists its vectors under msi_irqs, and a virtio device sits on
// such a PCI device. The names in /proc/interrupts decide what sysfs does not tell, and the queue.

import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

export interface IrqOwner {
  readonly device: string;
  /** Receive queue, when the interrupt's name tells. */
  readonly queue?: number;
}

export interface InterruptRoots {
  readonly proc: string;
  readonly sys: string;
}

/** By interrupt number: the network device behind it. Interrupts of other devices are absent. */
export function networkInterrupts(
  roots: InterruptRoots = { proc: '/proc', sys: '/sys' },
): Map<number, IrqOwner> {
  const owners = new Map<number, IrqOwner>();
  const actions = interruptActions(readFileSync(join(roots.proc, 'interrupts'), 'utf8'));
  const devices = hardwareDevices(roots.sys);
  for (const { name, vectors } of devices) {
    for (const irq of vectors) owners.set(irq, owner(name, actions.get(irq) ?? ''));
  }
  for (const [irq, action] of actions) {
    if (owners.has(irq)) continue;
    const device = devices.find((candidate) => namesDevice(action, candidate));
    if (device !== undefined) owners.set(irq, owner(device.name, action));
  }
  return owners;
}

interface HardwareDevice {
  readonly name: string;
  /** Names of the bus devices it sits on: `virtio2`, `0000:00:03.0`. */
  readonly busNames: readonly string[];
  readonly vectors: readonly number[];
}

function owner(device: string, action: string): IrqOwner {
  const queue = queueOf(action);
  return queue === undefined ? { device } : { device, queue };
}

/** Interrupt number → the names of its actions, as /proc/interrupts prints them at a line's end. */
export function interruptActions(text: string): Map<number, string> {
  const lines = text.split('\n');
  const cpus = (lines[0] ?? '').trim().split(/\s+/).length;
  const actions = new Map<number, string>();
  for (const line of lines.slice(1)) {
    const match = /^\s*(\d+):\s*(.*)$/.exec(line);
    if (match === null) continue;
    // One count a CPU, then chip, hardware number and trigger, whose form depends on the chip.
    const words = (match[2] ?? '').split(/\s+/).slice(cpus);
    actions.set(Number(match[1]), words.join(' '));
  }
  return actions;
}

/** The queue in `eth0-TxRx-3`, `ens5-Tx-Rx-1`, `virtio2-input.0`, `mlx5_comp7@pci:…`, `iwlwifi:queue_2`. */
export function queueOf(action: string): number | undefined {
  const match =
    /(?:TxRx|Tx-Rx|rx|input|comp|queue_|fp)[-._]?(\d+)/i.exec(action) ?? /-(\d+)$/.exec(action);
  return match === null ? undefined : Number(match[1]);
}

/** Does an action's last word name this device: by its own name, or by that of its bus device? */
function namesDevice(action: string, device: HardwareDevice): boolean {
  const word = action.split(' ').at(-1) ?? '';
  return [device.name, ...device.busNames].some((name) => {
    const at = word.indexOf(name);
    if (at < 0) return false;
    // `eth1` must not claim `eth10-rx-0`: a name ends where letters and digits end.
    const before = word[at - 1] ?? '';
    const after = word[at + name.length] ?? '';
    return !/[a-z0-9]/i.test(before) && !/[a-z0-9]/i.test(after);
  });
}

function hardwareDevices(sys: string): HardwareDevice[] {
  const devices: HardwareDevice[] = [];
  for (const name of listOrNothing(join(sys, 'class/net'))) {
    let path: string;
    try {
      // Only devices with hardware behind them have this link.
      path = realpathSync(join(sys, 'class/net', name, 'device'));
    } catch {
      continue;
    }
    const parent = dirname(path);
    const onVirtio = /^virtio\d+$/.test(basename(path));
    const vectors = [path, ...(onVirtio ? [parent] : [])].flatMap((folder) =>
      listOrNothing(join(folder, 'msi_irqs')).map(Number),
    );
    devices.push({
      name,
      busNames: [basename(path)],
      vectors: vectors.filter((irq) => Number.isInteger(irq)),
    });
  }
  return devices;
}

function listOrNothing(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
