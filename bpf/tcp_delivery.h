/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which TCP segment a socket is told of, on any CPU and in any context: the one that was named last for
 * this socket (struct tcp_claim), by whom the socket is told now.
 */
#ifndef RXSCOPE_TCP_DELIVERY_H
#define RXSCOPE_TCP_DELIVERY_H

#include "delivery.h"
#include "socket_to_read.h"
#include "tcp_table.h"
#include "under_way.h"

/*
 * Are bytes before this segment still missing? Then it waits on the out-of-order queue, and gets to the
 * receive queue when they have come: the network's time, and no latency of this host.
 */
static __always_inline bool tcp_is_ahead(enum access access, const struct sock *sk,
					 const struct sk_buff *skb)
{
	__u32 rcv_nxt, seq;

	if (access == CAST) {
		rcv_nxt = CAST_TO(tcp_sock, sk)->rcv_nxt;
		seq = CAST_TO(tcp_skb_cb, &skb->cb)->seq;
	} else {
		const struct tcp_sock *tcp = (const struct tcp_sock *)sk;
		const struct tcp_skb_cb *cb = (const struct tcp_skb_cb *)&skb->cb;

		rcv_nxt = BPF_CORE_READ(tcp, rcv_nxt);
		seq = BPF_CORE_READ(cb, seq);
	}
	return (__s32)(seq - rcv_nxt) > 0;
}

/* A packet that was put together from fragments goes by the last of them, in whose buffer it is. */
static __always_inline bool tcp_reassembled(struct cpu_state *s, __u64 skb)
{
	struct packet *p = packet_in(s, skb);

	if (!p || p->closed || p->fate != FATE_FRAGMENT)
		return false;
	p->closed = CLOSED;
	tcp_keep(s, skb, p->received_ns, tcp_meta(p), !in_net_rx(s));
	return true;
}

/*
 * What a socket waits for, which setsockopt(SO_RCVLOWAT) changes before it tells the socket of data that
 * have long been there. It is called by a process.
 */
static __always_inline __u64 lowat_of(const struct cpu_state *s, enum access access,
				      const struct sock *sk)
{
	return in_net_rx(s) ? 0 : (__u64)LOAD(access, sk, sk_rcvlowat);
}

/* Takes out the packet that a socket claimed, unless its buffer has another by now. */
static __always_inline bool tcp_take_claimed(struct cpu_state *s, const struct tcp_claim *claim, __u64 now,
					     struct tcp_packet *out, bool shared)
{
	const struct tcp_packet *p = tcp_find(claim->skb);

	return p && p->received_ns == claim->received_ns && tcp_take(s, claim->skb, now, out, shared);
}

/* tcp_probe or tcp_queue_rcv: a socket starts on a segment, or is about to queue it. */
static __always_inline int tcp_segment(enum access access, const struct sock *sk, __u64 skb)
{
	struct tcp_claim *claim = tcp_claim_of((__u64)sk);
	struct cpu_state *s = this_cpu();
	struct tcp_packet old;
	const struct tcp_packet *p;

	if (!s || !claim)
		return 0;
	p = tcp_find(skb);
	if (!p && tcp_reassembled(s, skb))
		p = tcp_find(skb);
	/* No data, or received before we attached. */
	if (!p)
		return 0;
	/* Both functions may name it, one after the other. */
	if (claim->sk == (__u64)sk && claim->skb == skb && claim->received_ns == p->received_ns)
		return 0;
	if (claim->sk && tcp_take_claimed(s, claim, bpf_ktime_get_ns(), &old, !in_net_rx(s))) {
		/* This socket was never told of its last segment, or another socket had this place. */
		enum fate fate = claim->sk == (__u64)sk ? FATE_TCP_NOT_READY : FATE_TABLE_FULL;

		add(&s->fates[fate], 1, !in_net_rx(s));
	}
	claim->skb = skb;
	claim->received_ns = p->received_ns;
	claim->worker = worker(s);
	claim->lowat = lowat_of(s, access, sk);
	claim->sk = (__u64)sk;
	return 0;
}

/* tcp_data_queue: a socket looks where a segment belongs that is not simply the next one. */
static __always_inline int tcp_data(enum access access, const struct sock *sk,
				    const struct sk_buff *skb)
{
	struct cpu_state *s = this_cpu();
	struct tcp_packet taken;

	if (!tcp_is_ahead(access, sk, skb))
		return tcp_segment(access, sk, (__u64)skb);
	if (s && tcp_take(s, (__u64)skb, bpf_ktime_get_ns(), &taken, !in_net_rx(s)))
		add(&s->fates[FATE_OUT_OF_ORDER], 1, !in_net_rx(s));
	return 0;
}

/* The segment's bytes are in the last buffer of the queue: its own, or one that it was merged into. */
static __always_inline void tcp_read_awaited(struct cpu_state *s, enum access access,
					     const struct sock *sk, __u64 skb, __u64 now, __u32 ifindex)
{
	__u64 last = (__u64)LOAD(access, sk, sk_receive_queue.prev);

	read_awaited(s, (__u64)sk, last, last != skb, now, ifindex,
		     LOAD(access, sk, __sk_common.skc_num), PROTOCOL_TCP);
}

/*
 * Without a claim, as in a handshake or at a connection's end, where no hook names the segment: was the
 * last one of the queue received in this run, or taken from the socket's backlog, or is it the last one
 * that was received here at all? Else it has been on the queue for long.
 */
static __always_inline bool tcp_is_new(const struct cpu_state *s, enum access access,
				       const struct sock *sk, __u64 skb)
{
	const struct tcp_packet *p = tcp_find(skb);

	if (!p)
		return false;
	if (in_net_rx(s))
		return p->received_ns >= s->softirq_ns;
	return p->received_ns == s->tcp_kept_ns || LOAD(access, sk, sk_backlog.len);
}

/*
 * The segment that a socket is told of, taken out of the table. A claim holds while its worker is at it: if
 * somebody else tells the socket, or the same process later, its segment was queued and the socket not told.
 */
static __always_inline bool tcp_packet_of(struct cpu_state *s, enum access access, const struct sock *sk,
					  __u64 now, __u64 *skb, struct tcp_packet *out, bool shared)
{
	struct tcp_claim *claim = tcp_claim_of((__u64)sk);
	bool holds;

	if (!claim)
		return false;
	if (claim->sk != (__u64)sk) {
		*skb = (__u64)LOAD(access, sk, sk_receive_queue.prev);
		return tcp_is_new(s, access, sk, *skb) && tcp_take(s, *skb, now, out, shared);
	}
	holds = claim->worker == worker(s) && claim->lowat == lowat_of(s, access, sk);
	*skb = claim->skb;
	claim->sk = 0;
	if (!tcp_take_claimed(s, claim, now, out, shared))
		return false;
	if (!holds)
		add(&s->fates[FATE_TCP_NOT_READY], 1, shared);
	return holds;
}

static __always_inline int tcp_ready(void *ctx, struct cpu_state *s, enum access access,
				     const struct sock *sk, __u64 now)
{
	struct context about = {};
	struct tcp_packet p;
	bool shared = !in_net_rx(s);
	__u32 which, slot;
	__u64 skb = 0;

	if (!tcp_packet_of(s, access, sk, now, &skb, &p, shared)) {
		add(&s->deliveries_without_start, 1, shared);
		return 0;
	}
	if (socket_to_read_on)
		tcp_read_awaited(s, access, sk, skb, now, p.meta >> 32);
	slot = slot_here(s, p.meta & (DEVICES_ALL - 1), p.meta >> 32);
	which = delivered(s, p.meta >> 8 & (ORIGINS_ALL - 1), p.received_ns, now, slot,
			  PROTOCOL_TCP, shared);
	if (!which)
		return 0;
	about.received_ns = p.received_ns;
	about.key = p.meta >> 32;
	about.length = p.meta >> 16 & 0xffff;
	about.device_slot = slot;
	about.protocol = PROTOCOL_TCP;
	about.local_port = LOAD(access, sk, __sk_common.skc_num);
	about.remote_port = bpf_ntohs(LOAD(access, sk, __sk_common.skc_dport));
	about.in_softirq = !shared;
	about.cgroup_id = cgroup_of(access, sk);
	about.until_ns = now;
	send_both(ctx, s, which, &about);
	return 0;
}

#endif
