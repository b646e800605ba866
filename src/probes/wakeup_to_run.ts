// wakeup_to_run: how long a woken reader waits for a CPU.

import type { Probe } from './probe.ts';

export const wakeupToRun: Probe = {
  id: 'wakeup_to_run',
  enabled: false,
  from: 'a sleeping task is woken because a socket has data for it',
  to: 'it runs on a CPU',
  help: 'Time from a reader being woken by its socket to it running on a CPU.',
  by: 'protocol',
  budget_ns: 1_000_000,
  profileBudgets_ns: {
    // A woken reader takes no longer than a softirq, 10 µs: twice that and a packet's whole way at most.
    hft: 50_000,
    // A twentieth of the server's 5 ms for what waits.
    gaming: 250_000,
    // A fifth of the 5 ms in the stack for what waits.
    voip: 1_000_000,
    // What is behind a spent budget may wait up to 2 ms.
    web: 2_000_000,
  },
  rows: 4,
  hooks: ['softirq_entry', 'softirq_exit', 'data_ready', 'task_waking', 'task_switch'],
  hooksOptional: ['receive'],
  hooksExact: [],
  causes: [
    // it had not gone to sleep yet
    'awake',
    // two tasks shared one place of the table
    'table_full',
    // it ran, and no sched_switch told
    'unseen',
  ],
  maps: ['woken_tasks'],
  whenHigh:
    'High when CPUs are busy, in deep power states, or given to other priorities. Look at the run queue, at the governor and at affinity.',
};
