/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * TCP packets on their way to a socket, found by skb address from any CPU and any context: a
 * process that holds the socket lock takes them from the socket's backlog later, perhaps elsewhere.
 *
 * A newcomer takes a free one of its four places, or that of the oldest; user space computes how
 * many were lost that way (kept - resolved - still there and not too old to be taken), so no race
 * between CPUs can unbalance the books. A torn entry fails its check and is never measured.
 */
#ifndef RXSCOPE_TCP_TABLE_H
#define RXSCOPE_TCP_TABLE_H

#include "observe.h"

/* Fibonacci hashing: upper bits of a product with 2^32 / golden ratio. */
static __always_inline __u32 hash_address(__u64 address, __u32 places)
{
	return (lower_half(address) * 0x9e3779b1U) >> 16 & (places - 1);
}

/* What is kept of a TCP packet beside its time: struct tcp_packet. */
static __always_inline __u64 tcp_meta(const struct packet *p)
{
	return (__u64)p->ifindex << 32 | (p->length & 0xffff) << 16 | p->origin << 8 | p->device_slot;
}

static __always_inline struct tcp_set *tcp_set_of(__u64 skb)
{
	__u32 place = hash_address(skb, TCP_SETS);

	return bpf_map_lookup_elem(&tcp_packets, &place);
}

/* The entry of this very packet, if it is there. */
static __always_inline struct tcp_packet *tcp_find(__u64 skb)
{
	struct tcp_set *set = tcp_set_of(skb);

	if (!set)
		return 0;
	for (int i = 0; i < TCP_WAYS; i++)
		if (set->way[i].skb == skb)
			return &set->way[i];
	return 0;
}

static __always_inline void tcp_keep(struct cpu_state *s, __u64 skb, __u64 now, __u64 meta,
				     bool shared)
{
	struct tcp_set *set = tcp_set_of(skb);
	__u64 oldest_ns = ~0ULL;
	__u32 place = 0;
	struct tcp_packet *p;

	if (!set)
		return;
	for (int i = 0; i < TCP_WAYS; i++) {
		__u64 received_ns = set->way[i].received_ns;

		/* Free, or left behind by an earlier packet in the same buffer. */
		if (!set->way[i].skb || set->way[i].skb == skb) {
			place = i;
			break;
		}
		if (received_ns < oldest_ns) {
			oldest_ns = received_ns;
			place = i;
		}
	}
	p = &set->way[place & (TCP_WAYS - 1)];
	p->skb = 0;
	barrier();
	p->received_ns = now;
	p->meta = meta;
	p->check = lower_half(skb) ^ now ^ meta;
	barrier();
	p->skb = skb;
	add(&s->tcp_kept, 1, shared);
}

/*
 * Takes a packet out. Returns false when it is not there, half overwritten, or so old that its latency
 * could not be told any more: user space has called it lost by then, or will, and that is final.
 *
 * Counted before its place is free: a reading in between finds it twice and never misses it.
 */
static __always_inline bool tcp_take(struct cpu_state *s, __u64 skb, __u64 now, struct tcp_packet *out,
				     bool shared)
{
	struct tcp_packet *p = skb ? tcp_find(skb) : 0;

	if (!p)
		return false;
	out->received_ns = p->received_ns;
	out->meta = p->meta;
	if (p->check != (lower_half(skb) ^ out->received_ns ^ out->meta))
		return false;
	if ((__s64)(now - out->received_ns) > (__s64)RXSCOPE_LATENCY_MAX_NS)
		return false;
	add(&s->tcp_resolved, 1, shared);
	barrier();
	p->skb = 0;
	return true;
}

/*
 * A segment that is not kept came in this buffer: what an earlier one left behind there (merged
 * into another on a socket's backlog, forwarded) must not be taken for it.
 */
static __always_inline void tcp_forget(__u64 skb)
{
	struct tcp_packet *p = tcp_find(skb);

	if (p)
		p->skb = 0;
}

static __always_inline struct tcp_claim *tcp_claim_of(__u64 sk)
{
	__u32 place = hash_address(sk, TCP_CLAIMS);

	return bpf_map_lookup_elem(&tcp_claims, &place);
}

#endif
