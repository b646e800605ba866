/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the programs keep: per-CPU state, histograms, configuration. User space reads all of it through
 * mmap and learns the layouts from this object's BTF, so no offset is written down twice. No logic here.
 */
#ifndef RXSCOPE_STATE_H
#define RXSCOPE_STATE_H

#include "kernel.h"
#include "bucket.h"
#include "numbers.gen.h"

/* One latency histogram; buckets as in bounds.gen.h, not cumulated. */
struct histogram {
	__u64 buckets[RXSCOPE_BUCKETS];
	__u64 sum_ns;
	__u64 over_budget;
	__u64 reserved;
};

/* Sized for the longest batch: netif_receive_skb_list hands over up to one NAPI weight, 64. */
#define RING 64

/* Is it settled what became of a packet? */
enum closed {
	OPEN,
	CLOSED,			/* observed, or its fate is counted */
	CLOSED_DROPPED,		/* dropped, perhaps before those that came before it were handled */
};

/* A received packet, other than TCP, whose delivery is awaited. Order of arrival is kept. */
struct packet {
	__u64 skb;
	__u64 received_ns;
	__u64 head;		/* its data, which copies of it for further sockets share */
	__u64 copied_ns;	/* a raw, ping or packet socket has a copy since, else 0 */
	__u32 closed;		/* enum closed */
	__u32 fate;		/* enum fate, unless something better becomes of it */
	__u32 length;
	__u32 ifindex;
	union {
		__u32 ports;
		struct {
			__u16 source_port;	/* host order, 0 when there is none */
			__u16 local_port;
		};
	};
	union {
		__u32 flags;
		struct {
			__u8 transport;		/* IPPROTO_*, 0 when it is not IP */
			__u8 device_slot;
			__u8 reserved;
			__u8 origin;		/* enum origin */
		};
	};
};

/* Device slots: overflow, other namespaces, devices; then one for what has no device. */
#define DEVICES_MAX 64		/* upper limit of the configuration: devices of one CPU */
#define DEVICES_ALL 128		/* the next power of two that holds them and the first two */
#define WINDOW 8		/* places that a key may take from its hash on */

struct cpu_state {
	/* the device interrupt in progress, and what one has raised */
	__u64 irq_ns;		/* entry of the device interrupt handler now running, else 0 */
	__u64 raised_ns;	/* entry of the oldest interrupt whose NET_RX raise is unserved */
	__u32 irq;
	__u32 raised_irq;

	/* the NET_RX run in progress */
	__u64 softirq_ns;	/* its entry, 0 outside */
	__u64 served_irq_ns;	/* the interrupt that it serves, 0 when it was raised otherwise */
	__u32 served_irq;
	__u32 seen_entry;	/* has any entry been seen on this CPU */
	__u64 softirq_task;	/* PREEMPT_RT: the task in which it runs */

	/* softirqs of all vectors, polls, and readers that are being told */
	__u64 vector_raised_ns[VECTORS_ALL];	/* first unserved raise of each vector, else 0 */
	__u64 entered_ns;	/* entry of the softirq in progress, of whatever vector */
	__u64 poll_ns;		/* when the next poll's time begins, 0 when that is not known */
	__u32 telling;		/* a socket is being told of data: its protocol + 1, else 0 */
	__u32 telling_port;	/* that socket's port */

	__u64 tcp_kept_ns;	/* when the last TCP packet with data was received here */
	__u64 named_sk;		/* a function began to queue a packet for this socket … */
	__u64 named_skb;	/* … in this buffer … */
	__u32 named_at;		/* … which is the packet at this place of the ring, or a copy or part of it */
	__u32 named_known;	/* … if it is any */

	/* packets under way; head and tail only grow */
	__u32 ring_head;
	__u32 ring_tail;
	struct packet ring[RING];

	/* outliers and drops: when the next may be sent (generic cell rate algorithm) */
	__u64 next_event_ns;
	__u64 next_drop_ns;

	/* where this CPU's part begins of histograms, and of maps by device slot; set by user space */
	__u32 first_histogram;
	__u32 first_device;

	/* counts */
	__u64 fates[FATES_ALL];
	__u64 flaws[PROBES * FLAWS];
	__u64 tcp_kept;		/* packets put into tcp_packets */
	__u64 tcp_resolved;	/* … and taken out again */
	__u64 deliveries_without_start;
	__u64 events[PROBES_ALL];
	__u64 events_lost[PROBES_ALL];
	__u64 received[DEVICES_ALL];
	__u64 transmit_drops;	/* kfree_skb of what was not on the receive path */
	__u64 drop_events;
	__u64 drop_events_lost;

	/* who owns a slot: (ifindex, 0 when free), (irq + 1, 0 when free), (reason + 1, 0 when free) */
	__u32 device_keys[DEVICES_MAX];
	__u32 irq_keys[IRQS];
	__u64 reason_keys[REASONS];
};

/* A TCP packet with data on its way to a socket, on any CPU. Found by its skb's address. */
struct tcp_packet {
	__u64 skb;
	__u64 received_ns;
	__u64 meta;		/* ifindex << 32 | length (16 bits) << 16 | origin << 8 | device slot */
	__u64 check;		/* lower half of skb ^ received_ns ^ meta: a torn entry does not match */
};

/* A packet may take any of four places: few collide, however many wait on sockets' backlogs. */
#define TCP_WAYS 4
#define TCP_SETS 2048
struct tcp_set {
	struct tcp_packet way[TCP_WAYS];
};

/* The packet that a TCP socket is working on. Found by the socket's address. */
struct tcp_claim {
	__u64 sk;
	__u64 skb;
	__u64 received_ns;	/* tells it from a later packet in the same buffer */
	__u64 worker;		/* who works on it: tcp_delivery.h */
	__u64 lowat;		/* the bytes that the socket waited for then */
};
#define TCP_CLAIMS 4096

/* What may change while the programs run. */
struct config {
	__u64 budget_ns[PROBES_ALL];
	__u64 event_interval_ns;	/* mean time between two outliers of one CPU */
	__u64 event_burst_ns;		/* how far they may run ahead of it */
	__u64 udp_reads_seen;		/* is there a hook where datagrams are read */
};

/* Set once, before the programs are loaded. */
const volatile bool exact = false;
const volatile bool preempt_rt = false;		/* softirqs run in tasks, which others preempt */
const volatile __u32 own_netns = 0;		/* inode number of the agent's network namespace */
const volatile __u32 device_mask = 15;		/* devices - 1; their number is a power of two */
const volatile __u32 histograms_of[PROBES_ALL] = {};	/* where a probe's begin among one CPU's */

struct config config SEC(".data.config") = {};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);			/* possible CPUs */
	__type(key, __u32);
	__type(value, struct cpu_state);
} cpus SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);			/* possible CPUs × histograms of one */
	__type(key, __u32);
	__type(value, struct histogram);
} histograms SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, TCP_SETS);
	__type(key, __u32);
	__type(value, struct tcp_set);
} tcp_packets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, TCP_CLAIMS);
	__type(key, __u32);
	__type(value, struct tcp_claim);
} tcp_claims SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} events SEC(".maps");

#endif
