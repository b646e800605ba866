// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The hooks: one program for each kernel event and each way of attaching to it. The probes' own
 * logic is in the header that bears the probe's name; several probes share a hook, and one program
 * serves them all, because entering a program costs more than most of what it does.
 *
 * A program is called <hook>__<rung>. src/capture/hooks.ts lists the rungs in order of preference;
 * one of each hook is loaded. They differ in how they are attached and in how they reach the kernel's
 * memory (enum access), which LOAD() hides.
 */
#include "kernel.h"
#include "irq_to_softirq.h"
#include "receive_to_socket.h"
#include "softirq_to_socket.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* ---- irq_handler_entry, irq_handler_exit, softirq_raise: irq_to_softirq --------------------- */

SEC("tp_btf/irq_handler_entry")
int BPF_PROG(irq_handler_entry__tp_btf, int irq, struct irqaction *action)
{
	return irq_entered(irq, LOAD(TYPED, action, flags));
}

SEC("raw_tp/irq_handler_entry")
int BPF_PROG(irq_handler_entry__raw_tp, int irq, struct irqaction *action)
{
	return irq_entered(irq, LOAD(COPIED, action, flags));
}

/* The classic tracepoint does not tell a timer's interrupt from a device's: NET_RX does. */
SEC("tp/irq/irq_handler_entry")
int irq_handler_entry__tp(struct trace_event_raw_irq_handler_entry *ctx)
{
	return irq_entered(ctx->irq, 0);
}

SEC("tp_btf/irq_handler_exit")
int BPF_PROG(irq_handler_exit__tp_btf, int irq, struct irqaction *action, int result)
{
	return irq_exited(TYPED, action, result);
}

SEC("raw_tp/irq_handler_exit")
int BPF_PROG(irq_handler_exit__raw_tp, int irq, struct irqaction *action, int result)
{
	return irq_exited(COPIED, action, result);
}

SEC("tp/irq/irq_handler_exit")
int irq_handler_exit__tp(void *ctx)
{
	return irq_exited(COPIED, 0, 0);
}

SEC("tp_btf/softirq_raise")
int BPF_PROG(softirq_raise__tp_btf, unsigned int vector)
{
	return softirq_raised(vector);
}

SEC("raw_tp/softirq_raise")
int BPF_PROG(softirq_raise__raw_tp, unsigned int vector)
{
	return softirq_raised(vector);
}

SEC("tp/irq/softirq_raise")
int softirq_raise__tp(struct trace_event_raw_softirq *ctx)
{
	return softirq_raised(ctx->vec);
}

/* ---- softirq_entry, softirq_exit: all three probes ------------------------------------------- */

static __always_inline int softirq_entered(void *ctx, unsigned int vector)
{
	struct cpu_state *s;
	__u64 now;

	if (vector != NET_RX_SOFTIRQ)
		return 0;
	s = this_cpu();
	if (!s)
		return 0;
	now = bpf_ktime_get_ns();
	/* Packets received outside a softirq since the last run: their handling is over. */
	if (s->ring_head != s->ring_tail)
		leave_until(s, s->ring_tail);
	s->softirq_ns = now;
	s->seen_entry = 1;
	if (preempt_rt)
		s->softirq_task = bpf_get_current_task();
	if (irq_to_softirq_on)
		irq_served(ctx, s, now);
	return 0;
}

static __always_inline int softirq_exited(unsigned int vector)
{
	struct cpu_state *s;

	if (vector != NET_RX_SOFTIRQ)
		return 0;
	s = this_cpu();
	if (!s)
		return 0;
	if (s->ring_head != s->ring_tail)
		leave_until(s, s->ring_tail);
	s->softirq_ns = 0;
	return 0;
}

SEC("tp_btf/softirq_entry")
int BPF_PROG(softirq_entry__tp_btf, unsigned int vector)
{
	return softirq_entered(ctx, vector);
}

SEC("raw_tp/softirq_entry")
int BPF_PROG(softirq_entry__raw_tp, unsigned int vector)
{
	return softirq_entered(ctx, vector);
}

SEC("tp/irq/softirq_entry")
int softirq_entry__tp(struct trace_event_raw_softirq *ctx)
{
	return softirq_entered(ctx, ctx->vec);
}

SEC("tp_btf/softirq_exit")
int BPF_PROG(softirq_exit__tp_btf, unsigned int vector)
{
	return softirq_exited(vector);
}

SEC("raw_tp/softirq_exit")
int BPF_PROG(softirq_exit__raw_tp, unsigned int vector)
{
	return softirq_exited(vector);
}

SEC("tp/irq/softirq_exit")
int softirq_exit__tp(struct trace_event_raw_softirq *ctx)
{
	return softirq_exited(ctx->vec);
}

/* ---- receive: a packet enters the protocols --------------------------------------------------- */

SEC("tp_btf/netif_receive_skb")
int BPF_PROG(receive__tp_btf_cast, struct sk_buff *skb)
{
	return packet_received(CAST, skb);
}

SEC("tp_btf/netif_receive_skb")
int BPF_PROG(receive__tp_btf, struct sk_buff *skb)
{
	return packet_received(TYPED, skb);
}

SEC("raw_tp/netif_receive_skb")
int BPF_PROG(receive__raw_tp, struct sk_buff *skb)
{
	return packet_received(COPIED, skb);
}

SEC("tp/net/netif_receive_skb")
int receive__tp(struct trace_event_raw_net_dev_template *ctx)
{
	return packet_received(COPIED, ctx->skbaddr);
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
	return raw_queueing(TYPED, (__u64)sk, skb);
}

SEC("kprobe/__sock_queue_rcv_skb")
int BPF_KPROBE(raw_queue__kprobe, struct sock *sk, struct sk_buff *skb)
{
	return raw_queueing(COPIED, (__u64)sk, skb);
}

/* ---- tcp_segment: a socket starts on a segment, or is about to queue it ------------------------ */

SEC("fentry/tcp_queue_rcv")
int BPF_PROG(tcp_segment__fentry, struct sock *sk, struct sk_buff *skb)
{
	return tcp_segment((__u64)sk, (__u64)skb);
}

SEC("kprobe/tcp_queue_rcv")
int BPF_KPROBE(tcp_segment__kprobe, struct sock *sk, struct sk_buff *skb)
{
	return tcp_segment((__u64)sk, (__u64)skb);
}

SEC("tp_btf/tcp_probe")
int BPF_PROG(tcp_segment__tp_btf, struct sock *sk, struct sk_buff *skb)
{
	return tcp_segment((__u64)sk, (__u64)skb);
}

SEC("raw_tp/tcp_probe")
int BPF_PROG(tcp_segment__raw_tp, struct sock *sk, struct sk_buff *skb)
{
	return tcp_segment((__u64)sk, (__u64)skb);
}

/* The classic tracepoint names both only from 6.8 on. */
SEC("tp/tcp/tcp_probe")
int tcp_segment__tp(struct trace_event_raw_tcp_probe *ctx)
{
	return tcp_segment((__u64)ctx->skaddr, (__u64)ctx->skbaddr);
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

/* 5.17, c504e5c2f964 ("net: skb: introduce kfree_skb_reason()"): before it there is no reason. */
static __always_inline bool is_no_socket(__u64 reason)
{
	return reason == bpf_core_enum_value(enum skb_drop_reason, SKB_DROP_REASON_NO_SOCKET);
}

SEC("tp_btf/kfree_skb")
int BPF_PROG(drop__tp_btf, struct sk_buff *skb)
{
	bool no_socket = false;

	if (bpf_core_enum_value_exists(enum skb_drop_reason, SKB_DROP_REASON_NO_SOCKET))
		no_socket = is_no_socket((__u32)ctx[2]);
	return packet_dropped((__u64)skb, no_socket);
}

SEC("raw_tp/kfree_skb")
int BPF_PROG(drop__raw_tp, struct sk_buff *skb)
{
	bool no_socket = false;

	if (bpf_core_enum_value_exists(enum skb_drop_reason, SKB_DROP_REASON_NO_SOCKET))
		no_socket = is_no_socket((__u32)ctx[2]);
	return packet_dropped((__u64)skb, no_socket);
}

SEC("tp/skb/kfree_skb")
int drop__tp(struct trace_event_raw_kfree_skb *ctx)
{
	bool no_socket = false;

	if (bpf_core_field_exists(ctx->reason))
		no_socket = is_no_socket(ctx->reason);
	return packet_dropped((__u64)ctx->skbaddr, no_socket);
}
