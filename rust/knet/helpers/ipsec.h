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
static inline bool knet_has_any_policies(const struct net *net)
{
#ifdef CONFIG_XFRM
	/* One branch for all, since nearly all packets take the same one. */
	return READ_ONCE(net->xfrm.policy_count[XFRM_POLICY_IN]) |
	       READ_ONCE(net->xfrm.policy_count[XFRM_POLICY_FWD]) |
	       READ_ONCE(net->xfrm.policy_count[XFRM_POLICY_OUT]) |
	       (READ_ONCE(net->xfrm.policy_default[XFRM_POLICY_IN]) ^ XFRM_USERPOLICY_ACCEPT) |
	       (READ_ONCE(net->xfrm.policy_default[XFRM_POLICY_FWD]) ^ XFRM_USERPOLICY_ACCEPT) |
	       (READ_ONCE(net->xfrm.policy_default[XFRM_POLICY_OUT]) ^ XFRM_USERPOLICY_ACCEPT);
#else
	return false;
#endif
}

struct dst_entry *knet_ipsec_route(struct net *net, struct sk_buff *skb,
				   const struct knet_route *route, const struct knet_hop *hop,
				   struct dst_entry *dst, int family);

#endif /* KNET_IPSEC_H */
