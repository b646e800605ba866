// softirq_to_socket: how long a packet waits behind its batch and in the stack, from NET_RX entry.

import type { Probe } from './probe.ts';

export const softirqToSocket: Probe = {
  id: 'softirq_to_socket',
  enabled: true,
  from: 'entry of the NET_RX softirq',
  to: 'a packet received in that run is on a socket receive queue and the socket is told',
  help: 'Time from the entry of the NET_RX softirq to a packet of that run being on a socket receive queue, the wait behind its batch included.',
  by: 'device_protocol',
  budget_ns: 500_000,
  profileBudgets_ns: {
    // 10 to 50 µs is the whole way of a packet on a well-tuned host.
    hft: 50_000,
    // A twentieth of the server's 5 ms.
    gaming: 250_000,
    // A fifth of the 5 ms in the stack; GRO alone may hold a packet for about 1 ms.
    voip: 1_000_000,
    // After a spent budget the rest of a batch waits up to netdev_budget_usecs: 2 ms.
    web: 2_000_000,
  },
  rows: 6,
  hooks: ['softirq_entry', 'softirq_exit', 'receive', 'data_ready'],
  hooksOptional: ['tcp_segment', 'drop'],
  hooksExact: ['udp_queue', 'raw_queue', 'tcp_data'],
  // Other ways to a socket, in the order of enum origin of bpf/running.h.
  causes: ['outside_softirq', 'socket_backlog', 'threaded_napi', 'busy_poll', 'attached_midway'],
  maps: [],
  everyPacket: true,
  length: 'bytes',
  script: {
    causes: ['dropped', 'not_queued', 'outside_softirq', 'attached_midway', 'clock'],
    underWay: '@open',
  },
  whenHigh:
    'High while receive_to_socket is low: large batches. Look at NAPI budget, GRO, time_squeeze, and queues that share one CPU.',
};
