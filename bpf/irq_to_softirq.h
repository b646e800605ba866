/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * irq_to_softirq: entry of the device interrupt handler that raised NET_RX -> entry of the NET_RX
 * softirq that serves it on that CPU.
 *
 * A raise counts only between a handler's entry and exit on its CPU: that rules out loopback, RPS
 * interrupts, the budget's re-raise and process context, and a disk interrupt that merely came
 * before. Handlers of one CPU do not nest. The kernel raises nothing when an interrupt schedules
 * NAPI inside a running net_rx_action (since 6.4): that work has no wait to measure.
 *
 * Where the handler runs in a thread (PREEMPT_RT, threadirqs), the tracepoints bracket only what wakes
 * that thread, and the raise comes from the thread, perhaps on another CPU. It is followed there by
 * the thread's address: from the interrupt's entry to the NET_RX run that its thread raised. The wait
 * of the thread is a part of it. The classic tracepoints do not tell the thread: on them such
 * interrupts yield nothing.
 */
#ifndef RXSCOPE_IRQ_TO_SOFTIRQ_H
#define RXSCOPE_IRQ_TO_SOFTIRQ_H

#include "irq_slot.h"

/* The interrupt that woke a thread which handles it. */
struct thread_irq {
	__u64 irq_ns;		/* 0 when it has been followed to a raise */
	__u64 irq;
};
#define THREAD_IRQS 4096

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, THREAD_IRQS);
	__type(key, __u64);			/* address of the thread's task_struct */
	__type(value, struct thread_irq);
} thread_irqs SEC(".maps");

/* Has any interrupt been handled by a thread yet? */
bool irq_threads_seen = false;

/* The handler leaves its work to this thread. */
static __always_inline void irq_left_to_thread(const struct cpu_state *s, __u64 task,
					       unsigned long thread_flags)
{
	struct thread_irq now = { .irq_ns = s->irq_ns, .irq = s->irq };
	struct thread_irq *t = bpf_map_lookup_elem(&thread_irqs, &task);

	if (!t) {
		bpf_map_update_elem(&thread_irqs, &task, &now, BPF_ANY);
		irq_threads_seen = true;
		return;
	}
	/* The thread was woken by an earlier interrupt and has not begun: the oldest wins. */
	if (t->irq_ns && (thread_flags & IRQ_THREAD_PENDING))
		return;
	*t = now;
}

/* The interrupt behind a raise that this CPU makes now: its own, or that which woke this thread. */
static __always_inline __u64 irq_behind(struct cpu_state *s, __u32 *irq)
{
	struct thread_irq *t;
	__u64 task, irq_ns;

	*irq = s->irq;
	if (s->irq_ns || !irq_threads_seen)
		return s->irq_ns;
	task = bpf_get_current_task();
	t = bpf_map_lookup_elem(&thread_irqs, &task);
	if (!t)
		return 0;
	*irq = t->irq;
	irq_ns = t->irq_ns;
	t->irq_ns = 0;
	return irq_ns;
}

/* NET_RX is raised, by whatever runs here. */
static __always_inline void net_rx_raised(struct cpu_state *s)
{
	__u64 irq_ns;
	__u32 irq;

	irq_ns = irq_behind(s, &irq);
	/* Raised outside a device interrupt: loopback, RPS, re-raise. No observation of this probe. */
	if (!irq_ns)
		return;
	/* An earlier interrupt still waits: the oldest wins, and this one is served with it. */
	if (s->raised_ns) {
		flawed(s, IRQ_TO_SOFTIRQ, IRQ_TO_SOFTIRQ_ALREADY_RAISED, false);
		return;
	}
	s->raised_ns = irq_ns;
	s->raised_irq = irq;
}

/* A NET_RX softirq starts: it serves the oldest raise, if a device interrupt made it. */
static __always_inline void irq_served(void *ctx, struct cpu_state *s, __u64 now)
{
	__u64 from_ns = s->raised_ns;
	struct context about = {};

	/* It came when this run, which serves it too, had begun: its raise is for nothing. */
	if (from_ns > now) {
		s->raised_ns = 0;
		flawed(s, IRQ_TO_SOFTIRQ, IRQ_TO_SOFTIRQ_ALREADY_RAISED, false);
		from_ns = 0;
	}
	s->served_irq_ns = from_ns;
	if (!from_ns)
		return;
	s->served_irq = s->raised_irq;
	s->raised_ns = 0;
	if (!observe(s, IRQ_TO_SOFTIRQ, irq_slot(s, s->served_irq), from_ns, now, false))
		return;
	about.probe = IRQ_TO_SOFTIRQ;
	about.from_ns = from_ns;
	about.until_ns = now;
	about.key = s->served_irq;
	about.protocol = PROTOCOL_OTHER;
	about.in_softirq = 1;
	send(ctx, s, &about);
}

#endif
