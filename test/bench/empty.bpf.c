// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Programs that do nothing, on the hooks of rxscope: what being called at all costs, the clock
 * reads of the kernel's own statistics included. Each is called empty_<tracepoint>.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define EMPTY(tracepoint)                                                                          \
	SEC("tp_btf/" #tracepoint)                                                                 \
	int empty_##tracepoint(void *ctx)                                                          \
	{                                                                                          \
		return 0;                                                                          \
	}

EMPTY(irq_handler_entry)
EMPTY(irq_handler_exit)
EMPTY(softirq_raise)
EMPTY(softirq_entry)
EMPTY(softirq_exit)
EMPTY(netif_receive_skb)
EMPTY(sk_data_ready)
EMPTY(tcp_probe)
EMPTY(kfree_skb)
