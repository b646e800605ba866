/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The few kernel types and constants that rxscope reads, each with only the members it needs.
 * CO-RE finds the members' real places in the running kernel's BTF, so one object file runs on
 * every kernel from 5.8 on. Deliberately no dump of one kernel's types.
 */
#ifndef RXSCOPE_KERNEL_H
#define RXSCOPE_KERNEL_H

#include <linux/bpf.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/ptrace.h>
#include <linux/tcp.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

/* include/linux/interrupt.h: the vector of receive work, and the flag of a timer's interrupt. */
#define NET_RX_SOFTIRQ 3
#define IRQF_TIMER_ONLY 0x00000200

/*
 * include/linux/irqreturn.h: what a handler returns that leaves its work to a thread.
 * kernel/irq/internals.h: the thread has been woken and has not yet begun (IRQTF_RUNTHREAD).
 */
#define IRQ_WAKE_THREAD 2
#define IRQ_THREAD_PENDING 1

#define AF_INET 2
#define AF_INET6 10
#define AF_PACKET 17

#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_HOPOPTS 0
#define IPPROTO_ROUTING 43
#define IPPROTO_FRAGMENT 44
#define IPPROTO_DSTOPTS 60

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define ETH_P_ARP 0x0806
#define ETH_P_8021Q 0x8100
#define ETH_P_8021AD 0x88a8

#define SOCK_RAW 3
#define TCP_LISTEN 10

/*
 * Why a packet was dropped. Kernels before 5.17 have no such enum: its values are looked up in the
 * running kernel's BTF, and a kernel without it is asked for none.
 */
enum skb_drop_reason {
	SKB_NOT_DROPPED_YET = 0,
	SKB_CONSUMED = 1,
	SKB_DROP_REASON_NOT_SPECIFIED = 2,
	SKB_DROP_REASON_NO_SOCKET = 3,
	SKB_DROP_REASON_CPU_BACKLOG = 71,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct sched_entity {
	unsigned char sched_delayed;	/* 6.12: asleep, and left on the run queue for a while */
};

struct task_struct {
	int on_rq;
	struct sched_entity se;
};

struct irqaction {
	struct task_struct *thread;
	unsigned int flags;
	unsigned long thread_flags;
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

struct napi_struct {
	struct net_device *dev;
};

struct sock;

struct sk_buff {
	struct net_device *dev;
	struct sock *sk;
	char cb[48];
	unsigned int len;
	int skb_iif;
	unsigned int napi_id;
	__be16 protocol;
	__u16 transport_header;
	__u16 network_header;
	__u16 mac_header;
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
	struct {
		int len;	/* bytes: not 0 until a process has handled all that waited for its lock */
	} sk_backlog;
	int sk_rcvlowat;
	struct sock_cgroup_data sk_cgrp_data;
};

struct tcp_sock {
	__u32 rcv_nxt;
};

struct tcp_skb_cb {
	__u32 seq;
};

/* All of it: a copy is as long as this says. */
struct vlan_hdr {
	__be16 h_vlan_TCI;
	__be16 h_vlan_encapsulated_proto;
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
	void *location;
	enum skb_drop_reason reason;
};

struct trace_event_raw_napi_poll {
	struct napi_struct *napi;
	int work;
	int budget;
};

struct trace_event_raw_skb_copy_datagram_iovec {
	const void *skbaddr;
	int len;
};

struct trace_event_raw_tcp_probe {
	const void *skbaddr;
	const void *skaddr;
};

#pragma clang attribute pop

/*
 * How a program reaches the kernel's memory; a compile-time constant of each.
 *
 * CAST     typed pointers, and any address may be declared one (bpf_rdonly_cast, 6.2): the only way
 *          that lockdown=confidentiality leaves, and the cheapest
 * TYPED    typed pointers where the hook hands them over (tp_btf, fentry), copies elsewhere
 * COPIED   bpf_probe_read_kernel for everything
 */
enum access {
	COPIED,
	TYPED,
	CAST,
};

/* Weak: a kernel without it refuses the programs that use it, and no others. */
extern void *bpf_rdonly_cast(const void *address, __u32 btf_id) __ksym __weak;

/* An address as a pointer to a struct of the kernel; CAST only. */
#define CAST_TO(type, address) \
	((struct type *)bpf_rdonly_cast((const void *)(address), bpf_core_type_id_kernel(struct type)))

/* Reads a member through a pointer that the hook handed over, or that was reached from one. */
#define LOAD(access, p, ...) \
	((access) != COPIED ? LOAD_DIRECT(p, __VA_ARGS__) : BPF_CORE_READ(p, __VA_ARGS__))
#define LOAD_DIRECT(p, ...) ___apply(LOAD_DIRECT, ___narg(__VA_ARGS__))(p, ##__VA_ARGS__)
#define LOAD_DIRECT1(p, a) ((p)->a)
#define LOAD_DIRECT2(p, a, b) ((p)->a->b)
#define LOAD_DIRECT3(p, a, b, c) ((p)->a->b->c)

/* Reads a member of what stands at an address that a program has kept. */
#define LOAD_AT(access, type, address, member)                                      \
	((access) == CAST ? CAST_TO(type, address)->member :                        \
	 BPF_CORE_READ((const struct type *)(address), member))

/*
 * The lower half of an address, as a number. The verifier allows a typed pointer to be copied so,
 * and arithmetic only on the copy; the assembly keeps the compiler from merging the two.
 */
static __always_inline __u32 lower_half(__u64 address)
{
	__u32 low;

	asm volatile("%0 = %1" : "=w"(low) : "w"((__u32)address));
	return low;
}

/* LOAD() of a number whose width differs between kernels. */
#define LOAD_NUMBER(access, p, member)                                              \
	((access) != COPIED ? BPF_CORE_READ_BITFIELD(p, member) :                   \
	 BPF_CORE_READ_BITFIELD_PROBED(p, member))

#endif
