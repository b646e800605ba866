/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * socket_to_read: a TCP or UDP packet is on its socket's receive queue -> the application reads it: TCP's
 * first bytes are copied (skb_copy_datagram_iovec), a datagram has been (skb_consume_udp). A slow reader
 * raises it; so do many packets that wait in line.
 *
 * TCP merges a segment into the buffer at the queue's end where it can: the buffer's wait counts from
 * its oldest unread segment, and the merged ones are no samples of their own. A peek counts as reading.
 * What is read without a copy (zero-copy, splice) is not seen, and counted when its buffer comes again.
 *
 * No tracepoint tells that an ordinary datagram is read: where functions cannot be hooked, datagrams are
 * counted and not followed.
 */
#ifndef RXSCOPE_SOCKET_TO_READ_H
#define RXSCOPE_SOCKET_TO_READ_H

#include "wait_table.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WAIT_SETS);
	__type(key, __u32);
	__type(value, struct wait_set);
} queued_packets SEC(".maps");

/* A packet is on a socket's queue, in this buffer; it is `merged` when others were in it before. */
static __always_inline void read_awaited(struct cpu_state *s, __u64 sk, __u64 skb, bool merged,
					 __u64 now, __u32 ifindex, __u32 port, __u32 protocol)
{
	enum replaced replaced;

	if (!skb)
		return;
	if (protocol == PROTOCOL_UDP && !config.udp_reads_seen) {
		flawed(s, SOCKET_TO_READ, SOCKET_TO_READ_NOT_FOLLOWED, true);
		return;
	}
	if (merged && wait_find(&queued_packets, skb)) {
		flawed(s, SOCKET_TO_READ, SOCKET_TO_READ_MERGED, true);
		return;
	}
	replaced = wait_begin(&queued_packets, skb, sk, now,
			      (__u64)ifindex << 32 | (__u64)port << 16 | protocol);
	if (replaced == REPLACED_SAME)
		flawed(s, SOCKET_TO_READ, SOCKET_TO_READ_NOT_READ, true);
	else if (replaced == REPLACED_OLDEST)
		flawed(s, SOCKET_TO_READ, SOCKET_TO_READ_TABLE_FULL, true);
}

/*
 * skb_copy_datagram_iovec or skb_consume_udp, in the reader. A buffer that was freed unread in silence
 * may be a message of any family by now: only a packet of the same socket is the one that waited.
 */
static __always_inline int packet_read(void *ctx, __u64 sk, __u64 skb, __u32 length)
{
	struct cpu_state *s = this_cpu();
	struct context about = {};
	struct waiting w;
	__u32 protocol;
	__u64 now;

	if (!s || !wait_end(&queued_packets, skb, sk, &w))
		return 0;
	now = bpf_ktime_get_ns();
	protocol = w.meta & 3;
	if (!observe(s, SOCKET_TO_READ, protocol, w.since_ns, now, true))
		return 0;
	about.probe = SOCKET_TO_READ;
	about.from_ns = w.since_ns;
	about.until_ns = now;
	about.key = w.meta >> 32;
	about.local_port = w.meta >> 16;
	about.length = length;
	about.protocol = protocol;
	send(ctx, s, &about);
	return 0;
}

/* kfree_skb: its socket was closed before it was read. */
static __always_inline void read_dropped(struct cpu_state *s, __u64 skb)
{
	if (wait_forget(&queued_packets, skb))
		flawed(s, SOCKET_TO_READ, SOCKET_TO_READ_NOT_READ, true);
}

#endif
