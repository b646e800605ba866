/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * softirq_to_socket: entry of the NET_RX softirq -> a packet received in that run, on that CPU, is
 * on a socket's receive queue and the socket is told. It contains the packet's wait behind its
 * batch: that is its use.
 *
 * A packet that took another way to its socket is no sample but is accounted for: from the socket's
 * backlog (a process held the lock), or received outside any NET_RX run (threaded NAPI, busy poll).
 * Where a CPU's backlog has a thread (6.12 on PREEMPT_RT), so has what RPS sends there. Its own flaws
 * are the origins; ORIGIN_SOFTIRQ stands for the socket's backlog.
 */
#ifndef RXSCOPE_SOFTIRQ_TO_SOCKET_H
#define RXSCOPE_SOFTIRQ_TO_SOCKET_H

#include "observe.h"

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

/* Accounts for a packet that is on its socket's queue; true when user space is to hear of it. */
static __always_inline bool softirq_to_socket(struct cpu_state *s, enum origin origin,
					      __u64 received_ns, __u64 queued_ns, __u32 histogram,
					      bool shared)
{
	if (origin == ORIGIN_SOFTIRQ && in_net_rx(s) && received_ns >= s->softirq_ns)
		return observe(s, SOFTIRQ_TO_SOCKET, histogram, s->softirq_ns, queued_ns, shared);
	flawed(s, SOFTIRQ_TO_SOCKET, FLAW_OWN + (origin & (ORIGINS_ALL - 1)), shared);
	return false;
}

#endif
