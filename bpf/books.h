/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The books of received packets: each goes under way when it is received, and out of it when it is dropped;
 * delivery.h has what happens between. For the probes that follow packets to their sockets.
 */
#ifndef RXSCOPE_BOOKS_H
#define RXSCOPE_BOOKS_H

#include "delivery.h"
#include "drops.h"
#include "running.h"
#include "tcp_table.h"
#include "under_way.h"

/* Is any probe on that follows packets from their receipt to their sockets? */
static __always_inline bool packets_on(void)
{
	return softirq_to_socket_on || receive_to_socket_on || socket_to_read_on;
}

/* netif_receive_skb: a packet goes under way, or is accounted for at once. */
static __always_inline void packet_begins(struct cpu_state *s, enum access access,
					  const struct sk_buff *skb, __u64 now)
{
	const struct net_device *dev;
	enum tcp_content content;
	struct packet *p;
	bool shared = !in_net_rx(s);

	/* The oldest of a full ring has been handled long ago. */
	if (s->ring_tail - s->ring_head >= RING)
		leave(s, &s->ring[s->ring_head++ & (RING - 1)]);
	p = &s->ring[s->ring_tail & (RING - 1)];
	dev = LOAD(access, skb, dev);
	p->received_ns = now;
	p->copied_ns = 0;
	p->length = LOAD(access, skb, len);
	p->ports = 0;
	p->flags = 0;
	p->closed = OPEN;
	p->fate = FATE_OTHER_PROTOCOL;
	p->device_slot = device_slot(s, access, dev, &p->ifindex);
	p->origin = origin_here(s, access, skb);
	add(&s->received[p->device_slot & (DEVICES_ALL - 1)], 1, shared);
	content = parse(p, access, LOAD(access, skb, data), LOAD(access, skb, protocol));
	if (p->transport != IPPROTO_TCP || p->fate == FATE_FRAGMENT) {
		p->head = (__u64)LOAD(access, skb, head);
		p->skb = (__u64)skb;
		s->ring_tail++;
		return;
	}
	/* A bare acknowledgement, SYN or RST never reaches a receive queue. */
	if (content != TCP_DATA) {
		tcp_forget((__u64)skb);
		add(&s->fates[content == TCP_SYN_DATA ? FATE_SYN_DATA : FATE_NO_PAYLOAD], 1, shared);
		return;
	}
	s->tcp_kept_ns = now;
	tcp_keep(s, (__u64)skb, now, tcp_meta(p), shared);
}

/*
 * kfree_skb: settles the packet, if it is one of those under way. True when it is, with the device that
 * it came from.
 */
static __always_inline bool settle_dropped(struct cpu_state *s, __u64 skb, enum fate fate,
					   struct drop *d)
{
	bool shared = !in_net_rx(s);
	struct tcp_packet taken;
	struct packet *p = packet_in(s, skb);

	if (p && !p->closed) {
		d->device_slot = p->device_slot;
		d->ifindex = p->ifindex;
		/* Where a raw or ping socket has a copy, that is a delivery, whatever becomes of the rest. */
		if (p->copied_ns)
			leave(s, p);
		else
			add(&s->fates[fate], 1, shared);
		p->closed = CLOSED_DROPPED;
		return true;
	}
	if (!tcp_take(s, skb, bpf_ktime_get_ns(), &taken, shared))
		return false;
	d->ifindex = taken.meta >> 32;
	d->device_slot = slot_here(s, taken.meta & (DEVICES_ALL - 1), d->ifindex);
	add(&s->fates[fate], 1, shared);
	return true;
}

#endif
