/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The few kernel types and constants that rxscope reads, each with only the members it needs.
 * CO-RE finds the members' real places in the running kernel's BTF, so one object file runs on
 * every kernel from 5.8 on. Deliberately no dump of one kernel's types.
 */
#ifndef RXSCOPE_KERNEL_H
#define RXSCOPE_KERNEL_H

#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

/* include/linux/interrupt.h: the vector of receive work, and the flag of a timer's interrupt. */
#define NET_RX_SOFTIRQ 3
#define IRQF_TIMER_ONLY 0x00000200

#define AF_INET 2
#define AF_INET6 10
#define AF_PACKET 17

#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_FRAGMENT 44

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd

#define SOCK_RAW 3
#define TCP_LISTEN 10

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct irqaction {
	unsigned int flags;
};

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct net_device {
	int ifindex;
	possible_net_t nd_net;
};

struct sk_buff {
	struct net_device *dev;
	unsigned int len;
	__be16 protocol;
	unsigned char *head;
	unsigned char *data;
};


struct sk_buff_head {
	struct sk_buff *prev;
};

struct sock_common {
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
};

struct kernfs_node {
	__u64 id;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct sock_cgroup_data {
	struct cgroup *cgroup;
};

struct sock {
	struct sock_common __sk_common;
	__u16 sk_type;
	__u16 sk_protocol;
	struct sk_buff_head sk_receive_queue;
	struct sock_cgroup_data sk_cgrp_data;
};

/* Contexts of the classic tracepoints (include/trace/events/). */
struct trace_event_raw_irq_handler_entry {
	int irq;
};

struct trace_event_raw_softirq {
	unsigned int vec;
};

struct trace_event_raw_net_dev_template {
	void *skbaddr;
};

struct trace_event_raw_sk_data_ready {
	const void *skaddr;
};

struct trace_event_raw_kfree_skb {
	void *skbaddr;
	int reason;
};

struct trace_event_raw_tcp_probe {
	const void *skbaddr;
	const void *skaddr;
};

#pragma clang attribute pop

/*
 * Why a packet was dropped. Kernels before 5.17 have no such enum: its values are looked up in the
 * running kernel's BTF, and a kernel without it is asked for none.
 */
enum skb_drop_reason {
	SKB_DROP_REASON_NO_SOCKET = 3,
};

/*
 * Reads a member through a pointer. Programs of type tp_btf hold typed pointers and load directly;
 * all others must ask bpf_probe_read_kernel. `typed` is a compile-time constant.
 */
#define LOAD(typed, p, ...) ((typed) ? LOAD_DIRECT(p, __VA_ARGS__) : BPF_CORE_READ(p, __VA_ARGS__))
#define LOAD_DIRECT(p, ...) ___apply(LOAD_DIRECT, ___narg(__VA_ARGS__))(p, ##__VA_ARGS__)
#define LOAD_DIRECT1(p, a) ((p)->a)
#define LOAD_DIRECT2(p, a, b) ((p)->a->b)
#define LOAD_DIRECT3(p, a, b, c) ((p)->a->b->c)

#endif
