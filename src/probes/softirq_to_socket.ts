// softirq_to_socket: how long a packet waits behind its batch and in the stack, from NET_RX entry.

import type { Probe } from './probe.ts';

export const softirqToSocket: Probe = {
  id: 'softirq_to_socket',
  enabled: true,
  script: true,
  from: 'entry of the NET_RX softirq',
  to: 'a packet received in that run is on a socket receive queue and the socket is told',
  help: 'Time from the entry of the NET_RX softirq to a packet of that run being on a socket receive queue, the wait behind its batch included.',
  by: 'device_protocol',
  budget_ns: 500_000,
  hooks: ['softirq_entry', 'softirq_exit', 'receive', 'data_ready'],
  hooksOptional: ['tcp_segment', 'drop'],
  hooksExact: ['udp_queue', 'raw_queue', 'tcp_data'],
  // Other ways to a socket: enum origin of bpf/running.h.
  causes: ['outside_softirq', 'socket_backlog', 'threaded_napi', 'busy_poll', 'attached_midway'],
  reading:
    'High while receive_to_socket is low: large batches. Look at NAPI budget, GRO, time_squeeze, and queues that share one CPU.',
};
