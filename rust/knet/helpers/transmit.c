// SPDX-License-Identifier: GPL-2.0-only
/*
 * The last steps of a packet that has its route: POST_ROUTING and out.
 *
 * All of it runs in softirq inside an RCU read section, as netfilter hooks do.
 */

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <net/dst.h>
#include <net/ip.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>
#include <net/ndisc.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/netfilter/nf_conntrack_core.h>
#include <net/netfilter/nf_conntrack_zones.h>
#include <net/route.h>

#include "helpers.h"
#include "ingress.h"
#include "needless.h"

static __always_inline void knet_give_up(struct sk_buff *skb)
{
#if IS_ENABLED(CONFIG_NF_CONNTRACK)
	nf_conntrack_put(skb_nfct(skb));
	nf_ct_set(skb, NULL, IP_CT_UNTRACKED);
#endif
}

/* The director has an entry of its own for the connection: conntrack gives this packet up. */
void knet_untrack(struct sk_buff *skb)
{
	knet_give_up(skb);
}

/*
 * Unless @track is set, conntrack does not see the packets that the director
 * sends. A socket that early demultiplexing found does not, either.
 */
static __always_inline void knet_let_go(struct sk_buff *skb, bool track)
{
	if (likely(!track))
		knet_give_up(skb);
	/* A packet of a program on this host has no device yet, and stays with its socket. */
	if (likely(skb->dev)) {
		skb_orphan(skb);
		skb_clear_tstamp(skb);
	}
	skb_forward_csum(skb);
}

#if IS_ENABLED(CONFIG_NF_CONNTRACK)
static bool knet_is_source(const struct nf_conntrack_tuple *tuple,
			   const struct knet_address *address, __be16 port)
{
	if (tuple->src.u.all != port)
		return false;
	if (tuple->src.l3num == NFPROTO_IPV4)
		return tuple->src.u3.ip == knet_ipv4(address);
	return ipv6_addr_equal(&tuple->src.u3.in6, knet_ipv6(address));
}

/*
 * Conntrack begins anew with this packet: its entry is that of a connection that
 * had another server. Returns false if the packet must be dropped.
 */
static noinline bool knet_track_anew(struct net *net, struct sk_buff *skb, struct nf_conn *ct)
{
	struct nf_hook_state state = {
		.hook = NF_INET_PRE_ROUTING,
		.pf = nf_ct_l3num(ct),
		.net = net,
	};

	nf_ct_kill(ct);
	nf_conntrack_put(skb_nfct(skb));
	nf_ct_set(skb, NULL, 0);
	return nf_conntrack_in(skb, &state) == NF_ACCEPT;
}
#endif

/*
 * Tells conntrack that replies come from this address and port, if the packet is
 * a client's. To be called before the packet is changed. Returns false if it must
 * be dropped.
 */
bool knet_track_server(struct net *net, struct sk_buff *skb, const struct knet_address *address,
		       __be16 port)
{
#if IS_ENABLED(CONFIG_NF_CONNTRACK)
	struct nf_conntrack_tuple reply;
	enum ip_conntrack_info info;
	struct nf_conn *ct = nf_ct_get(skb, &info);

	if (!ct || nf_ct_is_template(ct) || CTINFO2DIR(info) != IP_CT_DIR_ORIGINAL)
		return true;
	if (nf_ct_is_confirmed(ct)) {
		if (likely(!nf_ct_is_dying(ct) &&
			   knet_is_source(nf_ct_tuple(ct, IP_CT_DIR_REPLY), address, port)))
			return true;
		if (!knet_track_anew(net, skb, ct))
			return false;
		ct = nf_ct_get(skb, &info);
		/* Conntrack takes it for invalid, or has met an entry of another CPU. */
		if (!ct || nf_ct_is_confirmed(ct) || CTINFO2DIR(info) != IP_CT_DIR_ORIGINAL)
			return true;
	}
	reply = *nf_ct_tuple(ct, IP_CT_DIR_REPLY);
	if (nf_ct_l3num(ct) == NFPROTO_IPV4)
		reply.src.u3.ip = knet_ipv4(address);
	else
		reply.src.u3.in6 = *knet_ipv6(address);
	reply.src.u.all = port;
	nf_conntrack_alter_reply(ct, &reply);
#endif
	return true;
}

/* A connection is over: so is conntrack's entry of the client's packets. */
void knet_end_tracking(struct net *net, const struct knet_tracked *flow)
{
#if IS_ENABLED(CONFIG_NF_CONNTRACK)
	struct nf_conntrack_tuple tuple = {
		.src.l3num = flow->family,
		.src.u.all = flow->client_port,
		.dst.u.all = flow->service_port,
		.dst.protonum = flow->protocol,
		.dst.dir = IP_CT_DIR_ORIGINAL,
	};
	struct nf_conntrack_tuple_hash *found;
	struct nf_conn *ct;

	if (flow->family == NFPROTO_IPV4) {
		tuple.src.u3.ip = knet_ipv4(&flow->client);
		tuple.dst.u3.ip = knet_ipv4(&flow->service);
	} else {
		tuple.src.u3.in6 = *knet_ipv6(&flow->client);
		tuple.dst.u3.in6 = *knet_ipv6(&flow->service);
	}
	found = nf_conntrack_find_get(net, &nf_ct_zone_dflt, &tuple);
	if (!found)
		return;
	ct = nf_ct_tuplehash_to_ctrack(found);
	if (NF_CT_DIRECTION(found) == IP_CT_DIR_ORIGINAL)
		nf_ct_kill(ct);
	nf_ct_put(ct);
#endif
}

/*
 * Confirms the tracked connection of a packet that is about to be encapsulated:
 * it does not reach POST_ROUTING by itself. Returns false if the packet must be
 * dropped, since another packet of the connection was confirmed first.
 */
bool knet_track_tunneled(struct sk_buff *skb)
{
#if IS_ENABLED(CONFIG_NF_CONNTRACK)
	return nf_conntrack_confirm(skb) == NF_ACCEPT;
#else
	return true;
#endif
}

/*
 * POST_ROUTING may have given the packet another route: through IPsec, if source
 * NAT made it one of a flow with a policy. Such a packet has passed it.
 */
static bool knet_is_transformed(const struct sk_buff *skb)
{
#ifdef CONFIG_XFRM
	return skb_dst(skb)->xfrm;
#else
	return false;
#endif
}

/* Hands the packet to its neighbor. */
static __always_inline void knet_finish4(struct net *net, struct sk_buff *skb)
{
	struct rtable *rt = skb_rtable(skb);
	__be32 next = rt->rt_gw_family ? rt->rt_gw4 : ip_hdr(skb)->daddr;
	struct neighbour *neighbour = ip_neigh_gw4(skb->dev, next);

	if (IS_ERR(neighbour)) {
		kfree_skb_reason(skb, SKB_DROP_REASON_NEIGH_CREATEFAIL);
		return;
	}
	IP_UPD_PO_STATS(net, IPSTATS_MIB_OUT, skb->len);
	neigh_output(neighbour, skb, false);
}

static __always_inline void knet_finish6(struct net *net, struct sk_buff *skb)
{
	struct rt6_info *rt = dst_rt6_info(skb_dst(skb));
	const struct in6_addr *next = rt6_nexthop(rt, &ipv6_hdr(skb)->daddr);
	struct neighbour *neighbour = ip_neigh_gw6(skb->dev, next);

	if (IS_ERR(neighbour)) {
		kfree_skb_reason(skb, SKB_DROP_REASON_NEIGH_CREATEFAIL);
		return;
	}
	IP6_UPD_PO_STATS(net, ip6_dst_idev(&rt->dst), IPSTATS_MIB_OUT, skb->len);
	neigh_output(neighbour, skb, false);
}

/* Passes POST_ROUTING, where somebody needs to see the packet. Returns true if it goes on. */
static noinline bool knet_post_routing(u8 family, struct net *net, struct sk_buff *skb,
				       struct net_device *in)
{
	if (family == NFPROTO_IPV4)
		return nf_hook(NFPROTO_IPV4, NF_INET_POST_ROUTING, net, NULL, skb, in, skb->dev,
			       ip_output) == 1;
	return nf_hook(NFPROTO_IPV6, NF_INET_POST_ROUTING, net, NULL, skb, in, skb->dev,
		       ip6_output) == 1;
}

/*
 * The short form of dst_output(), for packets that need not be transformed,
 * segmented or fragmented: nearly all. They pass POST_ROUTING. Returns false, and
 * does nothing, for all others.
 *
 * A packet that a program holds in a queue (NFQUEUE) at POST_ROUTING may leave it
 * after this module is unloaded. So the function that it continues with then is
 * the kernel's ip_output(), which skips POST_ROUTING for a packet with the flag
 * REROUTED.
 */
static __always_inline bool knet_output4_at_once(struct net *net, struct sk_buff *skb, u32 mtu)
{
	const struct dst_entry *dst = skb_dst(skb);
	const struct rtable *rt = dst_rtable(dst);
	struct net_device *in = skb->dev, *out = dst_dev_rcu(dst);

	if (dst->output != ip_output || dst->lwtstate ||
	    rt->rt_type != RTN_UNICAST || rt->rt_gw_family == AF_INET6 ||
	    IPCB(skb)->frag_max_size || skb->len > mtu || skb_is_gso(skb) ||
	    skb_headroom(skb) < LL_RESERVED_SPACE(out))
		return false;
	skb->dev = out;
	skb->protocol = htons(ETH_P_IP);
	IPCB(skb)->flags |= IPSKB_REROUTED;
	if (knet_passes_post_routing(net->nf.hooks_ipv4, skb) &&
	    !knet_post_routing(NFPROTO_IPV4, net, skb, in))
		return true;
	if (unlikely(knet_is_transformed(skb)))
		dst_output(net, NULL, skb);
	else
		knet_finish4(net, skb);
	return true;
}

static __always_inline bool knet_output6_at_once(struct net *net, struct sk_buff *skb, u32 mtu)
{
	const struct dst_entry *dst = skb_dst(skb);
	const struct inet6_dev *idev = ip6_dst_idev(dst);
	struct net_device *in = skb->dev, *out = dst_dev_rcu(dst);

	if (dst->output != ip6_output || dst->lwtstate || !idev ||
	    READ_ONCE(idev->cnf.disable_ipv6) || IP6CB(skb)->frag_max_size ||
	    skb->len > mtu || skb_is_gso(skb) ||
	    skb_headroom(skb) < LL_RESERVED_SPACE(out))
		return false;
	skb->dev = out;
	skb->protocol = htons(ETH_P_IPV6);
	IP6CB(skb)->flags |= IP6SKB_REROUTED;
	if (knet_passes_post_routing(net->nf.hooks_ipv6, skb) &&
	    !knet_post_routing(NFPROTO_IPV6, net, skb, in))
		return true;
	if (unlikely(knet_is_transformed(skb)))
		dst_output(net, NULL, skb);
	else
		knet_finish6(net, skb);
	return true;
}

/* Sends a forwarded packet: POST_ROUTING and out. Consumes it. */
void knet_send4(struct net *net, struct sk_buff *skb, u32 mtu, bool track)
{
	knet_let_go(skb, track);
	if (knet_output4_at_once(net, skb, mtu))
		return;
	/* What arrived in fragments leaves in such, also with DF. */
	if (IPCB(skb)->frag_max_size)
		skb->ignore_df = 1;
	dst_output(net, NULL, skb);
}

void knet_send6(struct net *net, struct sk_buff *skb, u32 mtu, bool track)
{
	knet_let_go(skb, track);
	if (!knet_output6_at_once(net, skb, mtu))
		dst_output(net, NULL, skb);
}

/*
 * True if a packet of this host that goes to this device has to pass LOCAL_OUT: it
 * has a hook that is not this module's, or the device belongs to an L3 master. This
 * module's own hook has no use for packets that it sends itself.
 */
static __always_inline bool knet_must_pass_local_out(struct nf_hook_entries __rcu *const *chains,
						     const struct sk_buff *skb)
{
	return knet_has_local_out(chains) || netif_is_l3_slave(dst_dev_rcu(skb_dst(skb)));
}

/*
 * Sends a packet of this host: LOCAL_OUT, POST_ROUTING and out. Consumes it. In an
 * RCU read section.
 */
void knet_send4_local(struct net *net, struct sk_buff *skb, u32 mtu)
{
	knet_let_go(skb, false);
	if (knet_must_pass_local_out(net->nf.hooks_ipv4, skb)) {
		ip_local_out(net, NULL, skb);
		return;
	}
	ip_hdr(skb)->tot_len = htons(skb->len);
	ip_send_check(ip_hdr(skb));
	if (!knet_output4_at_once(net, skb, mtu))
		ip_local_out(net, NULL, skb);
}

void knet_send6_local(struct net *net, struct sk_buff *skb, u32 mtu)
{
	knet_let_go(skb, false);
	if (knet_must_pass_local_out(net->nf.hooks_ipv6, skb)) {
		ip6_local_out(net, NULL, skb);
		return;
	}
	ipv6_set_payload_len(ipv6_hdr(skb), skb->len - sizeof(struct ipv6hdr));
	IP6CB(skb)->nhoff = offsetof(struct ipv6hdr, nexthdr);
	if (!knet_output6_at_once(net, skb, mtu))
		ip6_local_out(net, NULL, skb);
}

/* --- from the hook of a device -------------------------------------------- */

/* Conntrack does not see the packet any more. */
static __always_inline void knet_let_go_early(struct sk_buff *skb)
{
#if IS_ENABLED(CONFIG_NF_CONNTRACK)
	/* It is not tracked. */
	nf_ct_set(skb, NULL, IP_CT_UNTRACKED);
#endif
	skb_clear_tstamp(skb);
	skb_forward_csum(skb);
}

/*
 * Writes Ethernet's header for this neighbor before the packet, which has headroom of
 * LL_RESERVED_SPACE(). Returns false unless the neighbor is known to be there and its
 * header is Ethernet's. As in neigh_output() and neigh_hh_output().
 */
static __always_inline bool knet_write_link_header(struct sk_buff *skb,
						   const struct neighbour *neighbour)
{
	const struct hh_cache *hh = &neighbour->hh;
	unsigned int seq;

	if (!(READ_ONCE(neighbour->nud_state) & NUD_CONNECTED))
		return false;
	do {
		seq = read_seqbegin(&hh->hh_lock);
		if (unlikely(READ_ONCE(hh->hh_len) != ETH_HLEN))
			return false;
		memcpy(skb->data - HH_DATA_MOD, hh->hh_data, HH_DATA_MOD);
	} while (read_seqretry(&hh->hh_lock, seq));
	return true;
}

static noinline void knet_leave4_unusual(struct net *net, struct sk_buff *skb,
					 struct knet_traffic __percpu *early,
					 struct knet_traffic __percpu *server, u32 added)
{
	const struct dst_entry *dst = skb_dst(skb);
	const struct rtable *rt = dst_rtable(dst);
	struct net_device *in = skb->dev, *out = dst_dev_rcu(dst);

	knet_count4(net, skb, skb->len - added, knet_segments(skb));
	knet_count(early, server, skb->len - added);
	if (dst->output != ip_output || rt->rt_gw_family == AF_INET6 || skb_is_gso(skb) ||
	    skb_headroom(skb) < LL_RESERVED_SPACE(out)) {
		dst_output(net, NULL, skb);
		return;
	}
	skb->dev = out;
	if (knet_passes_post_routing(net->nf.hooks_ipv4, skb)) {
		IPCB(skb)->flags |= IPSKB_REROUTED;
		if (!knet_post_routing(NFPROTO_IPV4, net, skb, in))
			return;
		if (unlikely(knet_is_transformed(skb))) {
			dst_output(net, NULL, skb);
			return;
		}
	}
	knet_finish4(net, skb);
}

/*
 * Sends a packet that came in without its first @added bytes, and counts it. Nearly all
 * leave by a last call, so few registers are saved for them.
 */
static __always_inline void knet_leave4(struct net *net, struct sk_buff *skb,
					struct knet_traffic __percpu *early,
					struct knet_traffic __percpu *server, u32 added)
{
	const struct dst_entry *dst = skb_dst(skb);
	const struct rtable *rt = dst_rtable(dst);
	struct net_device *out = dst_dev_rcu(dst);
	const struct neighbour *neighbour;
	u32 sent = skb->len;
	const __be32 *next;

	if (unlikely(dst->output != ip_output || rt->rt_gw_family == AF_INET6 ||
		     skb_is_gso(skb) || skb_headroom(skb) < LL_RESERVED_SPACE(out) ||
		     knet_has_post_routing(net->nf.hooks_ipv4)))
		goto unusual;
	/* As in ip_neigh_gw4(). A device without link addresses has its neighbor by another key. */
	next = rt->rt_gw_family ? &rt->rt_gw4 : &((const struct iphdr *)skb->data)->daddr;
	neighbour = ___neigh_lookup_noref(&arp_tbl, neigh_key_eq32, arp_hashfn, next, out);
	if (unlikely(!neighbour || !knet_write_link_header(skb, neighbour)))
		goto unusual;
	knet_count_passed4(net, (const struct iphdr *)skb->data, sent - added, sent);
	knet_count(early, server, sent - added);
	skb->dev = out;
	__skb_push(skb, ETH_HLEN);
	dev_queue_xmit(skb);
	return;

unusual:
	knet_leave4_unusual(net, skb, early, server, added);
}

static noinline void knet_leave6_unusual(struct net *net, struct sk_buff *skb,
					 struct knet_traffic __percpu *early,
					 struct knet_traffic __percpu *server, u32 added)
{
	const struct dst_entry *dst = skb_dst(skb);
	const struct inet6_dev *idev = ip6_dst_idev(dst);
	struct net_device *in = skb->dev, *out = dst_dev_rcu(dst);

	knet_count6(net, __in6_dev_get(in), skb, skb->len - added, knet_segments(skb));
	knet_count(early, server, skb->len - added);
	if (dst->output != ip6_output || !idev ||
	    READ_ONCE(idev->cnf.disable_ipv6) || skb_is_gso(skb) ||
	    skb_headroom(skb) < LL_RESERVED_SPACE(out)) {
		dst_output(net, NULL, skb);
		return;
	}
	skb->dev = out;
	if (knet_passes_post_routing(net->nf.hooks_ipv6, skb)) {
		IP6CB(skb)->flags |= IP6SKB_REROUTED;
		if (!knet_post_routing(NFPROTO_IPV6, net, skb, in))
			return;
		if (unlikely(knet_is_transformed(skb))) {
			dst_output(net, NULL, skb);
			return;
		}
	}
	knet_finish6(net, skb);
}

static __always_inline void knet_leave6(struct net *net, struct sk_buff *skb,
					struct knet_traffic __percpu *early,
					struct knet_traffic __percpu *server, u32 added)
{
	const struct dst_entry *dst = skb_dst(skb);
	struct inet6_dev *idev = ip6_dst_idev(dst);
	struct net_device *out = dst_dev_rcu(dst);
	const struct neighbour *neighbour;
	const struct in6_addr *next;

	if (unlikely(dst->output != ip6_output || !idev ||
		     READ_ONCE(idev->cnf.disable_ipv6) || skb_is_gso(skb) ||
		     skb_headroom(skb) < LL_RESERVED_SPACE(out) ||
		     knet_has_post_routing(net->nf.hooks_ipv6)))
		goto unusual;
	next = rt6_nexthop(dst_rt6_info(dst), &((const struct ipv6hdr *)skb->data)->daddr);
	neighbour = __ipv6_neigh_lookup_noref(out, next);
	if (unlikely(!neighbour || !knet_write_link_header(skb, neighbour)))
		goto unusual;
	knet_count6(net, __in6_dev_get(skb->dev), skb, skb->len - added, 1);
	knet_count(early, server, skb->len - added);
	skb->dev = out;
	__IP6_UPD_PO_STATS(net, idev, IPSTATS_MIB_OUT, skb->len);
	__skb_push(skb, ETH_HLEN);
	dev_queue_xmit(skb);
	return;

unusual:
	knet_leave6_unusual(net, skb, early, server, added);
}

/*
 * As knet_send4(), for a packet in the hook of a device that has got its route from
 * knet_depart4(): it is whole, tracked by nobody, and it or its segments fit. Counts
 * it also as received, which nothing that was rewritten affects. Consumes it.
 */
void knet_send_early4(struct net *net, struct sk_buff *skb, struct knet_traffic __percpu *early,
		      struct knet_traffic __percpu *server)
{
	knet_let_go_early(skb);
	knet_leave4(net, skb, early, server, 0);
}

void knet_send_early6(struct net *net, struct sk_buff *skb, struct knet_traffic __percpu *early,
		      struct knet_traffic __percpu *server)
{
	knet_let_go_early(skb);
	knet_leave6(net, skb, early, server, 0);
}

/*
 * Takes an outer header into the packet that was written before it. No offload has to
 * know of the inner packet, so nobody asks where its headers are.
 */
static __always_inline void knet_take_header(struct sk_buff *skb, unsigned int len)
{
	__skb_push(skb, len);
	skb->transport_header = skb->network_header;
	skb->network_header -= len;
	skb->ip_summed = CHECKSUM_NONE;
}

static noinline void knet_leave4_local(struct net *net, struct sk_buff *skb,
				       struct knet_traffic __percpu *early,
				       struct knet_traffic __percpu *server, u32 added)
{
	knet_count4(net, skb, skb->len - added, 1);
	knet_count(early, server, skb->len - added);
	knet_send4_local(net, skb, dst_mtu(skb_dst(skb)));
}

static noinline void knet_leave6_local(struct net *net, struct sk_buff *skb,
				       struct knet_traffic __percpu *early,
				       struct knet_traffic __percpu *server, u32 added)
{
	knet_count6(net, __in6_dev_get(skb->dev), skb, skb->len - added, 1);
	knet_count(early, server, skb->len - added);
	knet_send6_local(net, skb, dst_mtu(skb_dst(skb)));
}

/*
 * As knet_send4_local(), for a packet in the hook of a device that has got its route
 * from knet_depart4_ipip(). An outer header was written before it, without length and
 * checksum. Counts it as knet_send_early4(). Consumes it.
 */
void knet_send_early4_ipip(struct net *net, struct sk_buff *skb,
			   struct knet_traffic __percpu *early,
			   struct knet_traffic __percpu *server)
{
	struct iphdr *ip;

	knet_take_header(skb, sizeof(*ip));
	knet_let_go_early(skb);
	ip = (struct iphdr *)skb->data;
	ip->tot_len = htons(skb->len);
	ip->check = 0;
	ip->check = ip_fast_csum(ip, sizeof(*ip) / 4);
	if (unlikely(knet_must_pass_local_out(net->nf.hooks_ipv4, skb)))
		knet_leave4_local(net, skb, early, server, sizeof(struct iphdr));
	else
		knet_leave4(net, skb, early, server, sizeof(struct iphdr));
}

/* The same for IPv6. With @may_fragment, the outer packet may leave in fragments. */
void knet_send_early6_ipip(struct net *net, struct sk_buff *skb,
			   struct knet_traffic __percpu *early,
			   struct knet_traffic __percpu *server, bool may_fragment)
{
	knet_take_header(skb, sizeof(struct ipv6hdr));
	knet_let_go_early(skb);
	skb->ignore_df = may_fragment;
	IP6CB(skb)->iif = 0;
	if (unlikely(knet_must_pass_local_out(net->nf.hooks_ipv6, skb)))
		knet_leave6_local(net, skb, early, server, sizeof(struct ipv6hdr));
	else
		knet_leave6(net, skb, early, server, sizeof(struct ipv6hdr));
}
