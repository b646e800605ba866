// irq_to_softirq: how long a device interrupt's NET_RX work waits for its softirq.

import type { Probe } from './probe.ts';

export const irqToSoftirq: Probe = {
  id: 'irq_to_softirq',
  enabled: true,
  script: true,
  from: 'entry of the device interrupt handler that raised NET_RX',
  to: 'entry of the NET_RX softirq that serves it on that CPU',
  help: 'Time from the entry of a device interrupt handler that raised NET_RX to the entry of the softirq that serves it.',
  by: 'irq',
  budget_ns: 100_000,
  hooks: ['irq_handler_entry', 'irq_handler_exit', 'softirq_raise', 'softirq_entry'],
  hooksOptional: [],
  hooksExact: [],
  causes: [
    // the interrupt found NET_RX raised by an earlier one, and is served with it
    'already_raised',
  ],
  reading:
    'High when softirqs are held up: interrupts off, a real-time task, ksoftirqd behind other tasks. Look at /proc/softirqs and at what runs on that CPU.',
};
