/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What a received packet is, read once at netif_receive_skb: device, transport, ports, payload. Steps over
 * tags of VLANs and options of IPv6; looks into no tunnel.
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

/* Tags of VLANs that are stepped over: one in another (802.1ad). */
#define VLAN_TAGS 2

/* Steps over tags that are still in the data; the kernel takes them off later. Returns the protocol. */
static __always_inline __u16 skip_vlan_tags(enum access access, const unsigned char **data,
					    __u16 protocol)
{
	for (int i = 0; i < VLAN_TAGS; i++) {
		struct vlan_hdr copy;
		const struct vlan_hdr *tag;

		if (protocol != bpf_htons(ETH_P_8021Q) && protocol != bpf_htons(ETH_P_8021AD))
			break;
		/* Its identifier, and what follows it: two bytes each. */
		tag = HEADER(access, vlan_hdr, *data, &copy, sizeof(copy));
		if (!tag)
			break;
		protocol = tag->h_vlan_encapsulated_proto;
		*data += 4;
	}
	return protocol;
}

/* Headers of options that are stepped over: hop-by-hop, routing, and destination options twice. */
#define IPV6_OPTIONS 4

static __always_inline bool is_ipv6_option(__u8 header)
{
	return header == IPPROTO_HOPOPTS || header == IPPROTO_ROUTING || header == IPPROTO_DSTOPTS;
}

/* Steps over the options of IPv6: *at becomes the place of what follows, whose number it returns. */
static __always_inline __u8 skip_ipv6_options(enum access access, const unsigned char *data, __u8 next,
					      __u32 *at)
{
	for (int i = 0; i < IPV6_OPTIONS && is_ipv6_option(next); i++) {
		struct ipv6_opt_hdr copy;
		const struct ipv6_opt_hdr *option;

		option = HEADER(access, ipv6_opt_hdr, data + *at, &copy, sizeof(copy));
		if (!option)
			break;
		next = option->nexthdr;
		*at += (option->hdrlen + 1) * 8;
	}
	return next;
}

/* What a TCP segment brings. */
enum tcp_content {
	TCP_NOTHING,		/* an acknowledgement, a SYN, an RST */
	TCP_DATA,		/* data, or a FIN: it is queued, too */
	TCP_SYN_DATA,		/* data in a SYN */
};

#define TCP_FIN 1
#define TCP_SYN 2

static __always_inline enum tcp_content content_of(const struct tcphdr *tcp, __u32 segment_length)
{
	const __u8 *bytes = (const __u8 *)tcp;

	if (segment_length > (bytes[12] >> 4) * 4)
		return bytes[13] & TCP_SYN ? TCP_SYN_DATA : TCP_DATA;
	return bytes[13] & TCP_FIN ? TCP_DATA : TCP_NOTHING;
}

/*
 * Fills transport, ports, fate; returns what a TCP segment brings. At netif_receive_skb skb->data is the
 * network header, for drivers and the stack alike (eth_type_trans pulls the link header), or the tag of a
 * VLAN before it.
 */
static __always_inline enum tcp_content parse(struct packet *p, enum access access,
					      const unsigned char *data, __u16 protocol)
{
	const struct tcphdr *transport;
	struct tcphdr copy;
	__u32 at, end;

	if (protocol != bpf_htons(ETH_P_IP) && protocol != bpf_htons(ETH_P_IPV6))
		protocol = skip_vlan_tags(access, &data, protocol);
	if (protocol == bpf_htons(ETH_P_IP)) {
		struct iphdr ip_copy;
		const struct iphdr *ip = HEADER(access, iphdr, data, &ip_copy, sizeof(ip_copy));

		if (!ip)
			return TCP_NOTHING;
		p->transport = ip->protocol;
		if (ip->frag_off & bpf_htons(0x3fff)) {
			p->fate = FATE_FRAGMENT;
			return TCP_NOTHING;
		}
		/* Total length is 0 in BIG TCP, where only skb->len knows. */
		end = bpf_ntohs(ip->tot_len) ?: p->length;
		at = (*(const __u8 *)ip & 15) * 4;
	} else if (protocol == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr ip_copy;
		const struct ipv6hdr *ip = HEADER(access, ipv6hdr, data, &ip_copy, 8);

		if (!ip)
			return TCP_NOTHING;
		p->transport = ip->nexthdr;
		/* The same: its payload's length is 0, or in an option. */
		end = ip->payload_len ? 40 + bpf_ntohs(ip->payload_len) : p->length;
		at = 40;
		if (is_ipv6_option(p->transport))
			p->transport = skip_ipv6_options(access, data, p->transport, &at);
		if (p->transport == IPPROTO_FRAGMENT) {
			p->fate = FATE_FRAGMENT;
			return TCP_NOTHING;
		}
	} else {
		return TCP_NOTHING;
	}
	if (p->transport != IPPROTO_TCP && p->transport != IPPROTO_UDP)
		return TCP_NOTHING;
	transport = HEADER(access, tcphdr, data + at, &copy, TRANSPORT_BYTES);
	if (!transport)
		return TCP_NOTHING;
	if (p->transport == IPPROTO_TCP)
		return content_of(transport, end - at);
	p->fate = FATE_NOT_QUEUED;
	p->source_port = bpf_ntohs(transport->source);
	p->local_port = bpf_ntohs(transport->dest);
	return TCP_NOTHING;
}

#endif
