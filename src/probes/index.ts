// The catalogue of what is measured. Adding a probe adds one file beside this one and one line here.

import { backlogWait } from './backlog_wait.ts';
import { drops } from './drops.ts';
import { hardirqDuration } from './hardirq_duration.ts';
import { irqToSoftirq } from './irq_to_softirq.ts';
import { napiPoll } from './napi_poll.ts';
import type { CatalogueEntry, Probe } from './probe.ts';
import { receiveToSocket } from './receive_to_socket.ts';
import { socketToRead } from './socket_to_read.ts';
import { softirqDuration } from './softirq_duration.ts';
import { softirqRaiseToEntry } from './softirq_raise_to_entry.ts';
import { softirqToSocket } from './softirq_to_socket.ts';
import { wakeupToRun } from './wakeup_to_run.ts';

/** The latencies; the programs number them in this order (tools/generate_numbers.ts). */
export const PROBES: readonly Probe[] = [
  irqToSoftirq,
  softirqToSocket,
  receiveToSocket,
  softirqRaiseToEntry,
  backlogWait,
  socketToRead,
  wakeupToRun,
  napiPoll,
  hardirqDuration,
  softirqDuration,
];

/** Everything that can be switched on and off. */
export const CATALOGUE: readonly CatalogueEntry[] = [...PROBES, drops];

/** Can bpftrace measure it? */
export function hasScript(id: string): boolean {
  return probeOf(id)?.script !== undefined;
}

export function probeOf(id: string): Probe | undefined {
  return PROBES.find((probe) => probe.id === id);
}
