// SPDX-License-Identifier: GPL-2.0-only
/*
 * IPsec policies for the packets that the director forwards.
 *
 * They skip ip_forward() and ip_local_deliver(), which would check the policies.
 * So a received packet is checked before the director acts on it, and the policy
 * for its way out is applied when it gets its route.
 *
 * All of it runs in softirq inside an RCU read section, as netfilter hooks do.
 */

#include <linux/err.h>
#include <net/dst.h>
#include <net/flow.h>
#include <net/net_namespace.h>
#include <net/xfrm.h>

#include "helpers.h"
#include "ipsec.h"

#ifdef CONFIG_XFRM

static noinline bool knet_ipsec_check(struct sk_buff *skb, int family, bool reply)
{
	/* A server's reply is forwarded. */
	if (reply)
		return xfrm_policy_check(NULL, XFRM_POLICY_FWD, skb, family);
	/*
	 * A client's packet is for an address of this host, and is then forwarded.
	 * What IPsec has protected has met its policy with the first check.
	 */
	return xfrm_policy_check(NULL, XFRM_POLICY_IN, skb, family) &&
	       (secpath_exists(skb) || xfrm_policy_check(NULL, XFRM_POLICY_FWD, skb, family));
}

/*
 * Whether the policies for received packets allow this one, a server's @reply or
 * a client's packet. It must still have the addresses with which it arrived.
 */
bool knet_ipsec_allows(const struct net *net, struct sk_buff *skb, int family, bool reply)
{
	if (likely(!knet_has_policies(net, XFRM_POLICY_IN) &&
		   !knet_has_policies(net, XFRM_POLICY_FWD) && !secpath_exists(skb)))
		return true;
	/* This host has sent it. Its policies were those of the way out. */
	if (!skb->dev)
		return true;
	return knet_ipsec_check(skb, family, reply);
}

static void knet_set_address(struct flowi *fl, int family, const struct knet_address *address,
			     bool source)
{
	if (family == AF_INET)
		*(source ? &fl->u.ip4.saddr : &fl->u.ip4.daddr) = knet_ipv4(address);
	else
		*(source ? &fl->u.ip6.saddr : &fl->u.ip6.daddr) = *knet_ipv6(address);
}

static void knet_set_port(struct flowi *fl, int family, __be16 port, bool source)
{
	union flowi_uli *uli = family == AF_INET ? &fl->u.ip4.uli : &fl->u.ip6.uli;

	if (fl->flowi_proto == IPPROTO_TCP || fl->flowi_proto == IPPROTO_UDP)
		*(source ? &uli->ports.sport : &uli->ports.dport) = port;
}

/* The flow of the packet as it will leave, of a family that is that of its route. */
static int knet_ipsec_flow(struct net *net, struct sk_buff *skb, const struct knet_route *route,
			   const struct knet_hop *hop, int family, struct flowi *fl)
{
	bool reply = route->saddr.words[1];
	int err;

	if (route->wants_source) {
		memset(fl, 0, sizeof(*fl));
		fl->flowi_proto = route->protocol;
		fl->flowi_mark = skb->mark;
		knet_set_address(fl, family, &hop->source, true);
		knet_set_address(fl, family, &route->daddr, false);
		knet_set_port(fl, family, route->port, false);
		return 0;
	}
	err = xfrm_decode_session(net, skb, fl, family);
	if (err || route->direct)
		return err;
	knet_set_address(fl, family, reply ? &route->saddr : &route->daddr, reply);
	knet_set_port(fl, family, route->port, reply);
	return 0;
}

/*
 * Applies the policies for the way out: returns @dst, a route through the
 * transformations that a policy asks for, or NULL if a policy blocks the packet.
 * Takes over the reference to @dst, and returns one.
 */
struct dst_entry *knet_ipsec_route(struct net *net, struct sk_buff *skb,
				   const struct knet_route *route, const struct knet_hop *hop,
				   struct dst_entry *dst, int family)
{
	struct flowi fl;

	if (dst->flags & DST_NOXFRM)
		return dst;
	if (knet_ipsec_flow(net, skb, route, hop, family, &fl)) {
		dst_release(dst);
		return NULL;
	}
	fl.flowi_oif = dst_dev_rcu(dst)->ifindex;
	dst = xfrm_lookup(net, dst, &fl, NULL, XFRM_LOOKUP_QUEUE);
	return IS_ERR(dst) ? NULL : dst;
}

/*
 * The same for a packet that is rewritten on its way out, when it already has its
 * route. Returns false if a policy blocks it.
 */
bool knet_ipsec_reroute(struct net *net, struct sk_buff *skb, int family)
{
	struct dst_entry *dst = skb_dst(skb);
	struct flowi fl;

	if (likely(!dst || !knet_has_policies(net, XFRM_POLICY_OUT)))
		return true;
	/* The transformations of the flow that the packet had belonged to. */
	if (dst->xfrm)
		dst = ((struct xfrm_dst *)dst)->route;
	if (xfrm_decode_session(net, skb, &fl, family) || !dst_hold_safe(dst))
		return false;
	dst = xfrm_lookup(net, dst, &fl, skb->sk, XFRM_LOOKUP_QUEUE);
	if (IS_ERR(dst))
		return false;
	skb_dst_drop(skb);
	skb_dst_set(skb, dst);
	return true;
}

#else /* CONFIG_XFRM */

bool knet_ipsec_allows(const struct net *net, struct sk_buff *skb, int family, bool reply)
{
	return true;
}

struct dst_entry *knet_ipsec_route(struct net *net, struct sk_buff *skb,
				   const struct knet_route *route, const struct knet_hop *hop,
				   struct dst_entry *dst, int family)
{
	return dst;
}

bool knet_ipsec_reroute(struct net *net, struct sk_buff *skb, int family)
{
	return true;
}

#endif /* CONFIG_XFRM */
