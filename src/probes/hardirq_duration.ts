// hardirq_duration: how long a device’s interrupt handler runs.

import type { Probe } from './probe.ts';

export const hardirqDuration: Probe = {
  id: 'hardirq_duration',
  enabled: true,
  script: false,
  from: 'entry of a device interrupt’s handler',
  to: 'its exit',
  help: 'Duration of a device interrupt handler; device is empty where it is no network device’s.',
  by: 'irq',
  budget_ns: 100_000,
  hooks: ['irq_handler_exit', 'irq_handler_entry'],
  hooksOptional: [],
  hooksExact: [],
  causes: [],
  reading:
    'High with slow handlers or devices; it holds up everything else on that CPU. Look at which device it is, and move its interrupt.',
};
