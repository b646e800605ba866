/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which datagram a UDP socket is told of: the one that a function named just before, else the one that
 * under_way.h finds. The first socket that is told of a packet, of a copy or of a part of it, counts; the
 * others are deliveries without a start.
 */
#ifndef RXSCOPE_UDP_DELIVERY_H
#define RXSCOPE_UDP_DELIVERY_H

#include "delivery.h"
#include "socket_to_read.h"
#include "under_way.h"

/* __udp_enqueue_schedule_skb: UDP is about to queue this buffer for this socket. */
static __always_inline int udp_queueing(enum access access, __u64 sk, const struct sk_buff *skb)
{
	struct cpu_state *s = this_cpu();
	struct packet *p;
	__u32 at = 0;

	if (!s)
		return 0;
	p = packet_queued(s, access, skb, IPPROTO_UDP, &at);
	if (p && !p->closed)
		p->fate = FATE_QUEUED_BY_OTHER_CPU;
	s->named_known = p != 0;
	s->named_at = at;
	s->named_skb = (__u64)skb;
	s->named_sk = sk;
	return 0;
}

/*
 * The packet that a UDP socket is told of, and the buffer that is on its queue. A packet that is named but
 * not told of at once is another CPU's to tell of.
 */
static __always_inline struct packet *udp_packet_of(struct cpu_state *s, enum access access,
						    const struct sock *sk, __u32 *place, __u64 *skb)
{
	struct packet *p;

	if (s->named_sk == (__u64)sk) {
		s->named_sk = 0;
		if (!s->named_known)
			return 0;
		*place = s->named_at;
		*skb = s->named_skb;
		return &s->ring[s->named_at & (RING - 1)];
	}
	p = packet_told_of(s, access, sk, IPPROTO_UDP, place);
	if (!p || p->fate == FATE_QUEUED_BY_OTHER_CPU)
		return 0;
	*skb = p->skb;
	return p;
}

static __always_inline int udp_ready(void *ctx, struct cpu_state *s, enum access access,
				     const struct sock *sk, __u64 now)
{
	bool shared = !in_net_rx(s);
	struct context about = {};
	struct packet *p;
	__u32 which, at = 0;
	__u64 skb = 0;
	__u16 port;

	p = udp_packet_of(s, access, sk, &at, &skb);
	/* Another CPU's packet, or a further copy or segment of one that a socket was told of already. */
	if (!p || p->closed) {
		add(&s->deliveries_without_start, 1, shared);
		return 0;
	}
	p->closed = CLOSED;
	/* The usual case: nothing older is open, so nothing is left for the softirq's exit to settle. */
	if (at == s->ring_head)
		s->ring_head++;
	port = LOAD(access, sk, __sk_common.skc_num);
	if (socket_to_read_on)
		read_awaited(s, (__u64)sk, skb, false, now, p->ifindex, port, PROTOCOL_UDP);
	which = delivered(s, p->origin, p->received_ns, now, p->device_slot, PROTOCOL_UDP, shared);
	if (!which)
		return 0;
	packet_context(s, p, &about);
	about.local_port = port;
	about.protocol = PROTOCOL_UDP;
	about.cgroup_id = cgroup_of(access, sk);
	about.until_ns = now;
	send_both(ctx, s, which, &about);
	return 0;
}

#endif
