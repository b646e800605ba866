/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Programs on interrupts, softirqs and NAPI polls.
 */
#ifndef RXSCOPE_HOOKS_INTERRUPTS_H
#define RXSCOPE_HOOKS_INTERRUPTS_H

#include "dispatch.h"

/* ---- irq_handler_entry, irq_handler_exit, softirq_raise: a device interrupts, and leaves work --- */

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
	return irq_exited(ctx, TYPED, action, result);
}

SEC("raw_tp/irq_handler_exit")
int BPF_PROG(irq_handler_exit__raw_tp, int irq, struct irqaction *action, int result)
{
	return irq_exited(ctx, COPIED, action, result);
}

SEC("tp/irq/irq_handler_exit")
int irq_handler_exit__tp(void *ctx)
{
	return irq_exited(ctx, COPIED, 0, 0);
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

/* ---- softirq_entry, softirq_exit: which most probes need -------------------------------------- */

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
	return softirq_exited(ctx, vector);
}

SEC("raw_tp/softirq_exit")
int BPF_PROG(softirq_exit__raw_tp, unsigned int vector)
{
	return softirq_exited(ctx, vector);
}

SEC("tp/irq/softirq_exit")
int softirq_exit__tp(struct trace_event_raw_softirq *ctx)
{
	return softirq_exited(ctx, ctx->vec);
}

/* ---- napi_poll, napi_poll_begin: a NAPI is polled ---------------------------------------------- */

SEC("tp_btf/napi_poll")
int BPF_PROG(napi_poll__tp_btf, struct napi_struct *napi, int work, int budget)
{
	return poll_ended(ctx, TYPED, napi, work, budget);
}

SEC("raw_tp/napi_poll")
int BPF_PROG(napi_poll__raw_tp, struct napi_struct *napi, int work, int budget)
{
	return poll_ended(ctx, COPIED, napi, work, budget);
}

SEC("tp/napi/napi_poll")
int napi_poll__tp(struct trace_event_raw_napi_poll *ctx)
{
	return poll_ended(ctx, COPIED, ctx->napi, ctx->work, ctx->budget);
}

SEC("fentry/__napi_poll")
int BPF_PROG(napi_poll_begin__fentry)
{
	return poll_begins();
}

SEC("kprobe/__napi_poll")
int BPF_KPROBE(napi_poll_begin__kprobe)
{
	return poll_begins();
}

#endif
