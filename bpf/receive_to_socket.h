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

#include "backlog_wait.h"
#include "drops.h"
#include "raw_delivery.h"
#include "tcp_delivery.h"
#include "udp_delivery.h"
#include "wakeup_to_run.h"

/* netif_receive_skb: the packet enters the protocols. */
static __always_inline int packet_received(void *ctx, enum access access, const struct sk_buff *skb)
{
	struct cpu_state *s = this_cpu();
	const struct net_device *dev;
	enum tcp_content content;
	struct packet *p;
	__u64 now;
	bool shared;

	if (!s)
		return 0;
	now = bpf_ktime_get_ns();
	if (wakeup_to_run_on)
		s->telling = 0;
	if (backlog_wait_on)
		backlog_left(ctx, s, access, skb, now);
	if (!packets_on())
		return 0;
	shared = !in_net_rx(s);
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
		return 0;
	}
	/* A bare acknowledgement, SYN or RST never reaches a receive queue. */
	if (content != TCP_DATA) {
		tcp_forget((__u64)skb);
		add(&s->fates[content == TCP_SYN_DATA ? FATE_SYN_DATA : FATE_NO_PAYLOAD], 1, shared);
		return 0;
	}
	s->tcp_kept_ns = now;
	tcp_keep(s, (__u64)skb, now, tcp_meta(p), shared);
	return 0;
}

/* sk_data_ready: something is on the socket's queue, and the socket is being told. */
static __always_inline int socket_ready(void *ctx, enum access access, const struct sock *sk)
{
	__u16 family = LOAD(access, sk, __sk_common.skc_family);
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
		return packet_socket_ready(s, access, sk, now);
	protocol = LOAD(access, sk, sk_protocol);
	if (wakeup_to_run_on)
		telling(s, protocol == IPPROTO_TCP ? PROTOCOL_TCP :
			   protocol == IPPROTO_UDP ? PROTOCOL_UDP : PROTOCOL_OTHER,
			LOAD(access, sk, __sk_common.skc_num));
	if (!packets_on())
		return 0;
	if (LOAD(access, sk, sk_type) != SOCK_RAW && protocol == IPPROTO_UDP)
		return udp_ready(ctx, s, access, sk, now);
	if (LOAD(access, sk, sk_type) != SOCK_RAW && protocol == IPPROTO_TCP) {
		/* A new connection waits to be accepted: no packet was queued. */
		if (LOAD(access, sk, __sk_common.skc_state) == TCP_LISTEN)
			return 0;
		return tcp_ready(ctx, s, access, sk, now);
	}
	return raw_socket_ready(s, access, sk, protocol, now);
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

/* `reason` is that of the kernel, if it has any. */
static __always_inline int packet_dropped(void *ctx, enum access access, const struct sk_buff *skb,
					  __u64 location, __u32 reason)
{
	bool reasons = bpf_core_enum_value_exists(enum skb_drop_reason, SKB_DROP_REASON_NO_SOCKET);
	struct drop d = { .location = location, .reason = reason };
	enum fate fate = FATE_DROPPED;
	struct cpu_state *s;

	/* 5.17, c504e5c2f964 ("net: skb: introduce kfree_skb_reason()"): before it there is no reason. */
	if (!reasons) {
		d.reason = location;
	} else {
		if (bpf_core_enum_value_exists(enum skb_drop_reason, SKB_CONSUMED) &&
		    reason == bpf_core_enum_value(enum skb_drop_reason, SKB_CONSUMED))
			return 0;
		if (reason == bpf_core_enum_value(enum skb_drop_reason, SKB_DROP_REASON_NO_SOCKET))
			fate = FATE_NO_SOCKET;
	}
	s = this_cpu();
	if (!s)
		return 0;
	if (backlog_wait_on)
		backlog_dropped(s, (__u64)skb);
	if (socket_to_read_on)
		read_dropped(s, (__u64)skb);
	if (packets_on())
		d.known = settle_dropped(s, (__u64)skb, fate, &d);
	if (drops_on)
		count_drop(ctx, s, access, skb, &d);
	return 0;
}

#endif
