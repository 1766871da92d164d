// SPDX-License-Identifier: GPL-2.0-only
/*
 * The route of a packet: looked up, remembered, and set when the packet fits it.
 *
 * All of it runs in softirq inside an RCU read section, as netfilter hooks do:
 * routes are borrowed from their cache and set on packets without a reference.
 */

#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <net/addrconf.h>
#include <net/dst.h>
#include <net/gso.h>
#include <net/icmp.h>
#include <net/ip.h>
#include <net/ip6_fib.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>
#include <net/route.h>

#include "helpers.h"

/* In a cache: some processor is filling it. */
#define KNET_FILLING ((struct dst_entry *)1)

static bool knet_is_route(const struct dst_entry *dst)
{
	return (unsigned long)dst > (unsigned long)KNET_FILLING;
}

void knet_dst_release(struct dst_entry *dst)
{
	if (knet_is_route(dst))
		dst_release(dst);
}

static void knet_set_ipv4(struct knet_address *to, __be32 address)
{
	ipv6_addr_set_v4mapped(address, (struct in6_addr *)to->words);
}

static struct dst_entry *knet_lookup4(struct net *net, const struct knet_route *route,
				      struct knet_address *source)
{
	struct flowi4 fl4 = {
		.daddr = knet_ipv4(&route->daddr),
		.saddr = knet_ipv4(&route->saddr),
		.flowi4_flags = FLOWI_FLAG_ANYSRC |
				(route->direct ? FLOWI_FLAG_KNOWN_NH : 0),
	};
	struct rtable *rt = ip_route_output_key(net, &fl4);

	if (IS_ERR(rt))
		return NULL;
	knet_set_ipv4(source, fl4.saddr);
	return &rt->dst;
}

static struct dst_entry *knet_lookup6(struct net *net, const struct knet_route *route,
				      struct knet_address *source)
{
	struct flowi6 fl6 = {
		.daddr = *knet_ipv6(&route->daddr),
		.saddr = *knet_ipv6(&route->saddr),
		.flowi6_flags = route->direct ? FLOWI_FLAG_KNOWN_NH : 0,
	};
	struct dst_entry *dst = ip6_route_output(net, NULL, &fl6);
	struct inet6_dev *idev;

	if (dst->error)
		goto unusable;
	if (route->source && ipv6_addr_any(&fl6.saddr)) {
		idev = ip6_dst_idev(dst);
		if (!idev || ipv6_dev_get_saddr(net, idev->dev, &fl6.daddr, 0, &fl6.saddr))
			goto unusable;
	}
	memcpy(source, &fl6.saddr, sizeof(*source));
	return dst;

unusable:
	dst_release(dst);
	return NULL;
}

static bool knet_is_local(const struct dst_entry *dst, int family)
{
	return family == AF_INET ? dst_rtable(dst)->rt_flags & RTCF_LOCAL :
				   dst_rt6_info(dst)->rt6i_flags & RTF_LOCAL;
}

/* The words of an address that others may be reading. */
static void knet_write_address(struct knet_address *to, const struct knet_address *from)
{
	WRITE_ONCE(to->words[0], from->words[0]);
	WRITE_ONCE(to->words[1], from->words[1]);
}

static void knet_read_address(struct knet_address *to, const struct knet_address *from)
{
	to->words[0] = READ_ONCE(from->words[0]);
	to->words[1] = READ_ONCE(from->words[1]);
}

/*
 * Looks the route up and fills the cache anew. One processor at a time fills a
 * cache, so that route, cookie and source in it belong together; a packet that
 * comes meanwhile keeps a route of its own, with the reference in *@own.
 */
static noinline struct dst_entry *knet_refresh(struct net *net,
					       const struct knet_route *route,
					       struct knet_address *source, int family,
					       struct dst_entry **own)
{
	struct dst_entry *dst, *old;

	dst = family == AF_INET ? knet_lookup4(net, route, source) :
				  knet_lookup6(net, route, source);
	old = unrcu_pointer(xchg(route->dst, RCU_INITIALIZER(KNET_FILLING)));
	if (old == KNET_FILLING) {
		*own = dst;
		return dst;
	}
	if (dst && family == AF_INET6)
		WRITE_ONCE(*route->cookie, rt6_get_cookie(dst_rt6_info(dst)));
	if (dst && route->source)
		knet_write_address(route->source, source);
	rcu_assign_pointer(*route->dst, dst);
	dst_release(old);
	return dst;
}

/*
 * The cached route if it still holds, else NULL, and its source, which only
 * tunnels need. A source that is not that of the route any more, since another
 * processor is filling the cache, is none.
 */
static __always_inline struct dst_entry *knet_cached(const struct knet_route *route,
						     struct knet_address *source, int family)
{
	struct dst_entry *dst = rcu_dereference(*route->dst);

	if (unlikely(!knet_is_route(dst)))
		return NULL;
	if (family == AF_INET) {
		/* An IPv4 address lies in one word. */
		if (route->overhead)
			source->words[1] = READ_ONCE(route->source->words[1]);
		return dst_check(dst, 0);
	}
	if (route->overhead) {
		/* Pairs with the xchg() and the release in knet_refresh(). */
		smp_rmb();
		knet_read_address(source, route->source);
		smp_rmb();
		if (rcu_access_pointer(*route->dst) != dst)
			return NULL;
	}
	return dst_check(dst, READ_ONCE(*route->cookie));
}

/* ICMP errors are sent along a route to the packet's sender; before routing there is none yet. */
static bool knet_route_back(struct net *net, struct sk_buff *skb)
{
	struct flowi4 fl4 = { .daddr = ip_hdr(skb)->saddr };
	struct rtable *rt;

	if (skb_dst(skb))
		return true;
	rt = ip_route_output_key(net, &fl4);
	if (IS_ERR(rt))
		return false;
	skb_dst_set(skb, &rt->dst);
	return true;
}

static __always_inline bool knet_fits(const struct sk_buff *skb, unsigned int mtu, int family,
				      bool tunnel)
{
	unsigned int largest_fragment;

	if (skb->len <= mtu)
		return true;
	if (family == AF_INET) {
		if (!(ip_hdr(skb)->frag_off & htons(IP_DF)))
			return true;
		largest_fragment = IPCB(skb)->frag_max_size;
	} else {
		largest_fragment = IP6CB(skb)->frag_max_size;
	}
	/*
	 * One that was put together from fragments leaves in such as it came in;
	 * through a tunnel it travels whole, in fragments of the tunnel's.
	 */
	if (largest_fragment)
		return largest_fragment <= mtu || (family == AF_INET6 && tunnel);
	return skb_is_gso(skb) && skb_gso_validate_network_len(skb, mtu);
}

static noinline enum knet_prepared knet_expired(struct net *net, struct sk_buff *skb, int family)
{
	if (family == AF_INET6)
		icmpv6_send(skb, ICMPV6_TIME_EXCEED, ICMPV6_EXC_HOPLIMIT, 0);
	else if (knet_route_back(net, skb))
		icmp_send(skb, ICMP_TIME_EXCEEDED, ICMP_EXC_TTL, 0);
	return KNET_EXPIRED;
}

static noinline enum knet_prepared knet_too_big(struct net *net, struct sk_buff *skb,
						unsigned int mtu, int family)
{
	if (family == AF_INET6)
		icmpv6_send(skb, ICMPV6_PKT_TOOBIG, 0, mtu);
	else if (knet_route_back(net, skb))
		icmp_send(skb, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, htonl(mtu));
	return KNET_TOO_BIG;
}

/* What the other knet_prepare…() do; the compiler knows both families. */
static __always_inline enum knet_prepared
knet_prepare(struct net *net, struct sk_buff *skb, const struct knet_route *route,
	     struct knet_hop *hop, int family, int outer_family)
{
	struct dst_entry *dst = knet_cached(route, &hop->source, outer_family), *own = NULL;
	enum knet_prepared failure;
	unsigned int inner;

	if (unlikely(!dst)) {
		dst = knet_refresh(net, route, &hop->source, outer_family, &own);
		if (!dst)
			return KNET_NO_ROUTE;
	}
	if (unlikely(knet_is_local(dst, outer_family))) {
		failure = KNET_LOCAL;
		goto fail;
	}
	if (unlikely((family == AF_INET ? ip_hdr(skb)->ttl : ipv6_hdr(skb)->hop_limit) <= 1)) {
		failure = knet_expired(net, skb, family);
		goto fail;
	}
	hop->mtu = dst_mtu(dst);
	inner = hop->mtu - route->overhead;
	/* All of IPv6 carries this much; a tunnel that does not is fragmented (RFC 2473 section 7.1). */
	if (family == AF_INET6 && route->overhead)
		inner = max_t(unsigned int, inner, IPV6_MIN_MTU);
	if (unlikely(!knet_fits(skb, inner, family, route->overhead)) &&
	    !(route->cut && family == AF_INET)) {
		failure = knet_too_big(net, skb, inner, family);
		goto fail;
	}
	if (unlikely(skb->len < route->writable ||
		     skb_ensure_writable(skb, route->writable))) {
		failure = KNET_NOT_WRITABLE;
		goto fail;
	}

	/* The host has recorded itself in an option, and counts that in when it forwards. */
	if (family == AF_INET && unlikely(IPCB(skb)->opt.is_changed)) {
		IPCB(skb)->opt.is_changed = 0;
		ip_send_check(ip_hdr(skb));
	}
	skb_dst_drop(skb);
	if (unlikely(own))
		skb_dst_set(skb, own);
	else
		skb_dst_set_noref(skb, dst);
	return skb->ip_summed == CHECKSUM_PARTIAL ? KNET_PREPARED_PARTIAL :
						    KNET_PREPARED;

fail:
	if (own)
		dst_release(own);
	return failure;
}

/*
 * Finds the route, checks that the packet fits and may live on, sets the route
 * and makes the packet's beginning writable: all that can fail, before anything
 * is changed. One for each pair of the packet's family and the route's.
 */
enum knet_prepared knet_prepare4(struct net *net, struct sk_buff *skb,
				 const struct knet_route *route, struct knet_hop *hop)
{
	return knet_prepare(net, skb, route, hop, AF_INET, AF_INET);
}

enum knet_prepared knet_prepare6(struct net *net, struct sk_buff *skb,
				 const struct knet_route *route, struct knet_hop *hop)
{
	return knet_prepare(net, skb, route, hop, AF_INET6, AF_INET6);
}

enum knet_prepared knet_prepare4in6(struct net *net, struct sk_buff *skb,
				    const struct knet_route *route, struct knet_hop *hop)
{
	return knet_prepare(net, skb, route, hop, AF_INET, AF_INET6);
}

enum knet_prepared knet_prepare6in4(struct net *net, struct sk_buff *skb,
				    const struct knet_route *route, struct knet_hop *hop)
{
	return knet_prepare(net, skb, route, hop, AF_INET6, AF_INET);
}

/* False when IPv6 was left out at boot: then none of it may be called. */
bool knet_ipv6_is_there(void)
{
	return ipv6_mod_enabled();
}

/* True for an address of this host. Process context. */
bool knet_address_is_local(struct net *net, const struct knet_address *address)
{
	if (ipv6_addr_v4mapped(knet_ipv6(address)))
		return inet_addr_type(net, knet_ipv4(address)) == RTN_LOCAL;
	return ipv6_chk_addr(net, knet_ipv6(address), NULL, 0);
}
