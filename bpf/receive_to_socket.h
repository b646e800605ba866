/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * receive_to_socket: netif_receive_skb -> the same packet is on a socket's receive queue and the
 * socket is told, its time on the socket's backlog included.
 *
 * sk_data_ready names the socket, not the packet. Which packet it is about:
 *
 *  TCP    tcp_probe names socket and skb when an established socket starts on a segment, in the
 *         softirq or from the backlog; the next data-ready of that socket is about that segment.
 *         In other states the packet is the last one of the receive queue.
 *  UDP    It is the newest packet of this CPU for the socket's port that UDP has begun to queue: a
 *         CPU handles its packets in the order in which it received them. "Begun" shows in the skb:
 *         UDP writes over skb->dev first. Later packets of a list are announced but untouched
 *         (netif_receive_skb_list). From 6.18 on a CPU may leave its packet to another CPU, which
 *         tells the socket for both: that second time finds its own packet accounted for already.
 *  other  Raw, ping and packet sockets get copies. The time is kept, and counts if no TCP or UDP
 *         socket takes the packet.
 *
 * What cannot be matched that way is never guessed: the packet gets a fate, the delivery is counted
 * as one without a start.
 */
#ifndef RXSCOPE_RECEIVE_TO_SOCKET_H
#define RXSCOPE_RECEIVE_TO_SOCKET_H

#include "observe.h"
#include "packet.h"
#include "softirq_to_socket.h"
#include "tcp_table.h"

/* Which observations of one packet user space is to hear of. */
#define SEND_SOFTIRQ 1
#define SEND_RECEIVE 2

/* A packet is on its socket's queue since queued_ns: one observation of each packet probe. */
static __always_inline __u32 delivered(struct cpu_state *s, enum origin origin, __u64 received_ns,
				       __u64 queued_ns, __u32 device_slot, __u32 protocol,
				       bool shared)
{
	__u32 send = 0;

	if (receive_to_socket_on &&
	    observe(s, RECEIVE_TO_SOCKET, packet_histogram(RECEIVE_TO_SOCKET, device_slot, protocol),
		    received_ns, queued_ns, shared))
		send |= SEND_RECEIVE;
	if (softirq_to_socket_on &&
	    softirq_to_socket(s, origin, received_ns, queued_ns,
			      packet_histogram(SOFTIRQ_TO_SOCKET, device_slot, protocol), shared))
		send |= SEND_SOFTIRQ;
	return send;
}

static __always_inline void send_both(void *ctx, struct cpu_state *s, __u32 which,
				      struct context *about)
{
	if (which & SEND_SOFTIRQ) {
		about->probe = SOFTIRQ_TO_SOCKET;
		about->from_ns = s->softirq_ns;
		send(ctx, s, about);
	}
	if (which & SEND_RECEIVE) {
		about->probe = RECEIVE_TO_SOCKET;
		about->from_ns = about->received_ns;
		send(ctx, s, about);
	}
}

static __always_inline __u64 cgroup_of(bool typed, const struct sock *sk)
{
	if (!bpf_core_field_exists(sk->sk_cgrp_data.cgroup))
		return 0;
	return LOAD(typed, sk, sk_cgrp_data.cgroup, kn, id);
}

static __always_inline void packet_context(struct cpu_state *s, const struct packet *p,
					   struct context *about)
{
	about->received_ns = p->received_ns;
	about->length = p->length;
	about->key = p->ifindex;
	about->local_port = p->local_port;
	about->remote_port = p->source_port;
	about->device_slot = p->device_slot;
	about->in_softirq = s->softirq_ns != 0;
}

/*
 * A packet is through with the receive path here, and no TCP or UDP socket was told of it. Adds
 * atomically whatever the context: rare, and half as many paths for the verifier, which follows
 * this once for each place of the ring. For the same reason a raw or packet socket's outlier is
 * counted but not sent.
 */
static __always_inline void leave(struct cpu_state *s, struct packet *p)
{
	__u32 which;

	/* Already observed, or dropped. */
	if (p->closed)
		return;
	p->closed = 1;
	if (!p->tapped_ns) {
		enum fate fate = FATE_OTHER_PROTOCOL;

		if (p->fragment)
			fate = FATE_FRAGMENT;
		else if (p->transport == IPPROTO_UDP)
			fate = FATE_NOT_QUEUED;
		add(&s->fates[fate], 1, true);
		return;
	}
	which = delivered(s, p->origin, p->received_ns, p->tapped_ns, p->device_slot,
			  PROTOCOL_OTHER, true);
	if (which & SEND_SOFTIRQ)
		add(&s->events_lost[SOFTIRQ_TO_SOCKET], 1, true);
	if (which & SEND_RECEIVE)
		add(&s->events_lost[RECEIVE_TO_SOCKET], 1, true);
}

/* Closes all packets before ring position `until`: their handling is over. */
static __noinline int leave_until(struct cpu_state *s, __u32 until)
{
	if (!s)
		return 0;
	for (int i = 0; i < RING; i++) {
		if (s->ring_head == until)
			break;
		leave(s, &s->ring[s->ring_head & (RING - 1)]);
		s->ring_head++;
	}
	return 0;
}

/* netif_receive_skb: the packet enters the protocols. */
static __always_inline int packet_received(bool typed, const struct sk_buff *skb)
{
	struct cpu_state *s = this_cpu();
	const struct net_device *dev;
	struct packet *p;
	bool tcp_data, shared;
	__u64 now, meta;

	if (!s)
		return 0;
	now = bpf_ktime_get_ns();
	shared = !s->softirq_ns;
	/* The oldest of a full ring has been handled long ago. */
	if (s->ring_tail - s->ring_head >= RING)
		leave(s, &s->ring[s->ring_head++ & (RING - 1)]);
	p = &s->ring[s->ring_tail & (RING - 1)];
	dev = LOAD(typed, skb, dev);
	p->received_ns = now;
	p->dev = (__u64)dev;
	p->tapped_ns = 0;
	p->length = LOAD(typed, skb, len);
	p->ports = 0;
	p->flags = 0;
	p->closed = 0;
	p->device_slot = device_slot(s, typed, dev, &p->ifindex);
	p->origin = origin_here(s);
	add(&s->received[p->device_slot & (DEVICES_ALL - 1)], 1, shared);
	parse(p, LOAD(typed, skb, data), LOAD(typed, skb, protocol), &tcp_data);
	if (p->transport != IPPROTO_TCP || p->fragment) {
		p->head = (__u64)LOAD(typed, skb, head);
		p->skb = (__u64)skb;
		s->ring_tail++;
		return 0;
	}
	/* A bare acknowledgement, SYN or RST never reaches a receive queue. */
	if (!tcp_data) {
		tcp_forget((__u64)skb);
		add(&s->fates[FATE_NO_PAYLOAD], 1, shared);
		return 0;
	}
	meta = (__u64)p->ifindex << 32 | (p->length & 0xffff) << 16 | p->origin << 8 | p->device_slot;
	tcp_keep(s, (__u64)skb, now, meta, shared);
	return 0;
}

/* tcp_probe: an established socket starts on a segment. */
static __always_inline int tcp_segment(__u64 sk, __u64 skb)
{
	struct tcp_claim *claim = tcp_claim_of(sk);
	struct cpu_state *s = this_cpu();
	struct tcp_packet old;

	/* No data, or received before we attached. */
	if (!s || !claim || !tcp_find(skb))
		return 0;
	if (claim->sk && tcp_take(s, claim->skb, &old, !s->softirq_ns)) {
		/* This socket was never told of its last segment, or another socket had this place. */
		enum fate fate = claim->sk == sk ? FATE_TCP_NOT_READY : FATE_TABLE_FULL;

		add(&s->fates[fate], 1, !s->softirq_ns);
	}
	claim->skb = skb;
	claim->sk = sk;
	return 0;
}

static __always_inline int tcp_ready(void *ctx, struct cpu_state *s, bool typed,
				     const struct sock *sk, __u64 now)
{
	struct tcp_claim *claim = tcp_claim_of((__u64)sk);
	struct context about = {};
	struct tcp_packet p;
	bool shared = !s->softirq_ns;
	__u32 which;
	__u64 skb;

	if (!claim)
		return 0;
	if (claim->sk == (__u64)sk) {
		skb = claim->skb;
		claim->sk = 0;
	} else {
		skb = (__u64)LOAD(typed, sk, sk_receive_queue.prev);
	}
	if (!tcp_take(s, skb, &p, shared)) {
		add(&s->deliveries_without_start, 1, shared);
		return 0;
	}
	which = delivered(s, p.meta >> 8 & 3, p.received_ns, now, p.meta & (DEVICES_ALL - 1),
			  PROTOCOL_TCP, shared);
	if (!which)
		return 0;
	about.received_ns = p.received_ns;
	about.key = p.meta >> 32;
	about.length = p.meta >> 16 & 0xffff;
	about.device_slot = p.meta & (DEVICES_ALL - 1);
	about.protocol = PROTOCOL_TCP;
	about.local_port = LOAD(typed, sk, __sk_common.skc_num);
	about.remote_port = bpf_ntohs(LOAD(typed, sk, __sk_common.skc_dport));
	about.in_softirq = !shared;
	about.cgroup_id = cgroup_of(typed, sk);
	about.until_ns = now;
	send_both(ctx, s, which, &about);
	return 0;
}

/* Has UDP queued this packet? It writes its lengths over skb->dev when it does. */
static __always_inline bool udp_touched(const struct packet *p)
{
	const struct sk_buff *skb = (const struct sk_buff *)p->skb;

	return (__u64)BPF_CORE_READ(skb, dev) != p->dev;
}

static __always_inline int udp_ready(void *ctx, struct cpu_state *s, bool typed,
				     const struct sock *sk, __u64 now)
{
	__u32 which, open = s->ring_tail - s->ring_head, at = s->ring_tail;
	__u16 port = LOAD(typed, sk, __sk_common.skc_num);
	bool shared = !s->softirq_ns;
	struct context about = {};
	struct packet *p = 0;

	for (int i = 0; i < RING; i++) {
		if (at == s->ring_head)
			break;
		p = &s->ring[--at & (RING - 1)];
		/* A packet that is alone needs no second proof. */
		if (p->transport == IPPROTO_UDP && p->local_port == port &&
		    (open == 1 || udp_touched(p)))
			break;
		p = 0;
	}
	/* Another CPU's packet, or a further copy of a multicast. */
	if (!p || p->closed) {
		add(&s->deliveries_without_start, 1, shared);
		return 0;
	}
	p->closed = 1;
	/* The usual case: nothing older is open, so nothing is left for the softirq's exit to settle. */
	if (at == s->ring_head)
		s->ring_head++;
	which = delivered(s, p->origin, p->received_ns, now, p->device_slot, PROTOCOL_UDP, shared);
	if (!which)
		return 0;
	packet_context(s, p, &about);
	about.protocol = PROTOCOL_UDP;
	about.cgroup_id = cgroup_of(typed, sk);
	about.until_ns = now;
	send_both(ctx, s, which, &about);
	return 0;
}

/* A packet socket got a clone, which shares its data with the newest packet of this CPU. */
static __always_inline int packet_socket_ready(struct cpu_state *s, bool typed,
					       const struct sock *sk, __u64 now)
{
	struct packet *p = &s->ring[(s->ring_tail - 1) & (RING - 1)];
	__u64 head;

	if (s->ring_tail == s->ring_head || p->closed || p->tapped_ns)
		return 0;
	/* A copy of an outgoing packet, or one that a reader has taken already, has another. */
	head = (__u64)LOAD(typed, sk, sk_receive_queue.prev, head);
	if (head == p->head)
		p->tapped_ns = now;
	return 0;
}

/* A raw or ping socket got a copy of the oldest open packet of its protocol. */
static __always_inline int raw_socket_ready(struct cpu_state *s, __u16 protocol, __u64 now)
{
	__u32 at = s->ring_head;

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
	add(&s->deliveries_without_start, 1, !s->softirq_ns);
	return 0;
}

/* sk_data_ready: something is on the socket's queue, and the socket is being told. */
static __always_inline int socket_ready(void *ctx, bool typed, const struct sock *sk)
{
	__u16 family = LOAD(typed, sk, __sk_common.skc_family);
	struct cpu_state *s;
	__u16 protocol;
	__u64 now;

	/* Unix, netlink and vsock messages are no packets. */
	if (family != AF_INET && family != AF_INET6 && family != AF_PACKET)
		return 0;
	s = this_cpu();
	if (!s)
		return 0;
	now = bpf_ktime_get_ns();
	if (family == AF_PACKET)
		return packet_socket_ready(s, typed, sk, now);
	protocol = LOAD(typed, sk, sk_protocol);
	if (LOAD(typed, sk, sk_type) != SOCK_RAW && protocol == IPPROTO_UDP)
		return udp_ready(ctx, s, typed, sk, now);
	if (LOAD(typed, sk, sk_type) != SOCK_RAW && protocol == IPPROTO_TCP) {
		/* A new connection waits to be accepted: no packet was queued. */
		if (LOAD(typed, sk, __sk_common.skc_state) == TCP_LISTEN)
			return 0;
		return tcp_ready(ctx, s, typed, sk, now);
	}
	return raw_socket_ready(s, protocol, now);
}

/* kfree_skb: dropped, if it is one of the packets under way. */
static __always_inline int packet_dropped(__u64 skb, bool no_socket)
{
	enum fate fate = no_socket ? FATE_NO_SOCKET : FATE_DROPPED;
	struct cpu_state *s = this_cpu();
	struct tcp_packet taken;
	__u32 at;

	if (!s)
		return 0;
	at = s->ring_head;
	for (int i = 0; i < RING; i++, at++) {
		struct packet *p = &s->ring[at & (RING - 1)];

		if (at == s->ring_tail)
			break;
		if (p->closed || p->skb != skb)
			continue;
		/* A packet socket has its copy: that is a delivery, whatever becomes of the rest. */
		if (p->tapped_ns)
			return 0;
		p->closed = 1;
		add(&s->fates[fate], 1, !s->softirq_ns);
		return 0;
	}
	if (tcp_take(s, skb, &taken, !s->softirq_ns))
		add(&s->fates[fate], 1, !s->softirq_ns);
	return 0;
}

#endif
