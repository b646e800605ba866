/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * softirq_raise_to_entry: the first unserved raise of a softirq vector on a CPU -> the entry of that
 * vector's handler there. Whoever raised it: an interrupt, a process, another softirq, or the same one
 * that ran out of budget.
 *
 * The kernel raises into a mask of pending vectors and clears it before it runs the handlers: further
 * raises until then ask for nothing more, so the oldest wins. A raise while the vector's handler runs
 * belongs to the next run. What schedules NAPI inside a running net_rx_action raises nothing (since
 * 6.4) and has no wait to measure.
 */
#ifndef RXSCOPE_SOFTIRQ_RAISE_TO_ENTRY_H
#define RXSCOPE_SOFTIRQ_RAISE_TO_ENTRY_H

#include "observe.h"

static __always_inline void vector_raised(struct cpu_state *s, __u32 vector)
{
	__u64 *raised_ns = &s->vector_raised_ns[vector & (VECTORS_ALL - 1)];

	if (!*raised_ns)
		*raised_ns = bpf_ktime_get_ns();
}

static __always_inline void vector_entered(void *ctx, struct cpu_state *s, __u32 vector, __u64 now)
{
	struct context about = {};
	__u64 from_ns;

	vector &= VECTORS_ALL - 1;
	from_ns = s->vector_raised_ns[vector];
	s->vector_raised_ns[vector] = 0;
	if (!from_ns) {
		flawed(s, SOFTIRQ_RAISE_TO_ENTRY, SOFTIRQ_RAISE_TO_ENTRY_NO_RAISE, false);
		return;
	}
	if (!observe(s, SOFTIRQ_RAISE_TO_ENTRY, vector, from_ns, now, false))
		return;
	about.probe = SOFTIRQ_RAISE_TO_ENTRY;
	about.from_ns = from_ns;
	about.until_ns = now;
	about.key = vector;
	about.protocol = PROTOCOL_OTHER;
	send(ctx, s, &about);
}

#endif
