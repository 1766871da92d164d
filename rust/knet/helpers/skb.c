// SPDX-License-Identifier: GPL-2.0-only
/* Access to a packet's bytes. */

#include <linux/if_arp.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <linux/tcp.h>
#include <net/checksum.h>
#include <net/dst.h>
#include <net/ip6_checksum.h>

#include "helpers.h"

/*
 * Makes the first @len bytes linear. Returns 0, or -EINVAL if the packet is
 * shorter or there is no memory.
 */
int knet_skb_pull(struct sk_buff *skb, unsigned int len)
{
	return pskb_may_pull(skb, len) ? 0 : -EINVAL;
}

/*
 * Whether the packet has further packets behind it. Those of a large SCTP packet are chunks, and
 * SCTP crashes on the host that receives it if bytes of one have become those of another.
 */
bool knet_skb_has_parts(const struct sk_buff *skb)
{
	return skb_has_frag_list(skb);
}

/* Copies the first @len bytes, wherever they are. Returns 0, or -EFAULT if there are fewer. */
int knet_skb_copy(const struct sk_buff *skb, u8 *to, unsigned int len)
{
	return skb_copy_bits(skb, 0, to, len);
}

/*
 * Makes the first @len bytes linear and private, to be changed in place. The
 * bytes may move. A checksum over the whole packet is discarded.
 */
int knet_skb_writable(struct sk_buff *skb, unsigned int len)
{
	if (len > skb->len)
		return -EINVAL;
	if (skb->ip_summed == CHECKSUM_COMPLETE)
		skb->ip_summed = CHECKSUM_NONE;
	return skb_ensure_writable(skb, len);
}

/* Drops the socket that early demultiplexing found. */
void knet_skb_orphan(struct sk_buff *skb)
{
	skb_orphan(skb);
}

/* Whether the packet has a route to another host. */
bool knet_skb_leaves_host(const struct sk_buff *skb)
{
	const struct dst_entry *dst = skb_dst(skb);

	return dst && !(dst_dev_rcu(dst)->flags & IFF_LOOPBACK);
}

/* Whether a program on this host has sent the packet and lets the host fragment it. */
bool knet_skb_fragmented_here(const struct sk_buff *skb)
{
	return !skb->dev && skb->ignore_df;
}

/* Whether the packet was received from an IP tunnel that ends in this namespace. */
bool knet_skb_from_tunnel(const struct sk_buff *skb)
{
	switch (skb->dev ? skb->dev->type : ARPHRD_VOID) {
	case ARPHRD_TUNNEL:
	case ARPHRD_TUNNEL6:
	case ARPHRD_SIT:
	case ARPHRD_IPGRE:
	case ARPHRD_IP6GRE:
		return true;
	default:
		return false;
	}
}

/* Whether the device fills in the transport checksum: the field holds the pseudo-header sum. */
bool knet_skb_checksum_partial(const struct sk_buff *skb)
{
	return skb->ip_summed == CHECKSUM_PARTIAL;
}

/* The checksum of a TCP segment from @transport on; 0 if that in its header is right. */
static __sum16 knet_tcp_sum(const struct sk_buff *skb, int family, unsigned int transport)
{
	unsigned int len = skb->len - transport;
	__wsum sum = skb_checksum(skb, transport, len, 0);

	if (family == AF_INET)
		return csum_tcpudp_magic(ip_hdr(skb)->saddr, ip_hdr(skb)->daddr, len, IPPROTO_TCP,
					 sum);
	return csum_ipv6_magic(&ipv6_hdr(skb)->saddr, &ipv6_hdr(skb)->daddr, len, IPPROTO_TCP,
			       sum);
}

/*
 * Replaces the @old octets at @at, which are payload of the TCP segment with the
 * header at @transport, by the @new octets of @text, and corrects lengths and
 * checksums. The bytes may move; all are linear and private then. Returns 0; or,
 * with the packet unchanged, -EINVAL if a device will segment it or it is too short,
 * -EBADMSG if its checksum is wrong, -ENOMEM.
 */
int knet_skb_replace(struct sk_buff *skb, int family, unsigned int transport, unsigned int at,
		     unsigned int old, const u8 *text, unsigned int new)
{
	unsigned int former = skb->len, end = at + old;
	bool partial = skb->ip_summed == CHECKSUM_PARTIAL;
	struct tcphdr *tcp;

	if (skb_is_gso(skb) || transport + sizeof(*tcp) > at || end < at || end > former ||
	    former - old + new > 0xffff)
		return -EINVAL;
	/* With a new checksum, a damaged segment would look intact. */
	if (!partial && knet_tcp_sum(skb, family, transport))
		return -EBADMSG;
	if (skb_ensure_writable(skb, former))
		return -ENOMEM;
	if (new > old + skb_tailroom(skb) &&
	    pskb_expand_head(skb, 0, new - old - skb_tailroom(skb), GFP_ATOMIC))
		return -ENOMEM;
	if (new > old)
		skb_put(skb, new - old);
	memmove(skb->data + at + new, skb->data + end, former - end);
	memcpy(skb->data + at, text, new);
	if (new < old)
		skb_trim(skb, former - (old - new));

	if (family == AF_INET) {
		ip_hdr(skb)->tot_len = htons(skb->len);
		ip_send_check(ip_hdr(skb));
	} else {
		ipv6_hdr(skb)->payload_len = htons(skb->len - sizeof(struct ipv6hdr));
	}
	tcp = (struct tcphdr *)(skb->data + transport);
	if (partial) {
		/* The field has the sum of the pseudo-header, which contains the length. */
		inet_proto_csum_replace2(&tcp->check, skb, htons(former - transport),
					 htons(skb->len - transport), true);
	} else {
		skb->ip_summed = CHECKSUM_NONE;
		tcp->check = 0;
		tcp->check = knet_tcp_sum(skb, family, transport);
	}
	return 0;
}
