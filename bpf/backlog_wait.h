/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * backlog_wait: a packet is put on a CPU's backlog -> that CPU hands it to the protocols
 * (netif_receive_skb). Loopback, veth and tunnels go that way, and what RPS sends to another CPU.
 *
 * Begins at enqueue_to_backlog where functions can be hooked. Elsewhere at netif_rx, which has loopback,
 * veth and tunnels, with RPS or without; what RPS moves from a card's NAPI is then not seen. A packet that
 * came another way has no entry here and is none of this probe's. Packets are found again by skb and by
 * length, since a buffer may be freed on the way (generic XDP) and used again.
 */
#ifndef RXSCOPE_BACKLOG_WAIT_H
#define RXSCOPE_BACKLOG_WAIT_H

#include "packet.h"
#include "wait_table.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WAIT_SETS);
	__type(key, __u32);
	__type(value, struct wait_set);
} backlog_packets SEC(".maps");

static __always_inline int backlog_entered(enum access access, const struct sk_buff *skb)
{
	struct cpu_state *s = this_cpu();
	enum replaced replaced;

	if (!s)
		return 0;
	replaced = wait_begin(&backlog_packets, (__u64)skb, 0, bpf_ktime_get_ns(),
			      LOAD(access, skb, len));
	if (replaced == REPLACED_SAME)
		flawed(s, BACKLOG_WAIT, BACKLOG_WAIT_LOST, true);
	else if (replaced == REPLACED_OLDEST)
		flawed(s, BACKLOG_WAIT, BACKLOG_WAIT_TABLE_FULL, true);
	return 0;
}

/* netif_receive_skb: was it on a backlog? */
static __always_inline void backlog_left(void *ctx, struct cpu_state *s, enum access access,
					 const struct sk_buff *skb, __u64 now)
{
	bool shared = !in_net_rx(s);
	struct context about = {};
	struct waiting w;
	__u32 slot;

	if (!wait_end(&backlog_packets, (__u64)skb, 0, &w))
		return;
	about.length = LOAD(access, skb, len);
	if (w.meta != about.length) {
		flawed(s, BACKLOG_WAIT, BACKLOG_WAIT_LOST, true);
		return;
	}
	slot = device_slot(s, access, LOAD(access, skb, dev), &about.key);
	if (!observe(s, BACKLOG_WAIT, slot, w.since_ns, now, shared))
		return;
	about.probe = BACKLOG_WAIT;
	about.from_ns = w.since_ns;
	about.until_ns = now;
	about.device_slot = slot;
	about.protocol = PROTOCOL_OTHER;
	about.in_softirq = !shared;
	send(ctx, s, &about);
}

/* kfree_skb */
static __always_inline void backlog_dropped(struct cpu_state *s, __u64 skb)
{
	if (wait_forget(&backlog_packets, skb))
		flawed(s, BACKLOG_WAIT, BACKLOG_WAIT_DROPPED, true);
}

#endif
