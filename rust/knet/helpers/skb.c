// SPDX-License-Identifier: GPL-2.0-only
/* Access to a packet's bytes. */

#include <linux/if_arp.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>

#include "helpers.h"

/* Makes the first @len bytes linear: 0, or -EINVAL when the packet is shorter or memory ran out. */
int knet_skb_pull(struct sk_buff *skb, unsigned int len)
{
	return pskb_may_pull(skb, len) ? 0 : -EINVAL;
}

/*
 * Makes the first @len bytes linear and ours alone, to be changed in place. The
 * header pointers may move; a sum over the whole packet is forgotten.
 */
int knet_skb_writable(struct sk_buff *skb, unsigned int len)
{
	if (len > skb->len)
		return -EINVAL;
	if (skb->ip_summed == CHECKSUM_COMPLETE)
		skb->ip_summed = CHECKSUM_NONE;
	return skb_ensure_writable(skb, len);
}

/* Lets go of the socket that the packet was thought to be for. */
void knet_skb_orphan(struct sk_buff *skb)
{
	skb_orphan(skb);
}

/* True when the packet came out of an IP tunnel that ends in this namespace. */
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

/* True when the device fills in the transport checksum: the field then holds the pseudo-header sum. */
bool knet_skb_checksum_partial(const struct sk_buff *skb)
{
	return skb->ip_summed == CHECKSUM_PARTIAL;
}
