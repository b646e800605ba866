/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * hardirq_duration: entry of a device interrupt's handler -> its exit. A timer's interrupt is no
 * device's. Handlers that share an interrupt are measured one by one. Where the handler only wakes a
 * thread (PREEMPT_RT, threadirqs), that is all that is measured here.
 */
#ifndef RXSCOPE_HARDIRQ_DURATION_H
#define RXSCOPE_HARDIRQ_DURATION_H

#include "irq_slot.h"

static __always_inline void irq_lasted(void *ctx, struct cpu_state *s)
{
	__u64 from_ns = s->irq_ns, now;
	struct context about = {};

	if (!from_ns)
		return;
	now = bpf_ktime_get_ns();
	/* Only this handler touches these counters, and handlers of a CPU do not nest. */
	if (!observe(s, HARDIRQ_DURATION, irq_slot(s, s->irq), from_ns, now, false))
		return;
	about.probe = HARDIRQ_DURATION;
	about.from_ns = from_ns;
	about.until_ns = now;
	about.key = s->irq;
	about.protocol = PROTOCOL_OTHER;
	send(ctx, s, &about);
}

#endif
