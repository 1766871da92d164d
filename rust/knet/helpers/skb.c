// SPDX-License-Identifier: GPL-2.0-only
/* Access to a packet's bytes. */

#include <linux/if_arp.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <net/dst.h>

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
