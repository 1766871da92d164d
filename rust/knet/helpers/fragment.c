// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reassembly: only the first fragment has the ports.
 *
 * All of it runs in softirq in a netfilter hook.
 */

#include <linux/ip.h>
#include <net/ip.h>
#include <net/ipv6_frag.h>
#include <net/netfilter/ipv6/nf_defrag_ipv6.h>

#include "helpers.h"

/*
 * Returns 0 if @skb is the whole packet now, or cannot be reassembled. Otherwise
 * it waits for the other fragments and no longer belongs to the caller.
 */
int knet_gather4(struct net *net, struct sk_buff *skb, unsigned int hook)
{
	bool leaves = hook == NF_INET_FORWARD || hook == NF_INET_POST_ROUTING;
	u32 user = leaves ? IP_DEFRAG_VS_FWD : IP_DEFRAG_VS_IN;

	if (ip_defrag(net, skb, user))
		return -EINPROGRESS;
	ip_send_check(ip_hdr(skb));
	skb->ignore_df = 1;
	return 0;
}

/*
 * As knet_gather4(); but after an error other than -EINPROGRESS, the packet still
 * belongs to the caller, which must drop it.
 */
int knet_gather6(struct net *net, struct sk_buff *skb)
{
	return nf_ct_frag6_gather(net, skb, IP6_DEFRAG_CONNTRACK_IN);
}
