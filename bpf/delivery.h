/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What follows when a packet is on its socket's queue, or has left the receive path without: one
 * observation of each packet probe, or one fate. Does not look for the packet: tcp_delivery.h,
 * udp_delivery.h and raw_delivery.h do.
 */
#ifndef RXSCOPE_DELIVERY_H
#define RXSCOPE_DELIVERY_H

#include "observe.h"
#include "packet.h"
#include "receive_to_socket.h"
#include "softirq_to_socket.h"

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
	    receive_to_socket(s, received_ns, queued_ns, packet_histogram(device_slot, protocol),
			      shared))
		send |= SEND_RECEIVE;
	if (softirq_to_socket_on &&
	    softirq_to_socket(s, origin, received_ns, queued_ns,
			      packet_histogram(device_slot, protocol), shared))
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

static __always_inline __u64 cgroup_of(enum access access, const struct sock *sk)
{
	if (!bpf_core_field_exists(sk->sk_cgrp_data.cgroup))
		return 0;
	return LOAD(access, sk, sk_cgrp_data.cgroup, kn, id);
}

static __always_inline void packet_context(struct cpu_state *s, const struct packet *p,
					   struct context *about)
{
	about->received_ns = p->received_ns;
	about->length = p->length;
	about->key = p->ifindex;
	about->remote_port = p->source_port;
	about->device_slot = p->device_slot;
	about->in_softirq = in_net_rx(s);
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
	p->closed = CLOSED;
	if (!p->copied_ns) {
		add(&s->fates[p->fate & (FATES_ALL - 1)], 1, true);
		return;
	}
	which = delivered(s, p->origin, p->received_ns, p->copied_ns, p->device_slot,
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

#endif
