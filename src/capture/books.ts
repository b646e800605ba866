// Why something that was seen is no observation, as the programs number it: tools/generate_numbers.ts. The
// books of docs/books.md.

/**
 * What became of a packet that reached no socket queue that we could see. Each received packet is either
 * observed or has exactly one of these, so that the books balance.
 */
export const FATES = [
  // kfree_skb, for any reason but the next
  'dropped',
  // kfree_skb, reason NO_SOCKET
  'no_socket',
  // a TCP segment that carries no data and no FIN: never queued
  'no_payload',
  // data in a SYN: queued, if at all, before there is a socket to tell
  'syn_data',
  // TCP data that the socket was not told of: SO_RCVLOWAT, duplicates …
  'tcp_not_ready',
  // TCP data ahead of a gap: it waits for another packet, not for us
  'out_of_order',
  // an IP fragment: merged into another packet
  'fragment',
  // neither TCP nor UDP and no raw or packet socket: ARP, ICMP echo …
  'other_protocol',
  // forwarded, tunnelled, or queued by another CPU: not seen again here
  'not_queued',
  // UDP left it to another CPU, which tells the socket for both (6.18)
  'queued_by_other_cpu',
  // two sockets or packets shared one place in a bounded table
  'table_full',
] as const;

/** Of a probe: a clock that cannot be, and room for eight causes of its own. */
export const FLAWS = 9;
