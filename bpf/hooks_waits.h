/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Programs where packets and readers wait: backlogs, sockets, the scheduler.
 */
#ifndef RXSCOPE_HOOKS_WAITS_H
#define RXSCOPE_HOOKS_WAITS_H

#include "dispatch.h"

/* ---- backlog_enqueue: a packet is put on a CPU's backlog ---------------------------------------- */

SEC("fentry/enqueue_to_backlog")
int BPF_PROG(backlog_enqueue__fentry, struct sk_buff *skb)
{
	return backlog_entered(TYPED, skb);
}

SEC("kprobe/enqueue_to_backlog")
int BPF_KPROBE(backlog_enqueue__kprobe, struct sk_buff *skb)
{
	return backlog_entered(COPIED, skb);
}

SEC("tp_btf/netif_rx")
int BPF_PROG(backlog_enqueue__tp_btf, struct sk_buff *skb)
{
	return backlog_entered(TYPED, skb);
}

SEC("raw_tp/netif_rx")
int BPF_PROG(backlog_enqueue__raw_tp, struct sk_buff *skb)
{
	return backlog_entered(COPIED, skb);
}

SEC("tp/net/netif_rx")
int backlog_enqueue__tp(struct trace_event_raw_net_dev_template *ctx)
{
	return backlog_entered(COPIED, ctx->skbaddr);
}

/* ---- socket_read, udp_read: a reader copies a packet's bytes ---------------------------------------------- */

SEC("tp_btf/skb_copy_datagram_iovec")
int BPF_PROG(socket_read__tp_btf, const struct sk_buff *skb, int length)
{
	return packet_read(ctx, (__u64)LOAD(TYPED, skb, sk), (__u64)skb, length);
}

SEC("raw_tp/skb_copy_datagram_iovec")
int BPF_PROG(socket_read__raw_tp, const struct sk_buff *skb, int length)
{
	return packet_read(ctx, (__u64)LOAD(COPIED, skb, sk), (__u64)skb, length);
}

SEC("tp/skb/skb_copy_datagram_iovec")
int socket_read__tp(struct trace_event_raw_skb_copy_datagram_iovec *ctx)
{
	const struct sk_buff *skb = ctx->skbaddr;

	return packet_read(ctx, (__u64)LOAD(COPIED, skb, sk), (__u64)skb, ctx->len);
}

SEC("fentry/skb_consume_udp")
int BPF_PROG(udp_read__fentry, struct sock *sk, struct sk_buff *skb, int length)
{
	return packet_read(ctx, (__u64)sk, (__u64)skb, length);
}

SEC("kprobe/skb_consume_udp")
int BPF_KPROBE(udp_read__kprobe, struct sock *sk, struct sk_buff *skb, int length)
{
	return packet_read(ctx, (__u64)sk, (__u64)skb, length);
}

/* ---- task_waking, task_switch: a reader is woken, and runs -------------------------------------- */

SEC("tp_btf/sched_waking")
int BPF_PROG(task_waking__tp_btf, struct task_struct *task)
{
	return task_waking(TYPED, task);
}

SEC("raw_tp/sched_waking")
int BPF_PROG(task_waking__raw_tp, struct task_struct *task)
{
	return task_waking(COPIED, task);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(task_switch__tp_btf, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	return task_runs(ctx, (__u64)next);
}

SEC("raw_tp/sched_switch")
int BPF_PROG(task_switch__raw_tp, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	return task_runs(ctx, (__u64)next);
}

#endif
