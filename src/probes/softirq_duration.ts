// softirq_duration: how long a softirq runs.

import type { Probe } from './probe.ts';

export const softirqDuration: Probe = {
  id: 'softirq_duration',
  enabled: false,
  script: false,
  from: 'entry of a softirq’s handler',
  to: 'its exit',
  help: 'Duration of a softirq handler, interrupts that came meanwhile included.',
  by: 'vector',
  budget_ns: 5_000_000,
  hooks: ['softirq_exit', 'softirq_entry'],
  hooksOptional: [],
  hooksExact: [],
  causes: [],
  reading:
    'High NET_RX: the budget is used up; other vectors hold the CPU before it. Look at netdev_budget_usecs, and at the vector.',
};
