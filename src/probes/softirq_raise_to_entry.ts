// softirq_raise_to_entry: how long a raised softirq waits for its CPU.

import type { Probe } from './probe.ts';

export const softirqRaiseToEntry: Probe = {
  id: 'softirq_raise_to_entry',
  enabled: true,
  from: 'first unserved raise of a softirq vector on a CPU',
  to: 'entry of that vector’s handler there',
  help: 'Time from the first unserved raise of a softirq vector to the entry of its handler.',
  by: 'vector',
  budget_ns: 1_000_000,
  profileBudgets_ns: {
    // A softirq starts within 10 µs: twice the worst of that and the whole way of a packet at most.
    hft: 50_000,
    // A twentieth of the server's 5 ms for what waits.
    gaming: 250_000,
    // A fifth of the 5 ms in the stack for what waits.
    voip: 1_000_000,
    // What is behind a spent budget may wait up to 2 ms.
    web: 2_000_000,
  },
  rows: 2,
  hooks: ['softirq_raise', 'softirq_entry'],
  hooksOptional: [],
  hooksExact: [],
  causes: [
    // an entry whose raise was before we attached, or left no trace
    'no_raise',
  ],
  maps: [],
  whenHigh:
    'High when softirqs starve: ksoftirqd waits behind other tasks, a real-time task holds the CPU, interrupts are off. Look at the priorities of what runs on that CPU.',
};
