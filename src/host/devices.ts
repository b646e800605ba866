// The network devices of the agent's own network namespace, from sysfs. Reads names and numbers
// only; what a device's queues and interrupts are is in interrupts.ts.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Device {
  readonly name: string;
  readonly ifindex: number;
  /** Administratively up (IFF_UP): such a device can receive. */
  readonly up: boolean;
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

function readNumber(path: string): number | undefined {
  try {
    const value = Number(readFileSync(path, 'utf8'));
    return Number.isFinite(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
