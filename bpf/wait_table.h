/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Packets that wait for something on any CPU, found by skb address: 8192 places, each packet may take any
 * of four. A newcomer takes a free one, or that of the oldest, which is then no sample. A torn entry
 * fails its check and is never measured; nor is a buffer that has another owner since.
 */
#ifndef RXSCOPE_WAIT_TABLE_H
#define RXSCOPE_WAIT_TABLE_H

#include "tcp_table.h"

/*
 * A packet that waits for something: for its CPU in a backlog, or for its reader on a socket. Found by
 * its skb's address; wait_table.h says how.
 */
struct waiting {
	__u64 skb;
	__u64 since_ns;
	__u64 meta;
	__u64 check;		/* lower half of skb ^ since_ns ^ meta */
};
#define WAIT_WAYS 4
#define WAIT_SETS 2048
struct wait_set {
	struct waiting way[WAIT_WAYS];
};

/* What putting a packet in found in its place. */
enum replaced {
	REPLACED_NONE,
	REPLACED_SAME,		/* an earlier packet in the same buffer, whose wait never ended */
	REPLACED_OLDEST,	/* another packet: the table is full here */
};

static __always_inline struct wait_set *wait_set_of(void *table, __u64 skb)
{
	__u32 place = hash_address(skb, WAIT_SETS);

	return bpf_map_lookup_elem(table, &place);
}

static __always_inline struct waiting *wait_find(void *table, __u64 skb)
{
	struct wait_set *set = wait_set_of(table, skb);

	if (!set)
		return 0;
	for (int i = 0; i < WAIT_WAYS; i++)
		if (set->way[i].skb == skb)
			return &set->way[i];
	return 0;
}

/* What an entry must match: `owner` is the packet's socket, or 0. */
static __always_inline __u64 wait_check(__u64 skb, __u64 owner, __u64 since_ns, __u64 meta)
{
	return lower_half(skb) ^ (__u64)lower_half(owner) << 32 ^ since_ns ^ meta;
}

static __always_inline enum replaced wait_begin(void *table, __u64 skb, __u64 owner, __u64 now,
						__u64 meta)
{
	struct wait_set *set = wait_set_of(table, skb);
	enum replaced replaced = REPLACED_OLDEST;
	__u64 oldest_ns = ~0ULL;
	struct waiting *w;
	__u32 place = 0;

	if (!set)
		return REPLACED_OLDEST;
	for (int i = 0; i < WAIT_WAYS; i++) {
		__u64 there = set->way[i].skb;

		if (there == skb) {
			place = i;
			replaced = REPLACED_SAME;
			break;
		}
		if (!there && replaced != REPLACED_NONE) {
			place = i;
			replaced = REPLACED_NONE;
			oldest_ns = 0;
		}
		if (set->way[i].since_ns < oldest_ns) {
			oldest_ns = set->way[i].since_ns;
			place = i;
		}
	}
	w = &set->way[place & (WAIT_WAYS - 1)];
	w->skb = 0;
	barrier();
	w->since_ns = now;
	w->meta = meta;
	w->check = wait_check(skb, owner, now, meta);
	barrier();
	w->skb = skb;
	return replaced;
}

/* Takes a packet out, whoever owns it. False when it is not there. */
static __always_inline bool wait_forget(void *table, __u64 skb)
{
	struct waiting *w = wait_find(table, skb);

	if (!w)
		return false;
	w->skb = 0;
	return true;
}

/* Takes a packet out. False when it is not there, half overwritten, or of another owner. */
static __always_inline bool wait_end(void *table, __u64 skb, __u64 owner, struct waiting *out)
{
	struct waiting *w = wait_find(table, skb);

	if (!w)
		return false;
	out->since_ns = w->since_ns;
	out->meta = w->meta;
	if (w->check != wait_check(skb, owner, out->since_ns, out->meta))
		return false;
	w->skb = 0;
	return true;
}

#endif
