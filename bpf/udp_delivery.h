/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which datagram a UDP socket is told of: the one that was named, else the newest packet of this CPU for
 * its port that UDP has begun to queue.
 */
#ifndef RXSCOPE_UDP_DELIVERY_H
#define RXSCOPE_UDP_DELIVERY_H

#include "delivery.h"
#include "socket_to_read.h"

/* __udp_enqueue_schedule_skb: UDP is about to queue this packet for this socket. */
static __always_inline int udp_queueing(enum access access, __u64 sk, const struct sk_buff *skb)
{
	struct cpu_state *s = this_cpu();
	__u32 at;

	if (!s)
		return 0;
	s->named_sk = 0;
	/* A CPU handles its packets in order: the one is most often the first. */
	at = s->ring_head;
	for (int i = 0; i < RING; i++, at++) {
		struct packet *p = &s->ring[at & (RING - 1)];

		if (at == s->ring_tail)
			break;
		/* Taken out of a tunnel, it is received anew, from another device. */
		if (p->closed || p->skb != (__u64)skb || p->dev != (__u64)LOAD(access, skb, dev))
			continue;
		p->fate = FATE_OTHER_CPU;
		s->named_at = at;
		s->named_sk = sk;
		break;
	}
	return 0;
}

/* Has UDP queued this packet? It writes its lengths over skb->dev when it does. */
static __always_inline bool udp_touched(enum access access, const struct packet *p)
{
	const struct sk_buff *skb = (const struct sk_buff *)p->skb;

	if (access == CAST)
		return (__u64)CAST_TO(sk_buff, skb)->dev != p->dev;
	return (__u64)BPF_CORE_READ(skb, dev) != p->dev;
}

/*
 * The packet that a UDP socket is told of. A packet that is named but not told of at once is another
 * CPU's to tell of.
 */
static __always_inline struct packet *udp_packet_of(struct cpu_state *s, enum access access, __u64 sk,
						    __u16 port, __u32 *place)
{
	__u32 open = s->ring_tail - s->ring_head, at = s->ring_tail;

	if (s->named_sk == sk) {
		s->named_sk = 0;
		*place = s->named_at;
		return &s->ring[s->named_at & (RING - 1)];
	}
	for (int i = 0; i < RING; i++) {
		struct packet *p;

		if (at == s->ring_head)
			break;
		p = &s->ring[--at & (RING - 1)];
		/* A packet that is alone needs no second proof. */
		if (p->transport == IPPROTO_UDP && p->local_port == port && p->fate != FATE_OTHER_CPU &&
		    (open == 1 || udp_touched(access, p))) {
			*place = at;
			return p;
		}
	}
	return 0;
}

static __always_inline int udp_ready(void *ctx, struct cpu_state *s, enum access access,
				     const struct sock *sk, __u64 now)
{
	bool shared = !in_net_rx(s);
	struct context about = {};
	__u32 which, at = 0;
	struct packet *p;

	p = udp_packet_of(s, access, (__u64)sk, LOAD(access, sk, __sk_common.skc_num), &at);
	/* Another CPU's packet, or a further copy of a multicast. */
	if (!p || p->closed) {
		add(&s->deliveries_without_start, 1, shared);
		return 0;
	}
	p->closed = 1;
	/* The usual case: nothing older is open, so nothing is left for the softirq's exit to settle. */
	if (at == s->ring_head)
		s->ring_head++;
	if (socket_to_read_on)
		read_awaited(s, (__u64)sk, p->skb, false, now, p->ifindex, p->local_port,
			     PROTOCOL_UDP);
	which = delivered(s, p->origin, p->received_ns, now, p->device_slot, PROTOCOL_UDP, shared);
	if (!which)
		return 0;
	packet_context(s, p, &about);
	about.protocol = PROTOCOL_UDP;
	about.cgroup_id = cgroup_of(access, sk);
	about.until_ns = now;
	send_both(ctx, s, which, &about);
	return 0;
}

#endif
