// irq_to_softirq: how long a device interrupt's NET_RX work waits for its softirq.

import type { Probe } from './probe.ts';

export const irqToSoftirq: Probe = {
  id: 'irq_to_softirq',
  enabled: true,
  from: 'entry of the device interrupt handler that raised NET_RX',
  to: 'entry of the NET_RX softirq that serves it on that CPU',
  help: 'Time from the entry of a device interrupt handler that raised NET_RX to the entry of the softirq that serves it.',
  by: 'irq',
  budget_ns: 100_000,
  profileBudgets_ns: {
    // A tuned host delivers the interrupt in 1 µs and starts the softirq within 10 µs; what takes twice
    // that was held up by something: interrupts off, a power state, another task.
    hft: 20_000,
    // A hundredth of the server's 5 ms: no waiting in a batch.
    gaming: 50_000,
    // A twentieth of the 5 ms in the stack, and beyond the 100 µs that a busy CPU explains.
    voip: 250_000,
    // Five times what a busy CPU explains (100 µs): only starvation takes longer.
    web: 500_000,
  },
  rows: 2,
  hooks: ['irq_handler_entry', 'irq_handler_exit', 'softirq_raise', 'softirq_entry'],
  hooksOptional: [],
  hooksExact: [],
  causes: [
    // the interrupt found NET_RX raised by an earlier one, and is served with it
    'already_raised',
  ],
  maps: ['thread_irqs'],
  script: { causes: ['already_raised', 'clock'], ignoresThreads: true },
  whenHigh:
    'High when softirqs are held up: interrupts off, a real-time task, ksoftirqd behind other tasks. Look at /proc/softirqs and at what runs on that CPU.',
};
