// Which of the kernel's drop reasons mean that a packet was lost which somebody wanted. Everything
// else is shown on dashboards and alerts nobody: a firewall that does its work, scans of closed ports,
// multicast groups that nobody joined, duplicates of TCP. A reason that is not listed does not alert
// either: new kernels bring new ones, and a false alarm costs more than a missing row.

/** A socket's receive buffer is full; before Linux 5.17 the function that freed the packet. */
export const SOCKET_BUFFER_REASONS = ['SOCKET_RCVBUFF', 'udp_queue_rcv_one_skb'] as const;

/** A CPU's backlog is full; the same. */
export const BACKLOG_REASONS = ['CPU_BACKLOG', 'enqueue_to_backlog'] as const;

/** Stands for what cards drop before the kernel sees it, which has no reason of the kernel's. */
export const CARD_REASON = '(card)';

/** All others that mean loss, with what they say. Each reason belongs to one alert only. */
export const LOSS_REASONS: Readonly<Record<string, string>> = {
  [CARD_REASON]: 'the receive ring was full, or no CPU came to empty it (`rx_missed_errors`)',
  PROTO_MEM: 'the memory of a protocol is used up (`udp_mem`, `tcp_mem`)',
  SOCKET_BACKLOG: 'a TCP socket’s backlog is full while a process holds its lock',
  TCP_LISTEN_OVERFLOW: 'a listening socket’s accept queue is full',
  TCP_OFO_QUEUE_PRUNE: 'out-of-order data was given up to save memory',
  TCP_OFO_DROP: 'no memory for out-of-order data',
  PFMEMALLOC: 'memory is short, and the packet took of the reserve',
  NOMEM: 'no memory',
  FULL_RING: 'the queue of a tun or tap device, or of a packet socket, is full',
  FRAG_REASM_TIMEOUT: 'fragments whose others never came',
  IP_CSUM: 'a damaged IP header',
  TCP_CSUM: 'damaged TCP data',
  UDP_CSUM: 'damaged UDP data',
  SKB_CSUM: 'a damaged packet',
  PKT_TOO_BIG: 'larger than the MTU on its way',
  tcp_add_backlog: 'SOCKET_BACKLOG before Linux 5.17',
};

/** Reasons of no loss that people ask about, with why not. Documentation only. */
export const NO_LOSS: Readonly<Record<string, string>> = {
  NOT_SPECIFIED: 'multicast and broadcast that nobody listens to, and whatever has no reason yet',
  NO_SOCKET: 'nobody listens: scans, or a service that is down, which other alerts tell',
  'NETFILTER_DROP, TC_INGRESS, SOCKET_FILTER, XDP': 'somebody’s policy',
  'OTHERHOST, UNHANDLED_PROTO, IP_NOPROTO': 'never meant for this host',
  'IP_RPFILTER, IP_INADDRERRORS, IP_INNOROUTES': 'routing, often of strangers’ packets',
  'IP_INHDR, PKT_TOO_SMALL, HDR_TRUNC, TCP_FLAGS': 'malformed by their sender',
  'TCP_OLD_DATA, TCP_OLD_SEQUENCE, TCP_OFOMERGE, TCP_ZEROWINDOW':
    'duplicates and flow control of TCP',
};

/** An alternation for a matcher that anchors it, such as reason=~"…". */
export function anyOf(words: readonly string[]): string {
  // Only brackets of our own labels need escaping, once for the regex and once for PromQL's string.
  return words.map((word) => word.replace(/[()]/g, '\\\\$&')).join('|');
}
