/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Who runs here: on which CPU, in a run of the NET_RX softirq, in a thread that polls a NAPI, or in a process.
 */
#ifndef RXSCOPE_RUNNING_H
#define RXSCOPE_RUNNING_H

#include "state.h"

static __always_inline struct cpu_state *this_cpu(void)
{
	__u32 cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&cpus, &cpu);
}

/*
 * Is this code part of the NET_RX run in progress on this CPU? On PREEMPT_RT that run is a task's, and
 * whatever runs meanwhile on its CPU may be another.
 */
static __always_inline bool in_net_rx(const struct cpu_state *s)
{
	return s->softirq_ns && (!preempt_rt || s->softirq_task == bpf_get_current_task());
}

/* Beginnings of names, as numbers: BPF has no memcmp. */
#define NAPI_SLASH 0x2f6970616eULL		/* "napi/" */
#define NAPI_SLASH_MASK 0xffffffffffULL
#define BACKLOG_NAPI 0x5f676f6c6b636162ULL	/* "backlog_" */

/* Does the thread that polls a NAPI run here? They are called napi/<device>-<id>, backlog_napi/<cpu>. */
static __always_inline bool is_napi_thread(void)
{
	__u64 comm[2];

	if (bpf_get_current_comm(comm, sizeof(comm)))
		return false;
	return (comm[0] & NAPI_SLASH_MASK) == NAPI_SLASH || comm[0] == BACKLOG_NAPI;
}

/* Outside a softirq, only what a NAPI hands over bears its number: tun and the like poll none. */
static __always_inline bool came_from_napi(enum access access, const struct sk_buff *skb)
{
	return bpf_core_field_exists(skb->napi_id) && LOAD(access, skb, napi_id);
}

/*
 * Does nothing but the handling of received packets happen here, one after the other? Not so in a process
 * that also does other things with its sockets, nor where tasks preempt each other in the middle.
 */
static __always_inline bool in_order(const struct cpu_state *s)
{
	return !preempt_rt && (in_net_rx(s) || is_napi_thread());
}

/* Who works on a segment here: a run of NET_RX, by its time of entry, or a process, by its task. */
static __always_inline __u64 worker(const struct cpu_state *s)
{
	return in_net_rx(s) ? s->softirq_ns : bpf_get_current_task();
}

/* Where a packet was received. */
enum origin {
	ORIGIN_OUTSIDE_SOFTIRQ,	/* tun and the like */
	ORIGIN_SOFTIRQ,
	ORIGIN_THREADED_NAPI,	/* by a thread that polls a NAPI, or the backlog */
	ORIGIN_BUSY_POLL,	/* by a process that polls its NAPI while it waits */
	ORIGIN_MIDWAY,		/* no NET_RX entry has been seen on this CPU yet */
	ORIGINS_ALL = 8,	/* a power of two that holds them */
};

static __always_inline enum origin origin_here(const struct cpu_state *s, enum access access,
					       const struct sk_buff *skb)
{
	if (in_net_rx(s))
		return ORIGIN_SOFTIRQ;
	if (is_napi_thread())
		return ORIGIN_THREADED_NAPI;
	if (!s->seen_entry)
		return ORIGIN_MIDWAY;
	return came_from_napi(access, skb) ? ORIGIN_BUSY_POLL : ORIGIN_OUTSIDE_SOFTIRQ;
}

#endif
