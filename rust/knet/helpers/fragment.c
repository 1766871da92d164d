// SPDX-License-Identifier: GPL-2.0-only
/*
 * Putting fragments together, since only the first one names ports.
 *
 * In softirq, in a netfilter hook.
 */

#include <linux/ip.h>
#include <net/ip.h>
#include <net/ipv6_frag.h>
#include <net/netfilter/ipv6/nf_defrag_ipv6.h>

#include "helpers.h"

/*
 * 0 when @skb is the whole packet now, or is not a fragment that could be put
 * together; else it is no longer the caller's: it waits for the others.
 */
int knet_gather4(struct net *net, struct sk_buff *skb, unsigned int hook)
{
	u32 user = hook == NF_INET_FORWARD ? IP_DEFRAG_VS_FWD : IP_DEFRAG_VS_IN;

	if (ip_defrag(net, skb, user))
		return -EINPROGRESS;
	ip_send_check(ip_hdr(skb));
	skb->ignore_df = 1;
	return 0;
}

/* The same, but with another error the packet is still the caller's, to be dropped. */
int knet_gather6(struct net *net, struct sk_buff *skb)
{
	return nf_ct_frag6_gather(net, skb, IP6_DEFRAG_CONNTRACK_IN);
}
