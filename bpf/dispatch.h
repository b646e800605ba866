/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * All probes, and what a hook means to each that is on, where it serves several. What is off is no code:
 * `<id>_on` is known before the programs are loaded. The program of a hook of one probe calls that probe.
 */
#ifndef RXSCOPE_DISPATCH_H
#define RXSCOPE_DISPATCH_H

#include "backlog_wait.h"
#include "books.h"
#include "drops.h"
#include "hardirq_duration.h"
#include "irq_to_softirq.h"
#include "napi_poll.h"
#include "raw_delivery.h"
#include "socket_to_read.h"
#include "softirq_duration.h"
#include "softirq_raise_to_entry.h"
#include "tcp_delivery.h"
#include "udp_delivery.h"
#include "wakeup_to_run.h"

/* A device's handler begins. */
static __always_inline int irq_entered(int irq, unsigned int flags)
{
	struct cpu_state *s = this_cpu();

	if (!s)
		return 0;
	/* A timer's interrupt is no device's, whatever it raises. */
	if (flags & IRQF_TIMER_ONLY)
		return 0;
	s->irq = irq;
	s->irq_ns = bpf_ktime_get_ns();
	return 0;
}

/* `action` is 0 where the hook does not tell it. */
static __always_inline int irq_exited(void *ctx, enum access access, const struct irqaction *action,
				      int result)
{
	struct cpu_state *s = this_cpu();

	if (!s)
		return 0;
	if (hardirq_duration_on)
		irq_lasted(ctx, s);
	if (irq_to_softirq_on && action && result == IRQ_WAKE_THREAD && s->irq_ns)
		irq_left_to_thread(s, (__u64)LOAD(access, action, thread),
				   LOAD(access, action, thread_flags));
	s->irq_ns = 0;
	return 0;
}

static __always_inline int softirq_raised(unsigned int vector)
{
	struct cpu_state *s;

	if (!softirq_raise_to_entry_on && vector != NET_RX_SOFTIRQ)
		return 0;
	s = this_cpu();
	if (!s)
		return 0;
	if (softirq_raise_to_entry_on)
		vector_raised(s, vector);
	if (irq_to_softirq_on && vector == NET_RX_SOFTIRQ)
		net_rx_raised(s);
	return 0;
}

static __always_inline int softirq_entered(void *ctx, unsigned int vector)
{
	struct cpu_state *s;
	__u64 now;

	if (!softirq_raise_to_entry_on && !softirq_duration_on && vector != NET_RX_SOFTIRQ)
		return 0;
	s = this_cpu();
	if (!s)
		return 0;
	now = bpf_ktime_get_ns();
	if (softirq_raise_to_entry_on)
		vector_entered(ctx, s, vector, now);
	if (softirq_duration_on)
		s->entered_ns = now;
	if (vector != NET_RX_SOFTIRQ)
		return 0;
	/* Packets received outside a softirq since the last run: their handling is over. */
	if (s->ring_head != s->ring_tail)
		leave_until(s, s->ring_tail);
	s->softirq_ns = now;
	s->seen_entry = 1;
	if (napi_poll_on)
		s->poll_ns = now;
	if (preempt_rt)
		s->softirq_task = bpf_get_current_task();
	if (irq_to_softirq_on)
		irq_served(ctx, s, now);
	return 0;
}

static __always_inline int softirq_exited(void *ctx, unsigned int vector)
{
	struct cpu_state *s;

	if (!softirq_duration_on && vector != NET_RX_SOFTIRQ)
		return 0;
	s = this_cpu();
	if (!s)
		return 0;
	if (softirq_duration_on)
		vector_exited(ctx, s, vector);
	if (vector != NET_RX_SOFTIRQ)
		return 0;
	if (s->ring_head != s->ring_tail)
		leave_until(s, s->ring_tail);
	s->softirq_ns = 0;
	if (napi_poll_on)
		s->poll_ns = 0;
	if (wakeup_to_run_on)
		s->telling = 0;
	return 0;
}

/* netif_receive_skb: the packet enters the protocols. */
static __always_inline int packet_received(void *ctx, enum access access, const struct sk_buff *skb)
{
	struct cpu_state *s = this_cpu();
	__u64 now;

	if (!s)
		return 0;
	now = bpf_ktime_get_ns();
	if (wakeup_to_run_on)
		s->telling = 0;
	if (backlog_wait_on)
		backlog_left(ctx, s, access, skb, now);
	if (packets_on())
		packet_begins(s, access, skb, now);
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
