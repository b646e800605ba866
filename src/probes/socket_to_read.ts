// socket_to_read: how long a packet waits for its reader.

import type { Probe } from './probe.ts';

export const socketToRead: Probe = {
  id: 'socket_to_read',
  enabled: false,
  from: 'a TCP or UDP packet is on its socket’s receive queue',
  to: 'the application reads it: the first of its bytes are copied',
  help: 'Time that a packet waits on its socket for the application to read it.',
  by: 'protocol',
  budget_ns: 10_000_000,
  profileBudgets_ns: {
    // A spinning reader is there at once; one that sleeps takes as long as it takes to wake.
    hft: 100_000,
    // A fifth of the server's 5 ms for the reader.
    gaming: 1_000_000,
    // All of the 5 ms in the stack for the reader.
    voip: 5_000_000,
    // A tenth of what still feels instant.
    web: 20_000_000,
  },
  rows: 4,
  hooks: ['receive', 'data_ready', 'socket_read', 'softirq_entry', 'softirq_exit'],
  hooksOptional: ['tcp_segment', 'drop'],
  hooksExact: ['udp_read', 'udp_queue', 'tcp_data'],
  causes: [
    // TCP: became a part of a packet that waits already
    'merged',
    // no copy was seen: the socket was closed, or it was read without one
    'not_read',
    'table_full',
    // UDP, where skb_consume_udp cannot be hooked
    'not_followed',
  ],
  maps: ['queued_packets'],
  length: 'bytes',
  whenHigh:
    'High with a slow reader. Look at Recv-Q of ss, at the reader’s scheduling; read more often or with more threads.',
};
