// receive_to_socket: how long one packet takes through the protocol stack to its socket.

import type { Probe } from './probe.ts';

export const receiveToSocket: Probe = {
  id: 'receive_to_socket',
  enabled: true,
  from: 'netif_receive_skb: protocol entry, after GRO and after the RPS hop',
  to: 'the same packet is on a socket receive queue and the socket is told',
  help: 'Time from netif_receive_skb to the same packet being on a socket receive queue, its time on the socket backlog included.',
  by: 'device_protocol',
  budget_ns: 100_000,
  profileBudgets_ns: {
    // The protocol layers take 2 to 10 µs, the socket queue at most 10.
    hft: 20_000,
    // A hundredth of the server's 5 ms, and the upper end of what the protocol layers usually take.
    gaming: 50_000,
    // A twentieth of the 5 ms in the stack; lock contention explains 10 to 100 µs.
    voip: 250_000,
    // Five times what lock contention explains (100 µs).
    web: 500_000,
  },
  rows: 6,
  hooks: ['softirq_entry', 'softirq_exit', 'receive', 'data_ready'],
  hooksOptional: ['tcp_segment', 'drop'],
  hooksExact: ['udp_queue', 'raw_queue', 'tcp_data'],
  causes: [],
  maps: [],
  everyPacket: true,
  length: 'bytes',
  script: { causes: ['dropped', 'not_queued', 'clock'], underWay: '@received_at' },
  whenHigh:
    'High with long netfilter rule lists, route look-ups, or a process that holds the socket lock. Count rules; look at lock waits; spread readers with SO_REUSEPORT.',
};
