/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * wakeup_to_run: a task that slept is woken because a socket has data for it -> it runs on a CPU. Its
 * scheduling, and the time that a CPU takes to leave a power state.
 *
 * The socket tells its readers from within its data-ready callback: the first task that is woken on that
 * CPU afterwards, in the same softirq and before the next packet, is taken for its reader, be it asleep
 * in recv, poll or epoll. A callback without a wake-up (the reader is running) ends there. What a process
 * delivers from the socket's backlog is left out: nothing tells there where the callback ends. A task
 * that was still on its way to sleep never left its CPU: no sample.
 */
#ifndef RXSCOPE_WAKEUP_TO_RUN_H
#define RXSCOPE_WAKEUP_TO_RUN_H

#include "tcp_table.h"

/* A task that a socket has woken. Found by its task_struct's address. */
struct woken {
	__u64 task;
	__u64 since_ns;
	__u64 meta;		/* port << 8 | protocol */
};
#define WOKEN_TASKS 4096

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WOKEN_TASKS);
	__type(key, __u32);
	__type(value, struct woken);
} woken_tasks SEC(".maps");

static __always_inline struct woken *woken_of(__u64 task)
{
	__u32 place = hash_address(task, WOKEN_TASKS);

	return bpf_map_lookup_elem(&woken_tasks, &place);
}

/* A socket is being told of data, in a softirq. */
static __always_inline void telling(struct cpu_state *s, __u32 protocol, __u32 port)
{
	if (!in_net_rx(s))
		return;
	s->telling_port = port;
	s->telling = protocol + 1;
}

/* A task that has slept may stay on its run queue, only marked (kernel/sched/fair.c, DELAY_DEQUEUE). */
static __always_inline bool has_slept(enum access access, const struct task_struct *task)
{
	if (!LOAD_NUMBER(access, task, on_rq))
		return true;
	return bpf_core_field_exists(task->se.sched_delayed) &&
	       LOAD_NUMBER(access, task, se.sched_delayed);
}

/* sched_waking */
static __always_inline int task_waking(enum access access, const struct task_struct *task)
{
	struct cpu_state *s = this_cpu();
	__u32 protocol;
	struct woken *w;

	/* Another device's handler, which interrupted the softirq, may wake tasks of its own. */
	if (!s || !s->telling || s->irq_ns || !in_net_rx(s))
		return 0;
	protocol = s->telling - 1;
	s->telling = 0;
	w = woken_of((__u64)task);
	if (!w)
		return 0;
	if (!has_slept(access, task)) {
		flawed(s, WAKEUP_TO_RUN, WAKEUP_TO_RUN_AWAKE, false);
		return 0;
	}
	if (w->task)
		flawed(s, WAKEUP_TO_RUN,
		       w->task == (__u64)task ? WAKEUP_TO_RUN_UNSEEN : WAKEUP_TO_RUN_TABLE_FULL, false);
	w->since_ns = bpf_ktime_get_ns();
	w->meta = (__u64)s->telling_port << 8 | protocol;
	barrier();
	w->task = (__u64)task;
	return 0;
}

/* sched_switch: this task runs next. */
static __always_inline int task_runs(void *ctx, __u64 task)
{
	struct woken *w = woken_of(task);
	struct context about = {};
	__u64 from_ns, meta, now;
	struct cpu_state *s;

	if (!w || w->task != task)
		return 0;
	from_ns = w->since_ns;
	meta = w->meta;
	w->task = 0;
	s = this_cpu();
	if (!s)
		return 0;
	now = bpf_ktime_get_ns();
	about.protocol = meta & 3;
	if (!observe(s, WAKEUP_TO_RUN, about.protocol, from_ns, now, true))
		return 0;
	about.probe = WAKEUP_TO_RUN;
	about.from_ns = from_ns;
	about.until_ns = now;
	about.local_port = meta >> 8;
	send(ctx, s, &about);
	return 0;
}

#endif
