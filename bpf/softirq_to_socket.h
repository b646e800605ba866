/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * softirq_to_socket: entry of the NET_RX softirq -> a packet received in that run, on that CPU, is
 * on a socket's receive queue and the socket is told. It contains the packet's wait behind its
 * batch: that is its use.
 *
 * A packet that took another way to its socket is no sample but is accounted for: from the socket's
 * backlog (a process held the lock), or received outside any NET_RX run (threaded NAPI, busy poll).
 * Where a CPU's backlog has a thread (6.12 on PREEMPT_RT), so has what RPS sends there. Its own flaws
 * are the origins of running.h; ORIGIN_SOFTIRQ stands for the socket's backlog.
 */
#ifndef RXSCOPE_SOFTIRQ_TO_SOCKET_H
#define RXSCOPE_SOFTIRQ_TO_SOCKET_H

#include "observe.h"

/* Its flaw of an origin. */
#define ORIGIN_FLAW(origin) (FLAW_OWN + (origin))
_Static_assert(ORIGIN_FLAW(ORIGIN_OUTSIDE_SOFTIRQ) == SOFTIRQ_TO_SOCKET_OUTSIDE_SOFTIRQ, "");
_Static_assert(ORIGIN_FLAW(ORIGIN_SOFTIRQ) == SOFTIRQ_TO_SOCKET_SOCKET_BACKLOG, "");
_Static_assert(ORIGIN_FLAW(ORIGIN_THREADED_NAPI) == SOFTIRQ_TO_SOCKET_THREADED_NAPI, "");
_Static_assert(ORIGIN_FLAW(ORIGIN_BUSY_POLL) == SOFTIRQ_TO_SOCKET_BUSY_POLL, "");
_Static_assert(ORIGIN_FLAW(ORIGIN_MIDWAY) == SOFTIRQ_TO_SOCKET_ATTACHED_MIDWAY, "");

/* Accounts for a packet that is on its socket's queue; true when user space is to hear of it. */
static __always_inline bool softirq_to_socket(struct cpu_state *s, enum origin origin,
					      __u64 received_ns, __u64 queued_ns, __u32 histogram,
					      bool shared)
{
	if (origin == ORIGIN_SOFTIRQ && in_net_rx(s) && received_ns >= s->softirq_ns)
		return observe(s, SOFTIRQ_TO_SOCKET, histogram, s->softirq_ns, queued_ns, shared);
	flawed(s, SOFTIRQ_TO_SOCKET, ORIGIN_FLAW(origin & (ORIGINS_ALL - 1)), shared);
	return false;
}

#endif
