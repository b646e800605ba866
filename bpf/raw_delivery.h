/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which packet a raw, ping or packet socket got a copy of.
 */
#ifndef RXSCOPE_RAW_DELIVERY_H
#define RXSCOPE_RAW_DELIVERY_H

#include "delivery.h"

/* __sock_queue_rcv_skb: a raw or ping socket gets a packet or its clone, which shares its data. */
static __always_inline int raw_queueing(enum access access, __u64 sk, const struct sk_buff *skb)
{
	struct cpu_state *s = this_cpu();
	__u64 head;
	__u32 at;

	if (!s)
		return 0;
	s->named_sk = 0;
	head = (__u64)LOAD(access, skb, head);
	at = s->ring_head;
	for (int i = 0; i < RING; i++, at++) {
		struct packet *p = &s->ring[at & (RING - 1)];

		if (at == s->ring_tail)
			break;
		if (p->closed || p->head != head)
			continue;
		s->named_at = at;
		s->named_sk = sk;
		break;
	}
	return 0;
}

/* A packet socket got a clone, which shares its data with the newest packet of this CPU. */
static __always_inline int packet_socket_ready(struct cpu_state *s, enum access access,
					       const struct sock *sk, __u64 now)
{
	struct packet *p = &s->ring[(s->ring_tail - 1) & (RING - 1)];
	__u64 head;

	if (s->ring_tail == s->ring_head || p->closed || p->tapped_ns)
		return 0;
	/* A copy of an outgoing packet, or one that a reader has taken already, has another. */
	head = (__u64)LOAD(access, sk, sk_receive_queue.prev, head);
	if (head == p->head)
		p->tapped_ns = now;
	return 0;
}

/* A raw or ping socket got a copy: of the packet that was named, else of the oldest open one. */
static __always_inline int raw_socket_ready(struct cpu_state *s, __u64 sk, __u16 protocol, __u64 now)
{
	__u32 at = s->ring_head;

	if (s->named_sk == sk) {
		struct packet *p = &s->ring[s->named_at & (RING - 1)];

		s->named_sk = 0;
		if (!p->closed && !p->tapped_ns)
			p->tapped_ns = now;
		return 0;
	}
	for (int i = 0; i < RING; i++, at++) {
		struct packet *p = &s->ring[at & (RING - 1)];

		if (at == s->ring_tail)
			break;
		if (!p->closed && p->transport == protocol) {
			if (!p->tapped_ns)
				p->tapped_ns = now;
			return 0;
		}
	}
	add(&s->deliveries_without_start, 1, !in_net_rx(s));
	return 0;
}

#endif
