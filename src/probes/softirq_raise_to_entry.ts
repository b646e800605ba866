// softirq_raise_to_entry: how long a raised softirq waits for its CPU.

import type { Probe } from './probe.ts';

export const softirqRaiseToEntry: Probe = {
  id: 'softirq_raise_to_entry',
  enabled: true,
  script: false,
  from: 'first unserved raise of a softirq vector on a CPU',
  to: 'entry of that vector’s handler there',
  help: 'Time from the first unserved raise of a softirq vector to the entry of its handler.',
  by: 'vector',
  budget_ns: 1_000_000,
  hooks: ['softirq_raise', 'softirq_entry'],
  hooksOptional: [],
  hooksExact: [],
  causes: [
    // an entry whose raise was before we attached, or left no trace
    'no_raise',
  ],
  reading:
    'High when softirqs starve: ksoftirqd waits behind other tasks, a real-time task holds the CPU, interrupts are off. Look at the priorities of what runs on that CPU.',
};
