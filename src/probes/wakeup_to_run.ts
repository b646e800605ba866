// wakeup_to_run: how long a woken reader waits for a CPU.

import type { Probe } from './probe.ts';

export const wakeupToRun: Probe = {
  id: 'wakeup_to_run',
  enabled: false,
  script: false,
  from: 'a sleeping task is woken because a socket has data for it',
  to: 'it runs on a CPU',
  help: 'Time from a reader being woken by its socket to it running on a CPU.',
  by: 'protocol',
  budget_ns: 1_000_000,
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
  reading:
    'High when CPUs are busy, in deep power states, or given to other priorities. Look at the run queue, at the governor and at affinity.',
};
