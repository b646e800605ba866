/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * receive_to_socket: netif_receive_skb -> the same packet is on a socket's receive queue and the
 * socket is told, its time on the socket's backlog included.
 *
 * sk_data_ready names the socket, not the packet. Where functions can be hooked, the one that queues
 * a packet of the protocol names both just before: __udp_enqueue_schedule_skb, tcp_queue_rcv (and
 * tcp_data_queue, whose segment may be ahead of a gap), __sock_queue_rcv_skb. Where not:
 *
 *  TCP    tcp_probe names socket and skb when an established socket starts on a segment, in the
 *         softirq or from the backlog; the next data-ready of that socket is about that segment.
 *         In other states the packet is the last one of the receive queue.
 *  UDP    It is the packet whose data the socket has at the end of its queue, or the one that
 *         under_way.h tells to be at work.
 *  raw    The same.
 *
 * From 6.18 on a CPU may leave a UDP packet to another CPU, which queues it and tells the socket for
 * both. When is then known to that CPU alone, and whose packet it is to neither: the packet gets
 * FATE_QUEUED_BY_OTHER_CPU (without functions FATE_NOT_QUEUED), the delivery is one without a start.
 *
 * Raw, ping and packet sockets get copies. The time is kept, and counts if no TCP or UDP socket
 * takes the packet. A packet socket's counts only of what the kernel has no protocol for: who taps IP or
 * ARP is no receiver.
 *
 * What cannot be matched that way is never guessed: the packet gets a fate, the delivery is counted
 * as one without a start.
 */
#ifndef RXSCOPE_RECEIVE_TO_SOCKET_H
#define RXSCOPE_RECEIVE_TO_SOCKET_H

#include "observe.h"

/* A packet is on its socket's queue; true when user space is to hear of it. */
static __always_inline bool receive_to_socket(struct cpu_state *s, __u64 received_ns, __u64 queued_ns,
					      __u32 histogram, bool shared)
{
	return observe(s, RECEIVE_TO_SOCKET, histogram, received_ns, queued_ns, shared);
}

#endif
