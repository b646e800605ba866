/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What a received packet is, read once at netif_receive_skb: device, transport, ports, payload.
 * Reads at most one IP header and the start of the transport header; follows no extension headers.
 */
#ifndef RXSCOPE_PACKET_H
#define RXSCOPE_PACKET_H

#include "state.h"
#include <bpf/bpf_endian.h>

/* The slot of a device of our namespace in this CPU's table; claimed on first use. */
static __always_inline __u32 slot_of(struct cpu_state *s, __u32 ifindex)
{
	__u32 free = DEVICE_OVERFLOW;

	for (int i = 0; i < WINDOW; i++) {
		__u32 place = (ifindex + i) & device_mask & (DEVICES_MAX - 1);

		if (s->device_keys[place] == ifindex)
			return DEVICE_FIRST + place;
		if (!s->device_keys[place] && free == DEVICE_OVERFLOW)
			free = DEVICE_FIRST + place;
	}
	if (free != DEVICE_OVERFLOW)
		s->device_keys[(free - DEVICE_FIRST) & (DEVICES_MAX - 1)] = ifindex;
	return free;
}

/*
 * The same for any device. An ifindex is unique only in its network namespace, so devices of other
 * namespaces share one slot.
 */
static __always_inline __u32 device_slot(struct cpu_state *s, enum access access,
					 const struct net_device *dev, __u32 *ifindex)
{
	*ifindex = LOAD(access, dev, ifindex);
	if (LOAD(access, dev, nd_net.net, ns.inum) != own_netns)
		return DEVICE_OTHER_NETNS;
	return slot_of(s, *ifindex);
}

/* The slot here of a device that has another on the CPU that received the packet. */
static __always_inline __u32 slot_here(struct cpu_state *s, __u32 slot_there, __u32 ifindex)
{
	if (slot_there == DEVICE_OTHER_NETNS)
		return slot_there;
	if (slot_there != DEVICE_OVERFLOW &&
	    s->device_keys[(slot_there - DEVICE_FIRST) & (DEVICES_MAX - 1)] == ifindex)
		return slot_there;
	return slot_of(s, ifindex);
}

/*
 * The start of a header at an address: a pointer to it, or to a copy of `bytes` bytes; 0 when it
 * cannot be read.
 */
#define HEADER(access, type, address, copy, bytes)                                            \
	((access) == CAST ? (const struct type *)CAST_TO(type, address) :                     \
	 bpf_probe_read_kernel(copy, bytes, address) ? 0 : (const struct type *)(copy))

/* As much of TCP as is read, and all of UDP that is: ports are at the same place in both. */
#define TRANSPORT_BYTES 16

/* What a TCP segment will put on the queue; a FIN counts, it is queued too. */
static __always_inline bool tcp_has_data(const struct tcphdr *tcp, __u32 segment_length)
{
	const __u8 *bytes = (const __u8 *)tcp;

	return segment_length > (bytes[12] >> 4) * 4 || (bytes[13] & 1);
}

/*
 * Fills transport, ports, fate; sets *tcp_data. At netif_receive_skb skb->data is the network
 * header, for drivers and the stack alike (eth_type_trans pulls the link header).
 */
static __always_inline void parse(struct packet *p, enum access access, const unsigned char *data,
				  __u16 protocol, bool *tcp_data)
{
	const struct tcphdr *transport;
	struct tcphdr copy;
	__u32 at, length;

	*tcp_data = false;
	if (protocol == bpf_htons(ETH_P_IP)) {
		struct iphdr ip_copy;
		const struct iphdr *ip = HEADER(access, iphdr, data, &ip_copy, sizeof(ip_copy));

		if (!ip)
			return;
		p->transport = ip->protocol;
		if (ip->frag_off & bpf_htons(0x3fff)) {
			p->fate = FATE_FRAGMENT;
			return;
		}
		/* Total length is 0 in BIG TCP, where only skb->len knows. */
		length = bpf_ntohs(ip->tot_len) ?: p->length;
		at = (*(const __u8 *)ip & 15) * 4;
		length -= at;
	} else if (protocol == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr ip_copy;
		const struct ipv6hdr *ip = HEADER(access, ipv6hdr, data, &ip_copy, 8);

		if (!ip)
			return;
		p->transport = ip->nexthdr;
		if (p->transport == IPPROTO_FRAGMENT) {
			p->fate = FATE_FRAGMENT;
			return;
		}
		length = bpf_ntohs(ip->payload_len) ?: p->length - 40;
		at = 40;
	} else {
		return;
	}
	if (p->transport != IPPROTO_TCP && p->transport != IPPROTO_UDP)
		return;
	transport = HEADER(access, tcphdr, data + at, &copy, TRANSPORT_BYTES);
	if (!transport)
		return;
	if (p->transport == IPPROTO_TCP) {
		*tcp_data = tcp_has_data(transport, length);
	} else {
		p->fate = FATE_NOT_QUEUED;
		p->source_port = bpf_ntohs(transport->source);
		p->local_port = bpf_ntohs(transport->dest);
	}
}

#endif
