/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which packet a raw, ping or packet socket got a copy of. When is kept with the packet: what becomes of
 * it afterwards decides whether that was its delivery (leave() of delivery.h, settle_dropped() of books.h).
 */
#ifndef RXSCOPE_RAW_DELIVERY_H
#define RXSCOPE_RAW_DELIVERY_H

#include "delivery.h"
#include "under_way.h"

/* __sock_queue_rcv_skb: a raw or ping socket gets this buffer, a packet's or its copy's. */
static __always_inline int raw_queueing(enum access access, const struct sock *sk,
					const struct sk_buff *skb)
{
	struct cpu_state *s = this_cpu();
	__u32 at = 0;

	if (!s)
		return 0;
	s->named_known = packet_queued(s, access, skb, LOAD(access, sk, sk_protocol), &at) != 0;
	s->named_at = at;
	s->named_skb = (__u64)skb;
	s->named_sk = (__u64)sk;
	return 0;
}

/* Has the kernel a protocol of its own for this? What a packet socket sees of it, it only taps. */
static __always_inline bool is_handled(__u16 protocol)
{
	return protocol == bpf_htons(ETH_P_IP) || protocol == bpf_htons(ETH_P_IPV6) ||
	       protocol == bpf_htons(ETH_P_ARP);
}

/* A packet socket got a copy of the packet that was announced last, or the only one: LLDP, EAPOL … */
static __always_inline int packet_socket_ready(struct cpu_state *s, enum access access,
					       const struct sock *sk, __u64 now)
{
	struct packet *p = &s->ring[(s->ring_tail - 1) & (RING - 1)];
	__u64 head;

	if (s->ring_tail == s->ring_head || p->closed || p->copied_ns)
		return 0;
	/* A copy of an outgoing packet, or one that a reader has taken already, has another. */
	head = (__u64)LOAD(access, sk, sk_receive_queue.prev, head);
	if (head == p->head && !is_handled(LOAD(access, sk, sk_receive_queue.prev, protocol)))
		p->copied_ns = now;
	return 0;
}

static __always_inline int raw_socket_ready(struct cpu_state *s, enum access access,
					    const struct sock *sk, __u16 protocol, __u64 now)
{
	struct packet *p = 0;
	__u32 at = 0;

	if (s->named_sk == (__u64)sk) {
		s->named_sk = 0;
		if (s->named_known)
			p = &s->ring[s->named_at & (RING - 1)];
	} else {
		p = packet_told_of(s, access, sk, protocol, &at);
	}
	if (!p || p->closed) {
		add(&s->deliveries_without_start, 1, !in_net_rx(s));
		return 0;
	}
	if (!p->copied_ns)
		p->copied_ns = now;
	return 0;
}

#endif
