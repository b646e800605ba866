/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * softirq_duration: entry of a softirq's handler -> its exit, by vector. Interrupts that come meanwhile
 * are a part of it. Handlers of one CPU do not nest, on PREEMPT_RT neither.
 */
#ifndef RXSCOPE_SOFTIRQ_DURATION_H
#define RXSCOPE_SOFTIRQ_DURATION_H

#include "observe.h"

static __always_inline void vector_exited(void *ctx, struct cpu_state *s, __u32 vector)
{
	__u64 from_ns = s->entered_ns, now = bpf_ktime_get_ns();
	struct context about = {};

	vector &= VECTORS_ALL - 1;
	s->entered_ns = 0;
	/* It was running when we attached. */
	if (!from_ns)
		return;
	if (!observe(s, SOFTIRQ_DURATION, vector, from_ns, now, false))
		return;
	about.probe = SOFTIRQ_DURATION;
	about.from_ns = from_ns;
	about.until_ns = now;
	about.key = vector;
	about.protocol = PROTOCOL_OTHER;
	about.in_softirq = in_net_rx(s);
	send(ctx, s, &about);
}

#endif
