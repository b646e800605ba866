/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The records that the programs send through the perf ring buffer; src/capture/records.ts decodes them
 * by this object's BTF.
 */
#ifndef RXSCOPE_RECORDS_H
#define RXSCOPE_RECORDS_H

#include "kernel.h"
#include "numbers.gen.h"

/* An observation over its budget, with all that is known of its way. Times: CLOCK_MONOTONIC. */
struct outlier {
	__u32 kind;		/* RECORD_OUTLIER */
	__u32 cpu;
	__u64 latency_ns;
	__u64 time_ns;		/* its end */
	__u64 irq_ns;
	__u64 softirq_ns;
	__u64 received_ns;
	__u64 cgroup_id;
	__u32 irq;		/* that the softirq serves */
	__u32 key;		/* irq or vector where the probe's histograms are by it, else ifindex */
	__u32 length;
	__u32 pid;		/* of the task that this CPU was running */
	__u16 local_port;
	__u16 remote_port;
	__u8 probe;
	__u8 protocol;
	__u8 device_slot;
	__u8 in_softirq;
	char comm[16];
};

/* A packet that was dropped on the receive path; not every one is sent. */
struct drop_event {
	__u32 kind;
	__u32 cpu;
	__u64 time_ns;
	__u64 location;		/* address of the code that dropped it */
	__u32 reason;
	__u32 ifindex;
	__u32 length;
	__u32 pid;		/* of the task that this CPU was running */
	__u16 local_port;
	__u16 remote_port;
	__u16 ethertype;	/* host order */
	__u8 transport;		/* IPPROTO_*, 0 when it is not IP */
	__u8 device_slot;
	char comm[16];
};

/* Exact mode: every observation. */
struct observation {
	__u32 kind;
	__u32 cpu;
	__u64 latency_ns;
	__u64 time_ns;
	__u32 key;		/* as in an outlier */
	__u8 probe;
	__u8 protocol;
	__u8 device_slot;
	__u8 reserved;
};

/* Never read here: they keep the records' layouts in this object's BTF for user space. */
const volatile struct outlier outlier_layout = {};
const volatile struct observation observation_layout = {};
const volatile struct drop_event drop_event_layout = {};

#endif
