// SPDX-License-Identifier: GPL-2.0-only
/*
 * The route of a packet: looked up, cached, and set on the packet.
 *
 * All of it runs in softirq inside an RCU read section, as netfilter hooks do:
 * a packet borrows the route from the cache, without a reference. When a device
 * goes, the kernel makes the routes over it obsolete, so a cache keeps no device
 * for long; knet_route_forget() drops the rest.
 *
 * A cache is NULL, KNET_FILLING, or a route with a reference that the cache
 * owns. The reference is never lost, no matter how many CPUs use a cache:
 *
 * - Only knet_refresh() puts a reference in, and only into a cache that it found
 *   other than KNET_FILLING and set to that. It owns the cache until it stores
 *   the route.
 * - Code that takes a route out does so by atomic exchange, and so is the
 *   only one that releases it.
 * - knet_route_forget() leaves KNET_FILLING alone. Were it to write NULL there,
 *   a second CPU could begin to fill, and the later of the two stores would
 *   overwrite a route, and with it its reference.
 *
 * rust/lvs_core/tests/loom/route_cache.rs models this in all interleavings.
 */

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <net/addrconf.h>
#include <net/dst.h>
#include <net/gso.h>
#include <net/ip.h>
#include <net/ip6_fib.h>
#include <net/ip_fib.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>
#include <net/route.h>

#include "helpers.h"
#include "ingress.h"
#include "ipsec.h"
#include "needless.h"
#include "route.h"

/*
 * Takes the route out of the cache. A CPU that is filling the cache at this
 * moment stores its route afterwards. Any context.
 */
void knet_route_forget(struct knet_route_cache *cache)
{
	struct dst_entry *dst = rcu_access_pointer(cache->dst);

	/* Most have none: those of connections without replies. */
	while (knet_is_route(dst)) {
		struct dst_entry *found = unrcu_pointer(cmpxchg(&cache->dst, RCU_INITIALIZER(dst),
								NULL));

		if (found == dst) {
			dst_release(dst);
			return;
		}
		dst = found;
	}
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
		.flowi4_mark = route->mark,
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
		.flowi6_mark = route->mark,
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

/* Writes an address that other CPUs may be reading. */
static void knet_write_address(struct knet_address *to, const struct knet_address *from)
{
	WRITE_ONCE(to->words[0], from->words[0]);
	WRITE_ONCE(to->words[1], from->words[1]);
}

static noinline struct dst_entry *knet_lookup(struct net *net, const struct knet_route *route,
					      struct knet_address *source, int family)
{
	return family == AF_INET ? knet_lookup4(net, route, source) :
				   knet_lookup6(net, route, source);
}

/* False if no rule can give packets with different marks different routes. */
static bool knet_marks_matter(const struct net *net, int family)
{
	return family == AF_INET ? fib4_has_custom_rules(net) : fib6_has_custom_rules(net);
}

/*
 * Looks the route up and fills the cache. One CPU at a time fills a cache, so
 * that route, cookie and source in it belong together. Another CPU at the same
 * time keeps its own route, with the reference in *@own.
 */
static noinline struct dst_entry *knet_refresh(struct net *net,
					       const struct knet_route *route,
					       struct knet_address *source, int family,
					       struct dst_entry **own)
{
	struct knet_route_cache *cache = route->cache;
	struct dst_entry *dst, *old;

	dst = knet_lookup(net, route, source, family);
	old = unrcu_pointer(xchg(&cache->dst, RCU_INITIALIZER(KNET_FILLING)));
	if (old == KNET_FILLING) {
		*own = dst;
		return dst;
	}
	if (dst && family == AF_INET6)
		WRITE_ONCE(cache->cookie, rt6_get_cookie(dst_rt6_info(dst)));
	if (dst && route->source)
		knet_write_address(route->source, source);
	rcu_assign_pointer(cache->dst, dst);
	dst_release(old);
	return dst;
}

/*
 * @dst if it is valid and of @family, else NULL: a cache that was used for both
 * families is refilled, and its route never taken for one of the other. As
 * dst_check(), which asks for the family to find the function.
 */
static __always_inline struct dst_entry *knet_check(const struct net *net, struct dst_entry *dst,
						    u32 cookie, int family)
{
#ifdef CONFIG_MITIGATION_RETPOLINE
	if (family == AF_INET && likely(dst->ops->check == ipv4_dst_check)) {
		/* Nearly all. The route is one of @net, so it is what the function would find. */
		if (likely(READ_ONCE(dst->obsolete) == DST_OBSOLETE_FORCE_CHK &&
			   dst_rtable(dst)->rt_genid == rt_genid_ipv4(net)))
			return dst;
		return READ_ONCE(dst->obsolete) ? ipv4_dst_check(dst, cookie) : dst;
	}
#if IS_BUILTIN(CONFIG_IPV6)
	if (family == AF_INET6 && likely(dst->ops->check == ip6_dst_check))
		return READ_ONCE(dst->obsolete) ? ip6_dst_check(dst, cookie) : dst;
#endif
#endif
	if (dst->ops->family != family)
		return NULL;
	return dst_check(dst, cookie);
}

/*
 * The cached route if it is still valid, else NULL; and its source, if the
 * caller wants it. A source that may not belong to the route makes it NULL.
 */
static __always_inline struct dst_entry *knet_cached(const struct net *net,
						     const struct knet_route *route,
						     struct knet_address *source, int family)
{
	struct knet_route_cache *cache = route->cache;
	struct dst_entry *dst = rcu_dereference(cache->dst);

	if (unlikely(!knet_is_route(dst)))
		return NULL;
	if (route->wants_source && !knet_read_source(cache, dst, route->source, source, family))
		return NULL;
	return knet_check(net, dst, READ_ONCE(cache->cookie), family);
}

/*
 * The route of a packet, NULL if there is none. *@own is the route if the caller
 * has a reference, else NULL.
 */
static __always_inline struct dst_entry *knet_find(struct net *net, const struct knet_route *route,
						   struct knet_address *source, int family,
						   struct dst_entry **own)
{
	struct dst_entry *dst;

	*own = NULL;
	if (unlikely(route->mark) && knet_marks_matter(net, family)) {
		*own = knet_lookup(net, route, source, family);
		return *own;
	}
	dst = knet_cached(net, route, source, family);
	return likely(dst) ? dst : knet_refresh(net, route, source, family, own);
}

static __always_inline void knet_set_route(struct sk_buff *skb, struct dst_entry *dst,
					   struct dst_entry *own)
{
	skb_dst_drop(skb);
	if (unlikely(own))
		skb_dst_set(skb, own);
	else
		skb_dst_set_noref(skb, dst);
}

/* As dst_mtu(), without a call for a route that has no MTU of its own. */
static __always_inline u32 knet_mtu(const struct dst_entry *dst, int family)
{
	if (family == AF_INET && likely(knet_has_link_mtu4(dst)))
		return knet_link_mtu4(dst);
	return dst_mtu(dst);
}

/* As skb_ensure_writable(), without a call for a packet of which there is no copy. */
static __always_inline int knet_ensure_writable(struct sk_buff *skb, unsigned int len)
{
	if (likely(len <= skb_headlen(skb) && !skb_cloned(skb)))
		return 0;
	return skb_ensure_writable(skb, len);
}

/* The body of the other knet_prepare…(); both families are compile-time constants. */
static __always_inline enum knet_prepared
knet_prepare(struct net *net, struct sk_buff *skb, const struct knet_route *route,
	     struct knet_hop *hop, int family, int outer_family)
{
	struct dst_entry *own, *dst = knet_find(net, route, &hop->source, outer_family, &own);
	enum knet_prepared failure;

	if (unlikely(!dst))
		return KNET_NO_ROUTE;
	if (unlikely(knet_is_local(dst, outer_family))) {
		failure = KNET_LOCAL;
		goto fail;
	}
	if (unlikely(knet_has_policies(net, XFRM_POLICY_OUT))) {
		if (!own && !dst_hold_safe(dst))
			return KNET_NO_ROUTE;
		own = knet_ipsec_route(net, skb, route, hop, dst, outer_family);
		if (!own)
			return KNET_FORBIDDEN;
		dst = own;
	}
	hop->mtu = knet_mtu(dst, outer_family);
	if (unlikely(hop->mtu < route->sufficient_mtu)) {
		failure = KNET_UNCHECKED;
		goto fail;
	}
	if (unlikely(skb->len < route->writable ||
		     knet_ensure_writable(skb, route->writable))) {
		failure = KNET_NOT_WRITABLE;
		goto fail;
	}

	/* The host recorded its address in an option; forwarding updates the checksum. */
	if (family == AF_INET && unlikely(IPCB(skb)->opt.is_changed)) {
		IPCB(skb)->opt.is_changed = 0;
		ip_send_check(ip_hdr(skb));
	}
	knet_set_route(skb, dst, own);
	return skb->ip_summed == CHECKSUM_PARTIAL ? KNET_PREPARED_PARTIAL :
						    KNET_PREPARED;

fail:
	if (own)
		dst_release(own);
	return failure;
}

/*
 * Finds the route, sets it on the packet and makes the beginning of the packet
 * writable: all that can fail, before anything is changed. One function for each
 * pair of the packet's family and the route's.
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

/* Whether segmentation makes packets of at most @mtu bytes of this one. */
bool knet_segments_fit(const struct sk_buff *skb, unsigned int mtu)
{
	return skb_is_gso(skb) && skb_gso_validate_network_len(skb, mtu);
}

/*
 * The general form of knet_depart4() and knet_depart6(): gives a packet that was
 * received the cached route.
 */
static __always_inline enum knet_prepared knet_depart(struct net *net, struct sk_buff *skb,
						      const struct knet_route_cache *cache,
						      u32 writable, int family)
{
	struct dst_entry *dst = rcu_dereference(cache->dst);
	u32 mtu;

	if (unlikely(!knet_is_route(dst)))
		return KNET_UNCHECKED;
	dst = knet_check(net, dst, READ_ONCE(cache->cookie), family);
	if (unlikely(!dst || dst->lwtstate ||
		     (family == AF_INET ? !knet_is_unicast4(dst) : knet_is_local(dst, family))))
		return KNET_UNCHECKED;
	mtu = knet_mtu(dst, family);
	/* Offloads may have joined it of segments that fit. */
	if (unlikely(skb->len > mtu && !knet_segments_fit(skb, mtu)))
		return KNET_UNCHECKED;
	if (unlikely(skb->len < writable || knet_ensure_writable(skb, writable)))
		return KNET_UNCHECKED;
	skb_orphan(skb);
	knet_set_route(skb, dst, NULL);
	return skb->ip_summed == CHECKSUM_PARTIAL ? KNET_PREPARED_PARTIAL : KNET_PREPARED;
}

static noinline enum knet_prepared knet_depart4_unusual(struct net *net, struct sk_buff *skb,
							const struct knet_route_cache *cache,
							u32 writable, u32 len)
{
	return knet_receive4(net, skb, len) ? knet_depart(net, skb, cache, writable, AF_INET) :
					      KNET_UNCHECKED;
}

static noinline enum knet_prepared knet_depart6_unusual(struct net *net, struct sk_buff *skb,
							const struct knet_route_cache *cache,
							u32 writable, u32 len)
{
	return knet_receive6(net, skb, len) ? knet_depart(net, skb, cache, writable, AF_INET6) :
					      KNET_UNCHECKED;
}

/*
 * Whether a packet of @len bytes can get a route as it is, and its first @writable
 * bytes be written: nothing hangs on it, and nobody shares its data.
 */
static __always_inline bool knet_is_ready(const struct sk_buff *skb, u32 writable, u32 len)
{
	return skb->len == len && writable <= skb_headlen(skb) && !skb->cloned &&
	       !skb_dst(skb) && !((unsigned long)skb->destructor | (unsigned long)skb->sk);
}

static __always_inline enum knet_prepared knet_set_prepared(struct sk_buff *skb,
							    struct dst_entry *dst)
{
	skb_dst_set_noref(skb, dst);
	return skb->ip_summed == CHECKSUM_PARTIAL ? KNET_PREPARED_PARTIAL : KNET_PREPARED;
}

/*
 * Whether an outer header of @overhead bytes can be put before the packet as it is, and
 * no offload has to know of it.
 */
static __always_inline bool knet_takes_header(const struct sk_buff *skb,
					      const struct dst_entry *dst, u32 overhead)
{
	return skb->ip_summed != CHECKSUM_PARTIAL && !skb->encapsulation && !skb_is_gso(skb) &&
	       skb_headroom(skb) >= LL_RESERVED_SPACE(dst_dev_rcu(dst)) + overhead;
}

/*
 * Whether a packet of @len bytes can be received and get this route, if there is one, as
 * it is. The first @writable bytes are changed, and a tunnel puts @more before them.
 */
static __always_inline bool knet_departs4(const struct net *net, struct sk_buff *skb,
					  const struct dst_entry *dst, u32 writable, u32 len,
					  u32 more)
{
	return knet_is_plain_route4(net, dst) && knet_fits_link4(dst, len, more) &&
	       knet_is_ready(skb, writable, len) && knet_is_ordinary(net, skb) &&
	       knet_is_first(net->nf.hooks_ipv4);
}

/*
 * Receives a packet of @len bytes in the hook of a device, as knet_receive4(), and
 * gives it the cached route if that is valid, leads to another host, and lets the
 * packet pass as it is. Otherwise returns KNET_UNCHECKED, and the packet is unchanged
 * to all others. The packet has no mark. Afterwards it has no socket.
 *
 * Nearly all packets are ready without a call, so no register is saved for them.
 */
enum knet_prepared knet_depart4(struct net *net, struct sk_buff *skb,
				const struct knet_route_cache *cache, u32 writable, u32 len)
{
	struct dst_entry *dst = rcu_dereference(cache->dst);

	if (likely(knet_departs4(net, skb, dst, writable, len, 0))) {
		knet_set_received4(skb);
		return knet_set_prepared(skb, dst);
	}
	return knet_depart4_unusual(net, skb, cache, writable, len);
}

/*
 * The same for a packet that gets an outer IPv4 header, with the source that the route
 * prefers. Returns false, and the packet is unchanged, unless nothing has to be done
 * about it but to write the header.
 */
bool knet_depart4_ipip(struct net *net, struct sk_buff *skb, const struct knet_route_cache *cache,
		       const struct knet_address *cached, struct knet_address *source, u32 len)
{
	const u32 overhead = sizeof(struct iphdr);
	struct dst_entry *dst = rcu_dereference(cache->dst);

	if (!likely(knet_departs4(net, skb, dst, sizeof(struct iphdr), len, overhead) &&
		    knet_takes_header(skb, dst, overhead) &&
		    knet_read_source(cache, dst, cached, source, AF_INET)))
		return false;
	knet_set_received4(skb);
	skb_dst_set_noref(skb, dst);
	return true;
}

static __always_inline bool knet_departs6(const struct net *net, struct sk_buff *skb,
					  const struct dst_entry *dst, u32 cookie, u32 writable,
					  u32 len, u32 sent)
{
	return knet_is_route(dst) && dst->ops->family == AF_INET6 &&
	       knet_is_valid6(dst, cookie) && !knet_is_local(dst, AF_INET6) &&
	       knet_link_mtu6_suffices(dst, sent) && knet_is_ready(skb, writable, len) &&
	       knet_is_ordinary(net, skb) && knet_is_first(net->nf.hooks_ipv6) &&
	       knet_receives_ipv6(skb->dev);
}

enum knet_prepared knet_depart6(struct net *net, struct sk_buff *skb,
				const struct knet_route_cache *cache, u32 writable, u32 len)
{
	struct dst_entry *dst = rcu_dereference(cache->dst);

	if (likely(knet_departs6(net, skb, dst, READ_ONCE(cache->cookie), writable, len, len))) {
		knet_set_received6(skb);
		return knet_set_prepared(skb, dst);
	}
	return knet_depart6_unusual(net, skb, cache, writable, len);
}

bool knet_depart6_ipip(struct net *net, struct sk_buff *skb, const struct knet_route_cache *cache,
		       const struct knet_address *cached, struct knet_address *source, u32 len)
{
	const u32 overhead = sizeof(struct ipv6hdr);
	struct dst_entry *dst = rcu_dereference(cache->dst);

	if (!likely(knet_departs6(net, skb, dst, READ_ONCE(cache->cookie), sizeof(struct ipv6hdr),
				  len, len + overhead) &&
		    knet_takes_header(skb, dst, overhead) &&
		    knet_read_source(cache, dst, cached, source, AF_INET6)))
		return false;
	knet_set_received6(skb);
	skb_dst_set_noref(skb, dst);
	return true;
}

/* Whether a packet with a mark may have a route of its own. */
bool knet_marks_matter4(const struct net *net)
{
	return knet_marks_matter(net, AF_INET);
}

bool knet_marks_matter6(const struct net *net)
{
	return knet_marks_matter(net, AF_INET6);
}

static __always_inline enum knet_prepared knet_redirect(struct net *net, struct sk_buff *skb,
							const struct knet_route *route, int family)
{
	struct knet_address source;
	struct dst_entry *own, *dst = knet_find(net, route, &source, family, &own);

	if (!dst)
		return KNET_NO_ROUTE;
	if (knet_is_local(dst, family)) {
		if (own)
			dst_release(own);
		return KNET_LOCAL;
	}
	/* The packet leaves the hook, and at LOCAL_OUT the RCU section too. */
	if (!own && !dst_hold_safe(dst))
		return KNET_NO_ROUTE;
	knet_set_route(skb, dst, dst);
	return skb_cow_head(skb, LL_RESERVED_SPACE(dst_dev_rcu(dst))) ? KNET_NOT_WRITABLE :
									KNET_PREPARED;
}

/*
 * Gives a packet that this host forwards or sends another route, to the same
 * destination, before it has left the hook.
 */
enum knet_prepared knet_redirect4(struct net *net, struct sk_buff *skb,
				  const struct knet_route *route)
{
	return knet_redirect(net, skb, route, AF_INET);
}

enum knet_prepared knet_redirect6(struct net *net, struct sk_buff *skb,
				  const struct knet_route *route)
{
	return knet_redirect(net, skb, route, AF_INET6);
}

/* A packet of this host with a new destination gets the route there. False: there is none. */
bool knet_route_again4(struct net *net, struct sk_buff *skb)
{
	return !ip_route_me_harder(net, skb->sk, skb, RTN_UNSPEC);
}

bool knet_route_again6(struct net *net, struct sk_buff *skb)
{
	return !ip6_route_me_harder(net, skb->sk, skb);
}

/* False if IPv6 was disabled at boot: then none of its functions may be called. */
bool knet_ipv6_enabled(void)
{
	return ipv6_mod_enabled();
}

/* Whether this is an address of this host. Process context. */
bool knet_address_is_local(struct net *net, const struct knet_address *address)
{
	if (ipv6_addr_v4mapped(knet_ipv6(address)))
		return inet_addr_type(net, knet_ipv4(address)) == RTN_LOCAL;
	return ipv6_chk_addr(net, knet_ipv6(address), NULL, 0);
}

/* Whether this is the address of one host, and not of this one. Any context, under RCU. */
bool knet_address_is_elsewhere(struct net *net, const struct knet_address *address)
{
	const struct in6_addr *v6 = knet_ipv6(address);

	if (ipv6_addr_v4mapped(v6))
		return inet_addr_type(net, knet_ipv4(address)) == RTN_UNICAST;
	return ipv6_addr_type(v6) & IPV6_ADDR_UNICAST && !ipv6_addr_loopback(v6) &&
	       !ipv6_chk_addr(net, v6, NULL, 0);
}
