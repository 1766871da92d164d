/* SPDX-License-Identifier: GPL-2.0-only */
/* IPsec policies, for the other shims: see ipsec.c. */
#ifndef KNET_IPSEC_H
#define KNET_IPSEC_H

#include <net/net_namespace.h>
#include <net/xfrm.h>

#include "helpers.h"

/* Whether packets in this direction must be checked. */
static inline bool knet_has_policies(const struct net *net, int direction)
{
#ifdef CONFIG_XFRM
	return READ_ONCE(net->xfrm.policy_count[direction]) ||
	       READ_ONCE(net->xfrm.policy_default[direction]) != XFRM_USERPOLICY_ACCEPT;
#else
	return false;
#endif
}

/* The same for packets that are forwarded. */
static __always_inline bool knet_has_any_policies(const struct net *net)
{
#ifdef CONFIG_XFRM
	const unsigned int *count = net->xfrm.policy_count;
	const u8 *by_default = net->xfrm.policy_default;

	/* Few instructions: no other value has the bit of ACCEPT. */
	BUILD_BUG_ON(XFRM_USERPOLICY_ACCEPT != 2 || XFRM_USERPOLICY_BLOCK != 1);
	return (count[XFRM_POLICY_IN] | count[XFRM_POLICY_FWD] | count[XFRM_POLICY_OUT]) ||
	       (by_default[XFRM_POLICY_IN] & by_default[XFRM_POLICY_FWD] &
		by_default[XFRM_POLICY_OUT]) != XFRM_USERPOLICY_ACCEPT;
#else
	return false;
#endif
}

struct dst_entry *knet_ipsec_route(struct net *net, struct sk_buff *skb,
				   const struct knet_route *route, const struct knet_hop *hop,
				   struct dst_entry *dst, int family);

#endif /* KNET_IPSEC_H */
