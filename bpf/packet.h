/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What a received packet is, read once at netif_receive_skb: device, transport, ports, payload.
 * Reads at most one IP header and the start of the transport header; follows no extension headers.
 */
#ifndef RXSCOPE_PACKET_H
#define RXSCOPE_PACKET_H

#include "state.h"
#include <bpf/bpf_endian.h>

/*
 * The slot of a device in this CPU's table; claimed on first use. An ifindex is unique only in its
 * network namespace, so devices of other namespaces share one slot.
 */
static __always_inline __u32 device_slot(struct cpu_state *s, bool typed,
					 const struct net_device *dev, __u32 *ifindex)
{
	__u32 key, free = DEVICE_OVERFLOW;

	*ifindex = key = LOAD(typed, dev, ifindex);
	if (LOAD(typed, dev, nd_net.net, ns.inum) != own_netns)
		return DEVICE_OTHER_NETNS;
	for (int i = 0; i < WINDOW; i++) {
		__u32 place = (key + i) & device_mask & (DEVICES_MAX - 1);

		if (s->device_keys[place] == key)
			return DEVICE_FIRST + place;
		if (!s->device_keys[place] && free == DEVICE_OVERFLOW)
			free = DEVICE_FIRST + place;
	}
	if (free != DEVICE_OVERFLOW)
		s->device_keys[(free - DEVICE_FIRST) & (DEVICES_MAX - 1)] = key;
	return free;
}

/* Enough for IPv6 and the fixed part of TCP. */
struct headers {
	__u8 bytes[60];
};

#define BE16(h, at) ((__u16)((h)->bytes[at] << 8 | (h)->bytes[(at) + 1]))

/* The data that a TCP segment will put on the queue; a FIN counts, it is queued too. */
static __always_inline bool tcp_has_data(const struct headers *h, __u32 at, __u32 segment_length)
{
	__u32 header_length = (h->bytes[at + 12] >> 4) * 4;

	return segment_length > header_length || (h->bytes[at + 13] & 1);
}

/*
 * Fills transport, ports, fragment; sets *tcp_data. At netif_receive_skb skb->data is the network
 * header, for drivers and the stack alike (eth_type_trans pulls the link header).
 */
static __always_inline void parse(struct packet *p, const unsigned char *data, __u16 protocol,
				  bool *tcp_data)
{
	struct headers h;
	__u32 at, length;

	*tcp_data = false;
	if (protocol == bpf_htons(ETH_P_IP)) {
		/* Without options, all that is read lies in 20 + 14 bytes. */
		if (bpf_probe_read_kernel(&h, 36, data))
			return;
		p->transport = h.bytes[9];
		if (BE16(&h, 6) & 0x3fff) {
			p->fragment = 1;
			return;
		}
		/* Total length is 0 in BIG TCP, where only skb->len knows. */
		length = BE16(&h, 2) ?: p->length;
		at = (h.bytes[0] & 15) * 4;
		length -= at;
		if (at != 20 && bpf_probe_read_kernel(&h.bytes[20], 16, data + at))
			return;
		at = 20;
	} else if (protocol == bpf_htons(ETH_P_IPV6)) {
		if (bpf_probe_read_kernel(&h, 56, data))
			return;
		p->transport = h.bytes[6];
		if (p->transport == IPPROTO_FRAGMENT) {
			p->fragment = 1;
			return;
		}
		length = BE16(&h, 4) ?: p->length - 40;
		at = 40;
	} else {
		return;
	}
	if (p->transport == IPPROTO_TCP) {
		*tcp_data = at == 20 ? tcp_has_data(&h, 20, length) : tcp_has_data(&h, 40, length);
	} else if (p->transport == IPPROTO_UDP) {
		p->source_port = at == 20 ? BE16(&h, 20) : BE16(&h, 40);
		p->local_port = at == 20 ? BE16(&h, 22) : BE16(&h, 42);
	}
}

#endif
