/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * How an observation gets into a histogram and, over its budget or in exact mode, to user space.
 *
 * Softirqs do not nest on a CPU, so code that runs in one adds plainly. What runs in a process can
 * be interrupted between load and store by a softirq that adds to the same counter; it adds
 * atomically (`shared`), which that softirq cannot split. The softirq itself is never interrupted
 * by such a process: on PREEMPT_RT, where it may be, a tracepoint's program still runs to its end.
 */
#ifndef RXSCOPE_OBSERVE_H
#define RXSCOPE_OBSERVE_H

#include "records.h"
#include "running.h"

static __always_inline void add(__u64 *counter, __u64 n, bool shared)
{
	if (shared)
		__sync_fetch_and_add(counter, n);
	else
		*counter += n;
}

/* Counts something that is no sample of a probe, by its cause. */
static __always_inline void flawed(struct cpu_state *s, __u32 probe, __u32 flaw, bool shared)
{
	add(&s->flaws[probe * FLAWS + flaw], 1, shared);
}

/*
 * Counts one latency in this CPU's histogram `index` of a probe; true when user space is to hear of it. A
 * latency that cannot be, negative or beyond 16 s, is never put into a bucket but counted as a flaw.
 */
static __always_inline bool observe(struct cpu_state *s, __u32 probe, __u32 index, __u64 from_ns,
				    __u64 to_ns, bool shared)
{
	__u32 place = s->first_histogram + histograms_of[probe] + index;
	__u64 latency_ns = to_ns - from_ns;
	struct histogram *h;

	if (to_ns < from_ns || latency_ns > RXSCOPE_LATENCY_MAX_NS) {
		flawed(s, probe, FLAW_CLOCK, shared);
		return false;
	}
	h = bpf_map_lookup_elem(&histograms, &place);
	/* Cannot happen: user space sizes the map for every CPU and slot. */
	if (!h)
		return false;
	add(&h->buckets[rxscope_bucket(latency_ns)], 1, shared);
	add(&h->sum_ns, latency_ns, shared);
	if (latency_ns <= config.budget_ns[probe])
		return exact;
	add(&h->over_budget, 1, shared);
	return true;
}

/*
 * Which histogram of a probe: by device slot and protocol, or by one of these, an interrupt's slot, or a
 * softirq's vector. src/capture/slots.ts has the same order.
 */
static __always_inline __u32 packet_histogram(__u32 device_slot, __u32 protocol)
{
	return device_slot * PROTOCOLS + protocol;
}

/* After the slots of all devices: what has no device. */
static __always_inline __u32 no_device_slot(void)
{
	return DEVICE_FIRST + device_mask + 1;
}

/* What is known of an observation beside its value; put together only when it is sent. */
struct context {
	__u64 from_ns;		/* of the observation itself */
	__u64 until_ns;
	__u64 received_ns;
	__u64 cgroup_id;
	__u32 length;
	__u32 key;		/* irq or vector where the probe's histograms are by it, else ifindex */
	__u16 local_port;
	__u16 remote_port;
	__u8 probe;
	__u8 protocol;
	__u8 device_slot;
	__u8 in_softirq;
};

/* May this CPU send an event now? A burst, then one each event_interval_ns. */
static __always_inline bool may_send(__u64 *next_ns, __u64 now)
{
	__u64 next = *next_ns;

	if (next + config.event_burst_ns < now)
		next = now - config.event_burst_ns;
	if (next > now)
		return false;
	*next_ns = next + config.event_interval_ns;
	return true;
}

static __always_inline bool send_outlier(void *ctx, struct cpu_state *s,
					 const struct context *about)
{
	struct outlier o = {};

	/* A storm: the histogram has counted it, only its particulars are given up. */
	if (!may_send(&s->next_event_ns, about->until_ns))
		return false;
	o.kind = RECORD_OUTLIER;
	o.cpu = bpf_get_smp_processor_id();
	o.latency_ns = about->until_ns - about->from_ns;
	o.time_ns = about->until_ns;
	if (about->in_softirq) {
		o.irq_ns = s->served_irq_ns;
		/* Without its time the number is that of an earlier run of this CPU. */
		if (s->served_irq_ns)
			o.irq = s->served_irq;
		o.softirq_ns = s->softirq_ns;
	}
	o.received_ns = about->received_ns;
	o.cgroup_id = about->cgroup_id;
	o.key = about->key;
	o.length = about->length;
	o.local_port = about->local_port;
	o.remote_port = about->remote_port;
	o.probe = about->probe;
	o.protocol = about->protocol;
	o.device_slot = about->device_slot;
	o.in_softirq = about->in_softirq;
	o.pid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(o.comm, sizeof(o.comm));
	return bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &o, sizeof(o)) == 0;
}

static __always_inline bool send_observation(void *ctx, const struct context *about)
{
	struct observation o = {};

	o.kind = RECORD_OBSERVATION;
	o.cpu = bpf_get_smp_processor_id();
	o.latency_ns = about->until_ns - about->from_ns;
	o.time_ns = about->until_ns;
	o.key = about->key;
	o.probe = about->probe;
	o.protocol = about->protocol;
	o.device_slot = about->device_slot;
	return bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &o, sizeof(o)) == 0;
}

/* Tells user space of an observation; counts it as sent or as lost. */
static __noinline int send(void *ctx, struct cpu_state *s, const struct context *about)
{
	__u32 probe;
	bool sent;

	if (!s || !about)
		return 0;
	sent = exact ? send_observation(ctx, about) : send_outlier(ctx, s, about);
	probe = about->probe & (PROBES_ALL - 1);
	RXSCOPE_OPAQUE(probe);
	add(sent ? &s->events[probe] : &s->events_lost[probe], 1, !about->in_softirq);
	return 0;
}

#endif
