// hardirq_duration: how long a device’s interrupt handler runs.

import type { Probe } from './probe.ts';

export const hardirqDuration: Probe = {
  id: 'hardirq_duration',
  enabled: true,
  from: 'entry of a device interrupt’s handler',
  to: 'its exit',
  help: 'Duration of a device interrupt handler; device is empty where it is no network device’s.',
  by: 'irq',
  budget_ns: 100_000,
  profileBudgets_ns: {
    // What holds the CPU for longer delays everything behind it.
    hft: 20_000,
    gaming: 50_000,
    voip: 100_000,
    web: 250_000,
  },
  rows: 2,
  hooks: ['irq_handler_exit', 'irq_handler_entry'],
  hooksOptional: [],
  hooksExact: [],
  causes: [],
  maps: [],
  whenHigh:
    'High with slow handlers or devices; it holds up everything else on that CPU. Look at which device it is, and move its interrupt.',
};
