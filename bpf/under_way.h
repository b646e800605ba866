/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which packet under way on this CPU the kernel is working on. netif_receive_skb announces a whole list
 * before the first packet of it is handled, so "the last that was received" is no answer, nor is "the only
 * one that is open". What is known of a packet is, the surest first:
 *
 *   1. its data are those in question: it is in that buffer, or the buffer is a copy for a further socket.
 *      The buffer's own address says less: a copy may be where an earlier packet has just been freed
 *   2. a protocol has taken its network header off, and of none that was received after it: a CPU handles
 *      its packets in the order in which it received them
 *
 * The second serves where the data are others: a segment that was cut from the packet (GSO), what was put
 * together from fragments, or what a reader on another CPU has taken from the queue already.
 */
#ifndef RXSCOPE_UNDER_WAY_H
#define RXSCOPE_UNDER_WAY_H

#include "observe.h"
#include "packet.h"

/* Of IPv6 fragments the protocol is not known. */
static __always_inline bool is_of(const struct packet *p, __u32 transport)
{
	return p->transport == transport || p->fate == FATE_FRAGMENT;
}

/* The newest packet in this buffer. An earlier one was received anew: by a bridge, out of a tunnel. */
static __always_inline struct packet *packet_in(struct cpu_state *s, __u64 skb)
{
	__u32 at = s->ring_tail;

	for (int i = 0; i < RING; i++) {
		struct packet *p;

		if (at == s->ring_head)
			break;
		p = &s->ring[--at & (RING - 1)];
		if (p->skb == skb)
			return p;
	}
	return 0;
}

/* The newest packet of this transport protocol with these data. */
static __always_inline struct packet *packet_with(struct cpu_state *s, __u64 head, __u32 transport,
						  __u32 *place)
{
	__u32 at = s->ring_tail;

	for (int i = 0; i < RING; i++) {
		struct packet *p;

		if (at == s->ring_head)
			break;
		p = &s->ring[--at & (RING - 1)];
		if (p->head == head && p->closed != CLOSED_DROPPED && is_of(p, transport)) {
			*place = at;
			return p;
		}
	}
	return 0;
}

/*
 * Is the network header still part of the data? So it is until the packet gets to its protocol. A buffer
 * that was freed since and is being filled anew has none yet.
 */
static __always_inline bool only_announced(enum access access, __u64 skb)
{
	__u64 data = (__u64)LOAD_AT(access, sk_buff, skb, data);
	__u64 head = (__u64)LOAD_AT(access, sk_buff, skb, head);
	__u32 network_header = LOAD_AT(access, sk_buff, skb, network_header);

	return network_header && data - head == network_header;
}

/*
 * Has UDP put this buffer on a queue? It writes over skb->dev then (struct udp_dev_scratch of
 * net/ipv4/udp.c): 31 bits of truesize and a flag, 16 of length, two booleans. The verifier takes it for a
 * pointer, with which nothing but a comparison is allowed.
 */
#define UDP_LINEAR (1ULL << 48)
#define UDP_CHECKED (1ULL << 56)

static __always_inline bool udp_queued(enum access access, __u64 skb)
{
	__u64 dev = (__u64)LOAD_AT(access, sk_buff, skb, dev);
	__u32 length = LOAD_AT(access, sk_buff, skb, len) & 0xffff, truesize = lower_half(dev);
	__u64 plain = (__u64)length << 32 | truesize;
	__u64 linear = plain | UDP_LINEAR, checked = plain | UDP_CHECKED;
	__u64 both = linear | UDP_CHECKED;

	/* Else the compiler makes one comparison of them, with arithmetic. */
	RXSCOPE_OPAQUE(plain);
	RXSCOPE_OPAQUE(linear);
	RXSCOPE_OPAQUE(checked);
	RXSCOPE_OPAQUE(both);
	return truesize & 0x7fffffff &&
	       (dev == plain || dev == linear || dev == checked || dev == both);
}

/* The newest packet that is more than announced, if it is of this protocol and at work on this buffer. */
static __always_inline struct packet *packet_at_work(struct cpu_state *s, enum access access, __u64 skb,
						     __u32 transport, __u32 *place)
{
	__u32 at = s->ring_tail;

	for (int i = 0; i < RING; i++) {
		struct packet *p;

		if (at == s->ring_head)
			break;
		p = &s->ring[--at & (RING - 1)];
		if (p->closed == CLOSED_DROPPED || (!p->closed && only_announced(access, p->skb)))
			continue;
		if (p->closed || !is_of(p, transport))
			break;
		if (!in_order(s) && p->skb != skb &&
		    !(transport == IPPROTO_UDP && udp_queued(access, p->skb)))
			break;
		*place = at;
		return p;
	}
	return 0;
}

/* The packet that a protocol is putting on a queue in this buffer, or of which it is a copy or a part. */
static __always_inline struct packet *packet_queued(struct cpu_state *s, enum access access,
						    const struct sk_buff *skb, __u32 transport,
						    __u32 *place)
{
	struct packet *p = packet_with(s, (__u64)LOAD(access, skb, head), transport, place);

	return p ?: packet_at_work(s, access, (__u64)skb, transport, place);
}

/*
 * The packet that a socket is told of: the last one of its queue, unless a reader has taken that, or
 * another CPU has put one behind it.
 */
static __always_inline struct packet *packet_told_of(struct cpu_state *s, enum access access,
						     const struct sock *sk, __u32 transport,
						     __u32 *place)
{
	return packet_queued(s, access, LOAD(access, sk, sk_receive_queue.prev), transport, place);
}

#endif
