/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * drops: packets that kfree_skb threw away on the receive path, by reason and device. Consumed packets
 * are none: another tracepoint has them.
 *
 * A packet was on the receive path if any of these holds:
 *   - it has passed netif_receive_skb (skb_iif is set), and a protocol has taken its network header off or
 *     it is not on its way out of another device
 *   - it has not come so far, and its link header has been taken off: a driver or a backlog dropped it
 *   - it was dropped because a backlog was full: some devices have no link header
 * All others are counted together, as dropped on transmit. What is still on a socket's queue when that is
 * closed is dropped there, too, although it was delivered.
 *
 * The reason is the kernel's number, which user space names from the kernel's own types. Before 5.17
 * there is none, and the lower half of the code's address stands for it.
 */
#ifndef RXSCOPE_DROPS_H
#define RXSCOPE_DROPS_H

#include "observe.h"
#include "packet.h"

/* Drops of one device on one CPU, by the slot of their reason. */
struct drop_row {
	__u64 packets[REASONS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);			/* possible CPUs × device slots */
	__type(key, __u32);
	__type(value, struct drop_row);
} drops SEC(".maps");

/* What was dropped, where, and why; where the packet was under way, also from which device. */
struct drop {
	__u64 location;
	__u32 reason;
	bool known;		/* it was under way: device_slot and ifindex are right */
	__u32 device_slot;
	__u32 ifindex;
};

/*
 * UDP writes its lengths over skb->dev, TCP a zero, and both TCP and the reassembly of fragments the links
 * of a tree, which look like a pointer. So a device is believed only where nobody can have done that, or
 * where it is the one that the packet came from.
 */
static __always_inline bool is_address(__u64 dev)
{
	return (__s64)dev < 0;
}

static __always_inline bool is_backlog_full(__u32 reason)
{
	return bpf_core_enum_value_exists(enum skb_drop_reason, SKB_DROP_REASON_CPU_BACKLOG) &&
	       reason == bpf_core_enum_value(enum skb_drop_reason, SKB_DROP_REASON_CPU_BACKLOG);
}

static __always_inline bool was_received(enum access access, const struct sk_buff *skb, __u32 reason)
{
	const struct net_device *dev = LOAD(access, skb, dev);
	__u64 data = (__u64)LOAD(access, skb, data) - (__u64)LOAD(access, skb, head);
	__u32 iif = LOAD(access, skb, skb_iif);

	if (iif && data > LOAD(access, skb, network_header))
		return true;
	if (!is_address((__u64)dev))
		return iif;
	if (iif)
		return (__u32)LOAD(access, dev, ifindex) == iif;
	/* On its way out the data begins with the link header, or before it, or there is none yet (0xffff). */
	return data > LOAD(access, skb, mac_header) || is_backlog_full(reason);
}

/* The device that it came from, as far as the packet still tells. */
static __always_inline void drop_device(struct cpu_state *s, enum access access,
					const struct sk_buff *skb, struct drop *d)
{
	const struct net_device *dev = LOAD(access, skb, dev);
	__u32 iif = LOAD(access, skb, skb_iif);

	if (is_address((__u64)dev) && (!iif || (__u32)LOAD(access, dev, ifindex) == iif)) {
		d->device_slot = device_slot(s, access, dev, &d->ifindex);
	} else if (!d->known) {
		d->device_slot = no_device_slot();
		d->ifindex = iif;
	}
}

/*
 * The slot of a reason in this CPU's table; claimed on first use. A softirq may interrupt a process here
 * and claim the same one: then one drop goes by the other's reason.
 */
static __always_inline __u32 reason_slot(struct cpu_state *s, __u32 reason)
{
	__u64 key = (__u64)reason + 1;
	__u32 free = REASON_OVERFLOW;

	for (int i = 0; i < WINDOW; i++) {
		/* The first place is that of the overflow. */
		__u32 place = (reason + i) & (REASONS - 1);

		if (place == REASON_OVERFLOW)
			continue;
		if (s->reason_keys[place] == key)
			return place;
		if (!s->reason_keys[place] && free == REASON_OVERFLOW)
			free = place;
	}
	if (free != REASON_OVERFLOW)
		s->reason_keys[free & (REASONS - 1)] = key;
	return free;
}

static __always_inline void send_drop(void *ctx, struct cpu_state *s, enum access access,
				      const struct sk_buff *skb, const struct drop *d)
{
	__u64 now = bpf_ktime_get_ns();
	struct drop_event e = {};
	struct packet p = {};
	bool sent;

	sent = may_send(&s->next_drop_ns, now);
	if (sent) {
		e.kind = RECORD_DROP;
		e.cpu = bpf_get_smp_processor_id();
		e.time_ns = now;
		e.location = d->location;
		e.reason = d->reason;
		e.ifindex = d->ifindex;
		e.device_slot = d->device_slot == no_device_slot() ? NO_DEVICE : d->device_slot;
		e.length = p.length = LOAD(access, skb, len);
		e.ethertype = bpf_ntohs(LOAD(access, skb, protocol));
		parse(&p, access, LOAD(access, skb, head) + LOAD(access, skb, network_header),
		      LOAD(access, skb, protocol));
		e.transport = p.transport;
		e.local_port = p.local_port;
		e.remote_port = p.source_port;
		e.pid = bpf_get_current_pid_tgid() >> 32;
		bpf_get_current_comm(e.comm, sizeof(e.comm));
		sent = bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &e, sizeof(e)) == 0;
	}
	add(sent ? &s->drop_events : &s->drop_events_lost, 1, true);
}

/*
 * TCP frees a segment for no reason in TIME_WAIT, when it has answered it: above all the FIN of whoever
 * closes last (tcp_v4_rcv: do_time_wait). Without data and SYN nothing is lost with it.
 */
static __always_inline bool is_answered(enum access access, const struct sk_buff *skb, __u32 reason)
{
	const unsigned char *head = LOAD(access, skb, head);
	__u16 transport = LOAD(access, skb, transport_header);
	struct packet p = {};
	struct tcphdr copy;
	const __u8 *tcp;

	if (!bpf_core_enum_value_exists(enum skb_drop_reason, SKB_DROP_REASON_NOT_SPECIFIED) ||
	    reason != bpf_core_enum_value(enum skb_drop_reason, SKB_DROP_REASON_NOT_SPECIFIED) ||
	    LOAD(access, skb, data) != head + transport)
		return false;
	parse(&p, access, head + LOAD(access, skb, network_header), LOAD(access, skb, protocol));
	if (p.transport != IPPROTO_TCP || p.fate == FATE_FRAGMENT)
		return false;
	tcp = (const __u8 *)HEADER(access, tcphdr, head + transport, &copy, TRANSPORT_BYTES);
	return tcp && LOAD(access, skb, len) <= (tcp[12] >> 4) * 4 && !(tcp[13] & TCP_SYN);
}

static __always_inline void count_drop(void *ctx, struct cpu_state *s, enum access access,
				       const struct sk_buff *skb, struct drop *d)
{
	struct drop_row *row;
	__u32 place, reason;

	if (!was_received(access, skb, d->reason)) {
		add(&s->transmit_drops, 1, true);
		return;
	}
	/* TCP's, and empty: a FIN that came to a socket after its close. Nothing is lost. */
	if (!LOAD(access, skb, len) && !LOAD(access, skb, dev))
		return;
	if (is_answered(access, skb, d->reason))
		return;
	drop_device(s, access, skb, d);
	reason = reason_slot(s, d->reason);
	place = s->first_device + d->device_slot;
	row = bpf_map_lookup_elem(&drops, &place);
	if (!row)
		return;
	add(&row->packets[reason & (REASONS - 1)], 1, true);
	if (!exact)
		send_drop(ctx, s, access, skb, d);
}

#endif
