// softirq_duration: how long a softirq runs.

import type { Probe } from './probe.ts';

export const softirqDuration: Probe = {
  id: 'softirq_duration',
  enabled: false,
  from: 'entry of a softirq’s handler',
  to: 'its exit',
  help: 'Duration of a softirq handler, interrupts that came meanwhile included.',
  by: 'vector',
  budget_ns: 5_000_000,
  profileBudgets_ns: {
    // What holds the CPU for longer delays everything behind it.
    hft: 500_000,
    // What a NET_RX run may take by default where a tick is 1 ms: two ticks (netdev_budget_usecs).
    gaming: 2_000_000,
    voip: 5_000_000,
    web: 10_000_000,
  },
  rows: 2,
  hooks: ['softirq_exit', 'softirq_entry'],
  hooksOptional: [],
  hooksExact: [],
  causes: [],
  maps: [],
  whenHigh:
    'High NET_RX: the budget is used up; other vectors hold the CPU before it. Look at netdev_budget_usecs, and at the vector.',
};
