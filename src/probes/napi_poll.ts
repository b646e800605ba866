// napi_poll: how long a poll of a network card takes, and what it hands over.

import type { Probe } from './probe.ts';

export const napiPoll: Probe = {
  id: 'napi_poll',
  enabled: false,
  from: 'a poll of a NAPI begins, or the one before it in the same softirq ended',
  to: 'it ends',
  help: 'Duration of a NAPI poll.',
  by: 'device',
  budget_ns: 1_000_000,
  profileBudgets_ns: {
    // A poll takes 1 to 20 µs; what holds the CPU for longer delays everything behind it.
    hft: 100_000,
    gaming: 500_000,
    voip: 2_000_000,
    web: 2_000_000,
  },
  rows: 2,
  hooks: ['softirq_entry', 'softirq_exit', 'napi_poll'],
  hooksOptional: [],
  hooksExact: ['napi_poll_begin'],
  // Polls whose beginning nothing tells.
  causes: ['threaded_napi', 'busy_poll'],
  maps: ['polls'],
  length: 'packets',
  // Loopback, veth and RPS packets go through a NAPI without one.
  noDevice: '(backlog)',
  whenHigh:
    'High with large budgets, heavy netfilter rules or many packets a poll. Look at rxscope_napi_poll_packets and at the budget.',
};
