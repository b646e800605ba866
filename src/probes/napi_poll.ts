// napi_poll: how long a poll of a network card takes, and what it hands over.

import type { Probe } from './probe.ts';

export const napiPoll: Probe = {
  id: 'napi_poll',
  enabled: false,
  script: false,
  from: 'a poll of a NAPI begins, or the one before it in the same softirq ended',
  to: 'it ends',
  help: 'Duration of a NAPI poll.',
  by: 'device',
  budget_ns: 1_000_000,
  hooks: ['softirq_entry', 'softirq_exit', 'napi_poll'],
  hooksOptional: [],
  hooksExact: ['napi_poll_begin'],
  // Polls whose beginning nothing tells.
  causes: ['threaded_napi', 'busy_poll'],
  reading:
    'High with large budgets, heavy netfilter rules or many packets a poll. Look at rxscope_napi_poll_packets and at the budget.',
};
