/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Programs on a packet's way through the protocols to its socket, or to its end.
 */
#ifndef RXSCOPE_HOOKS_PACKETS_H
#define RXSCOPE_HOOKS_PACKETS_H

#include "dispatch.h"

/* ---- receive: a packet enters the protocols --------------------------------------------------- */

SEC("tp_btf/netif_receive_skb")
int BPF_PROG(receive__tp_btf_cast, struct sk_buff *skb)
{
	return packet_received(ctx, CAST, skb);
}

SEC("tp_btf/netif_receive_skb")
int BPF_PROG(receive__tp_btf, struct sk_buff *skb)
{
	return packet_received(ctx, TYPED, skb);
}

SEC("raw_tp/netif_receive_skb")
int BPF_PROG(receive__raw_tp, struct sk_buff *skb)
{
	return packet_received(ctx, COPIED, skb);
}

SEC("tp/net/netif_receive_skb")
int receive__tp(struct trace_event_raw_net_dev_template *ctx)
{
	return packet_received(ctx, COPIED, ctx->skbaddr);
}

/* ---- data_ready: a packet is on a socket's queue ---------------------------------------------- */

SEC("tp_btf/sk_data_ready")
int BPF_PROG(data_ready__tp_btf_cast, const struct sock *sk)
{
	return socket_ready(ctx, CAST, sk);
}

SEC("tp_btf/sk_data_ready")
int BPF_PROG(data_ready__tp_btf, const struct sock *sk)
{
	return socket_ready(ctx, TYPED, sk);
}

SEC("raw_tp/sk_data_ready")
int BPF_PROG(data_ready__raw_tp, const struct sock *sk)
{
	return socket_ready(ctx, COPIED, sk);
}

SEC("tp/sock/sk_data_ready")
int data_ready__tp(struct trace_event_raw_sk_data_ready *ctx)
{
	return socket_ready(ctx, COPIED, ctx->skaddr);
}

/* Before 6.3 there is no such tracepoint; the default callback of every socket is the same place. */
SEC("fentry/sock_def_readable")
int BPF_PROG(data_ready__fentry_cast, struct sock *sk)
{
	return socket_ready(ctx, CAST, sk);
}

SEC("fentry/sock_def_readable")
int BPF_PROG(data_ready__fentry, struct sock *sk)
{
	return socket_ready(ctx, TYPED, sk);
}

SEC("kprobe/sock_def_readable")
int BPF_KPROBE(data_ready__kprobe, struct sock *sk)
{
	return socket_ready(ctx, COPIED, sk);
}

/* ---- udp_queue, raw_queue: a protocol is about to queue a packet for a socket ------------------ */

SEC("fentry/__udp_enqueue_schedule_skb")
int BPF_PROG(udp_queue__fentry, struct sock *sk, struct sk_buff *skb)
{
	return udp_queueing(TYPED, (__u64)sk, skb);
}

SEC("kprobe/__udp_enqueue_schedule_skb")
int BPF_KPROBE(udp_queue__kprobe, struct sock *sk, struct sk_buff *skb)
{
	return udp_queueing(COPIED, (__u64)sk, skb);
}

SEC("fentry/__sock_queue_rcv_skb")
int BPF_PROG(raw_queue__fentry, struct sock *sk, struct sk_buff *skb)
{
	return raw_queueing(TYPED, sk, skb);
}

SEC("kprobe/__sock_queue_rcv_skb")
int BPF_KPROBE(raw_queue__kprobe, struct sock *sk, struct sk_buff *skb)
{
	return raw_queueing(COPIED, sk, skb);
}

/* ---- tcp_segment: a socket starts on a segment, or is about to queue it ------------------------ */

SEC("fentry/tcp_queue_rcv")
int BPF_PROG(tcp_segment__fentry, struct sock *sk, struct sk_buff *skb)
{
	return tcp_segment(TYPED, sk, (__u64)skb);
}

SEC("kprobe/tcp_queue_rcv")
int BPF_KPROBE(tcp_segment__kprobe, struct sock *sk, struct sk_buff *skb)
{
	return tcp_segment(COPIED, sk, (__u64)skb);
}

SEC("tp_btf/tcp_probe")
int BPF_PROG(tcp_segment__tp_btf, struct sock *sk, struct sk_buff *skb)
{
	return tcp_segment(TYPED, sk, (__u64)skb);
}

SEC("raw_tp/tcp_probe")
int BPF_PROG(tcp_segment__raw_tp, struct sock *sk, struct sk_buff *skb)
{
	return tcp_segment(COPIED, sk, (__u64)skb);
}

/* The classic tracepoint names both only from 6.8 on. */
SEC("tp/tcp/tcp_probe")
int tcp_segment__tp(struct trace_event_raw_tcp_probe *ctx)
{
	return tcp_segment(COPIED, ctx->skaddr, (__u64)ctx->skbaddr);
}

/* ---- tcp_data: a socket looks where a segment belongs ------------------------------------------ */

SEC("fentry/tcp_data_queue")
int BPF_PROG(tcp_data__fentry_cast, struct sock *sk, struct sk_buff *skb)
{
	return tcp_data(CAST, sk, skb);
}

SEC("fentry/tcp_data_queue")
int BPF_PROG(tcp_data__fentry, struct sock *sk, struct sk_buff *skb)
{
	return tcp_data(TYPED, sk, skb);
}

SEC("kprobe/tcp_data_queue")
int BPF_KPROBE(tcp_data__kprobe, struct sock *sk, struct sk_buff *skb)
{
	return tcp_data(COPIED, sk, skb);
}

/* ---- drop: a packet is thrown away ------------------------------------------------------------- */

/* Its third argument, the reason, is there since 5.17 only. */
#define DROP_REASON(ctx) \
	(bpf_core_enum_value_exists(enum skb_drop_reason, SKB_DROP_REASON_NO_SOCKET) ? (__u32)(ctx)[2] : 0)

SEC("tp_btf/kfree_skb")
int BPF_PROG(drop__tp_btf_cast, struct sk_buff *skb, void *location)
{
	return packet_dropped(ctx, CAST, skb, (__u64)location, DROP_REASON(ctx));
}

SEC("tp_btf/kfree_skb")
int BPF_PROG(drop__tp_btf, struct sk_buff *skb, void *location)
{
	return packet_dropped(ctx, TYPED, skb, (__u64)location, DROP_REASON(ctx));
}

SEC("raw_tp/kfree_skb")
int BPF_PROG(drop__raw_tp, struct sk_buff *skb, void *location)
{
	return packet_dropped(ctx, COPIED, skb, (__u64)location, DROP_REASON(ctx));
}

SEC("tp/skb/kfree_skb")
int drop__tp(struct trace_event_raw_kfree_skb *ctx)
{
	__u32 reason = 0;

	if (bpf_core_field_exists(ctx->reason))
		reason = ctx->reason;
	return packet_dropped(ctx, COPIED, ctx->skbaddr, (__u64)ctx->location, reason);
}

#endif
