/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * napi_poll: how long one poll of a NAPI takes, how many packets it hands over, and whether it used up
 * its budget.
 *
 * The tracepoint stands at a poll's end (net/core/dev.c, __napi_poll). Where that function can be hooked,
 * its entry is the beginning. Elsewhere a poll begins where the one before it in the same softirq run
 * ended, the first one at the softirq's entry: what lies between two polls is a part of the second, so
 * that the polls of a run add up to the run. Polls by a NAPI thread or by a waiting process then have no
 * beginning; their packets are counted all the same.
 *
 * The backlog, through which loopback, veth and RPS packets go, is a NAPI without a device.
 */
#ifndef RXSCOPE_NAPI_POLL_H
#define RXSCOPE_NAPI_POLL_H

#include "observe.h"
#include "packet.h"

/* What the polls of one device did on one CPU. */
struct poll_work {
	__u64 buckets[POLL_BUCKETS];	/* packets: 0, 1, 2, up to 4, 8 … 256, more */
	__u64 packets;
	__u64 exhausted;		/* polls that used up their budget */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);			/* possible CPUs × device slots */
	__type(key, __u32);
	__type(value, struct poll_work);
} polls SEC(".maps");

/* __napi_poll is entered. */
static __always_inline int poll_begins(void)
{
	struct cpu_state *s = this_cpu();

	if (s)
		s->poll_ns = bpf_ktime_get_ns();
	return 0;
}

/* 0, 1, 2, up to 4, 8 … 256, more */
static __always_inline __u32 poll_bucket(__u32 work)
{
	__u32 bucket = 0;

	for (int i = 0; i < POLL_BUCKETS - 1; i++)
		bucket += work > (i == 0 ? 0u : 1u << (i - 1));
	return bucket;
}

static __always_inline void poll_did(struct cpu_state *s, __u32 slot, __u32 work, __u32 budget,
				     bool shared)
{
	__u32 place = s->first_device + slot;
	struct poll_work *p = bpf_map_lookup_elem(&polls, &place);
	__u32 bucket = poll_bucket(work);

	if (!p || bucket >= POLL_BUCKETS)
		return;
	add(&p->buckets[bucket], 1, shared);
	add(&p->packets, work, shared);
	/* netpoll polls with none, only to send. */
	if (budget && work >= budget)
		add(&p->exhausted, 1, shared);
}

static __always_inline int poll_ended(void *ctx, enum access access, const struct napi_struct *napi,
				      __u32 work, __u32 budget)
{
	struct cpu_state *s = this_cpu();
	const struct net_device *dev;
	struct context about = {};
	__u64 from_ns, now;
	__u32 slot;
	bool shared;

	if (!s)
		return 0;
	now = bpf_ktime_get_ns();
	shared = !in_net_rx(s);
	dev = LOAD(access, napi, dev);
	slot = dev ? device_slot(s, access, dev, &about.key) : no_device_slot();
	poll_did(s, slot, work, budget, shared);
	from_ns = s->poll_ns;
	s->poll_ns = shared ? 0 : now;
	if (!from_ns) {
		flawed(s, NAPI_POLL, is_napi_thread() ? NAPI_POLL_THREADED_NAPI : NAPI_POLL_BUSY_POLL, shared);
		return 0;
	}
	if (!observe(s, NAPI_POLL, slot, from_ns, now, shared))
		return 0;
	about.probe = NAPI_POLL;
	about.from_ns = from_ns;
	about.until_ns = now;
	about.device_slot = slot;
	about.length = work;
	about.protocol = PROTOCOL_OTHER;
	about.in_softirq = !shared;
	send(ctx, s, &about);
	return 0;
}

#endif
