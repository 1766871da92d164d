/* SPDX-License-Identifier: GPL-2.0-only */
/* Cached routes: see route.c. */
#ifndef KNET_ROUTE_H
#define KNET_ROUTE_H

#include <linux/netdevice.h>
#include <net/addrconf.h>
#include <net/dst.h>
#include <net/ip.h>
#include <net/ip6_fib.h>
#include <net/route.h>

#include "helpers.h"

/* In a cache: a CPU is filling it. */
#define KNET_FILLING ((struct dst_entry *)1)

static inline bool knet_is_route(const struct dst_entry *dst)
{
	return (unsigned long)dst > (unsigned long)KNET_FILLING;
}

static __always_inline bool knet_is_local(const struct dst_entry *dst, int family)
{
	return family == AF_INET ? dst_rtable(dst)->rt_flags & RTCF_LOCAL :
				   dst_rt6_info(dst)->rt6i_flags & RTF_LOCAL;
}

/* Whether the MTU of the route is that of the device. */
static __always_inline bool knet_has_link_mtu4(const struct dst_entry *dst)
{
	return !dst_rtable(dst)->rt_pmtu && !ip_mtu_locked(dst) &&
	       !(dst_metric_raw(dst, RTAX_MTU) | (unsigned long)dst->lwtstate);
}

static __always_inline u32 knet_link_mtu4(const struct dst_entry *dst)
{
	return min_t(u32, READ_ONCE(dst_dev_rcu(dst)->mtu), IP_MAX_MTU);
}

/*
 * Whether a packet of @len bytes and @more of a tunnel is at most as long. @len is at most
 * IP_MAX_MTU.
 */
static __always_inline bool knet_fits_link4(const struct dst_entry *dst, u32 len, u32 more)
{
	return len + more <= READ_ONCE(dst_dev_rcu(dst)->mtu) &&
	       (!more || len + more <= IP_MAX_MTU);
}

/* Whether the route leads to another host: neither to this one nor to several. */
static __always_inline bool knet_is_unicast4(const struct dst_entry *dst)
{
	return dst_rtable(dst)->rt_type == RTN_UNICAST;
}

/*
 * Whether what a cache has is a valid route to another host without an MTU of its
 * own. As in knet_check(), it is one of @net.
 */
static __always_inline bool knet_is_plain_route4(const struct net *net,
						 const struct dst_entry *dst)
{
	return knet_is_route(dst) && dst->ops->family == AF_INET &&
	       READ_ONCE(dst->obsolete) == DST_OBSOLETE_FORCE_CHK &&
	       dst_rtable(dst)->rt_genid == rt_genid_ipv4(net) && knet_is_unicast4(dst) &&
	       knet_has_link_mtu4(dst);
}

/* As ip6_dst_check() without a call, for a route that nothing ends but a change of routing. */
static __always_inline bool knet_is_valid6(const struct dst_entry *dst, u32 cookie)
{
	const struct rt6_info *rt = dst_rt6_info(dst);
	const struct fib6_info *from = rcu_dereference(rt->from);
	const struct fib6_node *node;
	bool valid;

	if (rt->sernum || READ_ONCE(dst->obsolete) != DST_OBSOLETE_FORCE_CHK ||
	    rt->rt6i_flags & RTF_EXPIRES || !from || from->fib6_flags & RTF_EXPIRES)
		return false;
	node = rcu_dereference(from->fib6_node);
	valid = node && (u32)READ_ONCE(node->fn_sernum) == cookie;
	/* As in fib6_get_cookie_safe(). */
	smp_rmb();
	return valid;
}

/* Whether the MTU of the route is that of IPv6 on the device, and sufficient. */
static __always_inline bool knet_link_mtu6_suffices(const struct dst_entry *dst, u32 len)
{
	const struct inet6_dev *idev = __in6_dev_get(dst_dev_rcu(dst));

	return !dst_metric_raw(dst, RTAX_MTU) && !dst->lwtstate && idev &&
	       len <= READ_ONCE(idev->cnf.mtu6);
}

static __always_inline void knet_read_address(struct knet_address *to,
					      const struct knet_address *from)
{
	to->words[0] = READ_ONCE(from->words[0]);
	to->words[1] = READ_ONCE(from->words[1]);
}

/*
 * Reads the address that the cached route @dst prefers. False: another CPU is
 * filling the cache, so it may belong to another route.
 */
static __always_inline bool knet_read_source(const struct knet_route_cache *cache,
					     const struct dst_entry *dst,
					     const struct knet_address *cached,
					     struct knet_address *source, int family)
{
	/* Pairs with the release in knet_refresh(). */
	smp_rmb();
	if (family == AF_INET) {
		/* An IPv4 address is one word, so it is never half of another. */
		source->words[1] = READ_ONCE(cached->words[1]);
		return true;
	}
	knet_read_address(source, cached);
	/* Pairs with the xchg() in knet_refresh(). */
	smp_rmb();
	return rcu_access_pointer(cache->dst) == dst;
}

#endif /* KNET_ROUTE_H */
