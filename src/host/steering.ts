// How received packets are spread over CPUs after their interrupt, and how much a CPU may do at once:
// RPS, RFS and XPS of each device's queues, and the kernel's settings for all devices. Facts for advice;
// it judges nothing. Two files a queue: not for every scrape. Rings, coalescing and hardware
// hashing are in ethtool.ts.

import { join } from 'node:path';
import { parseCpuMask } from './cpus.ts';
import { devicePath } from './device_names.ts';
import { HOST_ROOTS, type Roots } from './roots.ts';
import { listFolder, readNumber, readText } from './text_files.ts';

export interface ReceiveQueue {
  readonly queue: number;
  /** CPUs that RPS may choose; none: RPS is off. Undefined: unreadable. */
  readonly rpsCpus: readonly number[] | undefined;
  /** Flows that RFS remembers for this queue; 0: RFS is off. */
  readonly rfsFlows: number | undefined;
}

export interface TransmitQueue {
  readonly queue: number;
  /** CPUs that use this queue (XPS); none: not set. Undefined on a device of one queue. */
  readonly xpsCpus: readonly number[] | undefined;
}

export interface DeviceSteering {
  readonly device: string;
  readonly receive: readonly ReceiveQueue[];
  readonly transmit: readonly TransmitQueue[];
  /** NAPI polls run in threads of their own. Undefined before Linux 5.12. */
  readonly threadedNapi: boolean | undefined;
  /** Polls that find nothing before the interrupt is armed again (busy polling's other half). */
  readonly napiDeferHardIrqs: number | undefined;
  readonly groFlushTimeoutNs: number | undefined;
}

/** /proc/sys/net/core. Undefined: this kernel does not have it, or shows it to nobody here. */
export interface NetworkSettings {
  /** Size of RFS' table for all devices; 0: RFS is off whatever the queues say. */
  readonly rpsSockFlowEntries: number | undefined;
  /** Packets that one NET_RX softirq may take, over all devices. */
  readonly netdevBudget: number | undefined;
  /** Microseconds that it may take. */
  readonly netdevBudgetUsecs: number | undefined;
  /** Packets that a CPU's backlog holds. */
  readonly netdevMaxBacklog: number | undefined;
  /** Packets that one poll of the backlog may take, and of drivers that use the default weight. */
  readonly devWeight: number | undefined;
  /** Microseconds of busy polling in poll and select; 0: none. */
  readonly busyPollUsecs: number | undefined;
  /** Microseconds of busy polling in reads; 0: none. */
  readonly busyReadUsecs: number | undefined;
}

export function readNetworkSettings(roots: Roots = HOST_ROOTS): NetworkSettings {
  const setting = (name: string): number | undefined =>
    readNumber(join(roots.proc, 'sys/net/core', name));
  return {
    rpsSockFlowEntries: setting('rps_sock_flow_entries'),
    netdevBudget: setting('netdev_budget'),
    netdevBudgetUsecs: setting('netdev_budget_usecs'),
    netdevMaxBacklog: setting('netdev_max_backlog'),
    devWeight: setting('dev_weight'),
    busyPollUsecs: setting('busy_poll'),
    busyReadUsecs: setting('busy_read'),
  };
}

/** A device that is gone has no queues and nothing else. */
export function readDeviceSteering(device: string, roots: Roots = HOST_ROOTS): DeviceSteering {
  const path = (file: string): string | Buffer => devicePath(roots.sys, device, file);
  const queues = listFolder(path('queues'));
  const receive = numbersOf(queues, 'rx-');
  const transmit = numbersOf(queues, 'tx-');
  const mask = maskReader();
  const threaded = readNumber(path('threaded'));
  return {
    device,
    receive: receive.map((queue) => ({
      queue,
      rpsCpus: mask(path(`queues/rx-${queue}/rps_cpus`)),
      rfsFlows: readNumber(path(`queues/rx-${queue}/rps_flow_cnt`)),
    })),
    transmit: transmit.map((queue) => ({
      queue,
      // The kernel refuses to read it on a device of one queue (netif_is_multiqueue).
      xpsCpus: transmit.length < 2 ? undefined : mask(path(`queues/tx-${queue}/xps_cpus`)),
    })),
    threadedNapi: threaded === undefined ? undefined : threaded !== 0,
    napiDeferHardIrqs: readNumber(path('napi_defer_hard_irqs')),
    groFlushTimeoutNs: readNumber(path('gro_flush_timeout')),
  };
}

/** Numbers of the folders `rx-0`, `rx-1`, …, ascending. */
function numbersOf(folders: readonly string[], prefix: string): number[] {
  return folders
    .filter((name) => name.startsWith(prefix))
    .map((name) => Number(name.slice(prefix.length)))
    .filter((queue) => Number.isInteger(queue))
    .sort((a, b) => a - b);
}

/** Most queues of a device have the same mask: each is understood once. */
function maskReader(): (path: string | Buffer) => readonly number[] | undefined {
  const known = new Map<string, readonly number[]>();
  return (path) => {
    const text = readText(path);
    if (text === undefined || text === '') return undefined;
    const cpus = known.get(text) ?? parseCpuMask(text);
    known.set(text, cpus);
    return cpus;
  };
}
