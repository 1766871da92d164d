// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sending a packet on: its route, its encapsulation, its last step.
 *
 * All of it runs in softirq inside an RCU read section, as netfilter hooks do:
 * routes are borrowed from their cache and set on packets without a reference.
 */

#include <linux/icmp.h>
#include <linux/ip.h>
#include <linux/log2.h>
#include <linux/percpu.h>
#include <net/dst.h>
#include <net/gso.h>
#include <net/icmp.h>
#include <net/ip.h>
#include <net/ip_tunnels.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/route.h>

#include "helpers.h"

void knet_dst_release(struct dst_entry *dst)
{
	dst_release(dst);
}

static struct rtable *knet_lookup(struct net *net, const struct knet_route *route,
				  __be32 *source)
{
	struct flowi4 fl4 = {
		.daddr = route->daddr,
		.saddr = route->saddr,
		.flowi4_flags = FLOWI_FLAG_ANYSRC |
				(route->direct ? FLOWI_FLAG_KNOWN_NH : 0),
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
 * Fills the cache anew. The source may for one packet be that of the route
 * before the present one, when the route changes at this moment; both were
 * right for this host.
 */
static noinline struct dst_entry *knet_refresh(struct net *net,
					       const struct knet_route *route)
{
	struct dst_entry *old;
	struct rtable *rt;
	__be32 source;

	rt = knet_lookup(net, route, &source);
	if (rt && route->source)
		WRITE_ONCE(*route->source, source);
	old = unrcu_pointer(xchg(route->dst, RCU_INITIALIZER(rt ? &rt->dst : NULL)));
	dst_release(old);
	return rt ? &rt->dst : NULL;
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

static noinline enum knet_prepared knet_expired(struct net *net, struct sk_buff *skb)
{
	if (knet_route_back(net, skb))
		icmp_send(skb, ICMP_TIME_EXCEEDED, ICMP_EXC_TTL, 0);
	return KNET_EXPIRED;
}

static noinline enum knet_prepared knet_too_big(struct net *net, struct sk_buff *skb,
						unsigned int mtu)
{
	if (knet_route_back(net, skb))
		icmp_send(skb, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, htonl(mtu));
	return KNET_TOO_BIG;
}

/*
 * Finds the route, checks that the packet fits and may live on, sets the route
 * and makes the packet's beginning writable: all that can fail, before anything
 * is changed. @mtu receives the route's MTU.
 */
enum knet_prepared knet_prepare(struct net *net, struct sk_buff *skb,
				const struct knet_route *route, u32 *mtu)
{
	struct dst_entry *dst = rcu_dereference(*route->dst);
	unsigned int inner;

	if (unlikely(!dst || !dst_check(dst, 0))) {
		dst = knet_refresh(net, route);
		if (!dst)
			return KNET_NO_ROUTE;
	}
	if (unlikely(ip_hdr(skb)->ttl <= 1))
		return knet_expired(net, skb);
	*mtu = dst_mtu(dst);
	inner = *mtu - route->overhead;
	if (unlikely(!knet_fits(skb, inner)))
		return knet_too_big(net, skb, inner);
	if (unlikely(skb->len < route->writable ||
		     skb_ensure_writable(skb, route->writable)))
		return KNET_NOT_WRITABLE;

	skb_dst_drop(skb);
	skb_dst_set_noref(skb, dst);
	return skb->ip_summed == CHECKSUM_PARTIAL ? KNET_PREPARED_PARTIAL :
						    KNET_PREPARED;
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

static DEFINE_PER_CPU(u32, knet_identification);

/*
 * Identifies a packet that routers may fragment (RFC 6864): from a range of each
 * processor's own, where ip_select_ident() would have all of them write to one
 * line. Offloading numbers the pieces of a large packet from here on.
 */
static __be16 knet_identify(const struct sk_buff *skb)
{
	unsigned int order = 16 - order_base_2(nr_cpu_ids);
	u32 end = this_cpu_add_return(knet_identification,
				      skb_shinfo(skb)->gso_segs ?: 1);

	return htons(smp_processor_id() << order | (end & (BIT(order) - 1)));
}

/* IP in IP (RFC 2003): 0, or a negative error with the packet unsent. The route is set already. */
int knet_encapsulate_ipip(struct sk_buff *skb, __be32 daddr, __be32 saddr)
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
	outer->id = df ? 0 : knet_identify(skb);
	return 0;
}

/* The last step of a packet that was found fit for it: to its neighbour. */
static int knet_finish(struct net *net, struct sock *sk, struct sk_buff *skb)
{
	struct rtable *rt = skb_rtable(skb);
	__be32 next = rt->rt_gw_family ? rt->rt_gw4 : ip_hdr(skb)->daddr;
	struct neighbour *neighbour = ip_neigh_gw4(skb->dev, next);

	if (IS_ERR(neighbour)) {
		kfree_skb_reason(skb, SKB_DROP_REASON_NEIGH_CREATEFAIL);
		return PTR_ERR(neighbour);
	}
	IP_UPD_PO_STATS(net, IPSTATS_MIB_OUT, skb->len);
	return neigh_output(neighbour, skb, false);
}

/*
 * What dst_output() comes to for nearly all packets, without the detours:
 * nothing to transform, to segment or to fragment. POST_ROUTING sees them.
 * False, with nothing done, for all others.
 */
static bool knet_output_at_once(struct net *net, struct sk_buff *skb, u32 mtu)
{
	const struct dst_entry *dst = skb_dst(skb);
	const struct rtable *rt = dst_rtable(dst);
	struct net_device *in = skb->dev, *out = dst_dev_rcu(dst);

	if (dst->output != ip_output || dst->lwtstate ||
	    rt->rt_type != RTN_UNICAST || rt->rt_gw_family == AF_INET6 ||
	    skb->len > mtu || skb_is_gso(skb) ||
	    skb_headroom(skb) < LL_RESERVED_SPACE(out))
		return false;
	skb->dev = out;
	skb->protocol = htons(ETH_P_IP);
	NF_HOOK(NFPROTO_IPV4, NF_INET_POST_ROUTING, net, NULL, skb, in, out,
		knet_finish);
	return true;
}

/* Sends a packet that passes through: POST_ROUTING and out. Consumes it. */
void knet_send(struct net *net, struct sk_buff *skb, u32 mtu)
{
	knet_leave_tracking(skb);
	if (!knet_output_at_once(net, skb, mtu))
		dst_output(net, NULL, skb);
}

/* Sends a packet whose outer header is ours: LOCAL_OUT, POST_ROUTING and out. Consumes it. */
void knet_send_local(struct net *net, struct sk_buff *skb, u32 mtu)
{
	knet_leave_tracking(skb);
	if (rcu_access_pointer(net->nf.hooks_ipv4[NF_INET_LOCAL_OUT]) ||
	    netif_is_l3_slave(dst_dev_rcu(skb_dst(skb)))) {
		ip_local_out(net, NULL, skb);
		return;
	}
	ip_hdr(skb)->tot_len = htons(skb->len);
	ip_send_check(ip_hdr(skb));
	if (!knet_output_at_once(net, skb, mtu))
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
