// receive_to_socket: how long one packet takes through the protocol stack to its socket.

import type { Probe } from './probe.ts';

export const receiveToSocket: Probe = {
  id: 'receive_to_socket',
  enabled: true,
  script: true,
  from: 'netif_receive_skb: protocol entry, after GRO and after the RPS hop',
  to: 'the same packet is on a socket receive queue and the socket is told',
  help: 'Time from netif_receive_skb to the same packet being on a socket receive queue, its time on the socket backlog included.',
  by: 'device_protocol',
  budget_ns: 100_000,
  hooks: ['softirq_entry', 'softirq_exit', 'receive', 'data_ready'],
  hooksOptional: ['tcp_segment', 'drop'],
  hooksExact: ['udp_queue', 'raw_queue', 'tcp_data'],
  causes: [],
  reading:
    'High with long netfilter rule lists, route look-ups, or a process that holds the socket lock. Count rules; look at lock waits; spread readers with SO_REUSEPORT.',
};
