// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Sends records of exact mode as fast as it is asked to: `records` of them for each packet that the
 * machine receives. Counts what it sent and what found no room, so that the reader can be held to it.
 */
#include "records.h"
#include "state.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile __u32 records = 1;

struct sent {
	__u64 all;
	__u64 lost;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sent);
} sent SEC(".maps");

SEC("tp_btf/netif_receive_skb")
int emit(void *ctx)
{
	struct observation o = {};
	struct sent *count;
	__u32 zero = 0;

	count = bpf_map_lookup_elem(&sent, &zero);
	if (!count)
		return 0;
	o.kind = RECORD_OBSERVATION;
	o.cpu = bpf_get_smp_processor_id();
	o.time_ns = bpf_ktime_get_ns();
	o.probe = RECEIVE_TO_SOCKET;
	for (__u32 i = 0; i < records; i++) {
		o.latency_ns = i;
		if (bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &o, sizeof(o)))
			__sync_fetch_and_add(&count->lost, 1);
		__sync_fetch_and_add(&count->all, 1);
	}
	return 0;
}
