// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sending a packet on: its route, its encapsulation, its last step.
 *
 * All of it runs in softirq inside an RCU read section, as netfilter hooks do:
 * routes are borrowed from their cache and set on packets without a reference.
 */

#include <linux/icmp.h>
#include <linux/ip.h>
#include <net/dst.h>
#include <net/gso.h>
#include <net/icmp.h>
#include <net/ip.h>
#include <net/ip_tunnels.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/route.h>

#include "helpers.h"

void knet_route_release(struct knet_route *route)
{
	struct dst_entry *dst;

	dst = unrcu_pointer(xchg(&route->dst, NULL));
	dst_release(dst);
}

static struct rtable *knet_lookup(struct net *net, __be32 daddr, __be32 saddr,
				  __u8 flags, __be32 *source)
{
	struct flowi4 fl4 = {
		.daddr = daddr,
		.saddr = saddr,
		.flowi4_flags = FLOWI_FLAG_ANYSRC | flags,
	};
	struct rtable *rt = ip_route_output_key(net, &fl4);

	if (IS_ERR(rt))
		return NULL;
	if (rt->rt_flags & RTCF_LOCAL) {
		ip_rt_put(rt);
		return NULL;
	}
	*source = fl4.saddr;
	return rt;
}

/*
 * The source may for one packet be that of the route before the present one,
 * when the route changes at this moment; both were right for this host.
 */
static struct dst_entry *knet_cached(struct net *net, struct knet_route *cache,
				     __be32 daddr, __u8 flags, __be32 *source)
{
	struct dst_entry *dst = rcu_dereference(cache->dst);
	struct rtable *rt;

	if (likely(dst) && likely(dst_check(dst, 0))) {
		*source = READ_ONCE(cache->source);
		return dst;
	}
	rt = knet_lookup(net, daddr, 0, flags, source);
	if (!rt) {
		knet_route_release(cache);
		return NULL;
	}
	WRITE_ONCE(cache->source, *source);
	dst = unrcu_pointer(xchg(&cache->dst, RCU_INITIALIZER(&rt->dst)));
	dst_release(dst);
	return &rt->dst;
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

static bool knet_fits(const struct sk_buff *skb, unsigned int mtu)
{
	if (skb->len <= mtu || !(ip_hdr(skb)->frag_off & htons(IP_DF)))
		return true;
	return skb_is_gso(skb) && skb_gso_validate_network_len(skb, mtu);
}

/*
 * Finds the route to @daddr, through @cache when there is one, checks that a
 * packet grown by @overhead bytes fits and may live on, and sets the route.
 * With @direct the neighbour is @daddr whatever destination the packet itself
 * has. @source receives the address of ours that the route prefers.
 */
enum knet_route_result knet_route_packet(struct net *net, struct sk_buff *skb,
					 struct knet_route *cache, __be32 daddr,
					 __be32 saddr, unsigned int overhead,
					 bool direct, __be32 *source)
{
	__u8 flags = direct ? FLOWI_FLAG_KNOWN_NH : 0;
	struct dst_entry *dst;
	struct rtable *rt = NULL;
	unsigned int mtu;

	if (cache) {
		dst = knet_cached(net, cache, daddr, flags, source);
		if (!dst)
			return KNET_NO_ROUTE;
	} else {
		rt = knet_lookup(net, daddr, saddr, flags, source);
		if (!rt)
			return KNET_NO_ROUTE;
		dst = &rt->dst;
	}

	if (ip_hdr(skb)->ttl <= 1) {
		if (knet_route_back(net, skb))
			icmp_send(skb, ICMP_TIME_EXCEEDED, ICMP_EXC_TTL, 0);
		ip_rt_put(rt);
		return KNET_EXPIRED;
	}
	mtu = dst_mtu(dst) - overhead;
	if (unlikely(!knet_fits(skb, mtu))) {
		if (knet_route_back(net, skb))
			icmp_send(skb, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED,
				  htonl(mtu));
		ip_rt_put(rt);
		return KNET_TOO_BIG;
	}

	skb_dst_drop(skb);
	if (rt)
		skb_dst_set(skb, dst);
	else
		skb_dst_set_noref(skb, dst);
	return KNET_ROUTED;
}

/*
 * The director's own entry stands for the connection: conntrack has no part in
 * what it sends on, nor has a socket of this host that early demultiplexing found.
 */
static void knet_leave_tracking(struct sk_buff *skb)
{
#if IS_ENABLED(CONFIG_NF_CONNTRACK)
	nf_conntrack_put(skb_nfct(skb));
	nf_ct_set(skb, NULL, IP_CT_UNTRACKED);
#endif
	skb_orphan(skb);
	skb_forward_csum(skb);
	skb_clear_tstamp(skb);
}

/* IP in IP (RFC 2003): 0, or a negative error with the packet unsent. The route is set already. */
int knet_encapsulate_ipip(struct net *net, struct sk_buff *skb, __be32 daddr,
			  __be32 saddr)
{
	const struct dst_entry *dst = skb_dst(skb);
	const struct iphdr *inner = ip_hdr(skb);
	__be16 df = inner->frag_off & htons(IP_DF);
	struct iphdr *outer;
	u8 tos = inner->tos;
	u8 ttl = inner->ttl;
	int err;

	skb_orphan(skb);
	err = skb_cow_head(skb, LL_RESERVED_SPACE(dst->dev) + dst->header_len +
				sizeof(*outer));
	if (err)
		return err;
	err = iptunnel_handle_offloads(skb, SKB_GSO_IPXIP4);
	if (err)
		return err;
	skb_set_inner_ipproto(skb, IPPROTO_IPIP);
	skb_push(skb, sizeof(*outer));
	skb_reset_network_header(skb);
	skb_set_transport_header(skb, sizeof(*outer));
	memset(&IPCB(skb)->opt, 0, sizeof(IPCB(skb)->opt));
	IPCB(skb)->flags &= ~(IPSKB_XFRM_TUNNEL_SIZE | IPSKB_XFRM_TRANSFORMED |
			      IPSKB_REROUTED);

	outer = ip_hdr(skb);
	outer->version = 4;
	outer->ihl = sizeof(*outer) / 4;
	outer->tos = tos;
	outer->frag_off = df;
	outer->protocol = IPPROTO_IPIP;
	outer->daddr = daddr;
	outer->saddr = saddr;
	outer->ttl = ttl;
	ip_select_ident(net, skb, NULL);
	return 0;
}

/* Sends a packet that passes through: POST_ROUTING and out. Consumes it. */
void knet_send(struct net *net, struct sk_buff *skb)
{
	knet_leave_tracking(skb);
	dst_output(net, NULL, skb);
}

/* Sends a packet whose outer header is ours: LOCAL_OUT, POST_ROUTING and out. Consumes it. */
void knet_send_local(struct net *net, struct sk_buff *skb)
{
	knet_leave_tracking(skb);
	ip_local_out(net, NULL, skb);
}

/* For a packet that has been routed to this host. */
void knet_port_unreachable(struct sk_buff *skb)
{
	icmp_send(skb, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, 0);
}

/* True for an address of this host. Process context. */
bool knet_address_is_local(struct net *net, __be32 address)
{
	return inet_addr_type(net, address) == RTN_LOCAL;
}
