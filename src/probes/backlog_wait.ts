// backlog_wait: how long a packet waits in a CPU’s backlog.

import type { Probe } from './probe.ts';

export const backlogWait: Probe = {
  id: 'backlog_wait',
  enabled: false,
  from: 'a packet is put on a CPU’s backlog: loopback, veth, tunnels, RPS',
  to: 'that CPU hands it to the protocols (netif_receive_skb)',
  help: 'Time that a packet waits on the backlog of a CPU before that CPU hands it to the protocols.',
  by: 'device',
  budget_ns: 500_000,
  profileBudgets_ns: {
    // A backlog takes no longer than a softirq, 10 µs: twice that and the whole way of a packet at most.
    hft: 50_000,
    // A twentieth of the server's 5 ms for what waits.
    gaming: 250_000,
    // A fifth of the 5 ms in the stack for what waits.
    voip: 1_000_000,
    // After a spent budget the rest of a batch waits up to 2 ms.
    web: 2_000_000,
  },
  rows: 2,
  hooks: ['backlog_enqueue', 'receive', 'drop'],
  hooksOptional: ['softirq_entry', 'softirq_exit'],
  hooksExact: [],
  causes: [
    // the backlog was full, or its device went
    'dropped',
    // freed on the way in silence
    'lost',
    'table_full',
  ],
  maps: ['backlog_packets'],
  length: 'bytes',
  whenHigh:
    'High when the CPU that RPS chose, or that sends over loopback or veth, is busy. Look at rps_cpus, at softnet_stat and at what else runs there.',
};
