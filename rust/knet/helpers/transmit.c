// SPDX-License-Identifier: GPL-2.0-only
/*
 * The last steps of a packet that has its route: POST_ROUTING and out, or an
 * error to its sender.
 *
 * All of it runs in softirq inside an RCU read section, as netfilter hooks do.
 */

#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <net/dst.h>
#include <net/icmp.h>
#include <net/ip.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>
#include <net/ndisc.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/netfilter/nf_conntrack_core.h>
#include <net/route.h>

#include "helpers.h"

/*
 * The director's own entry stands for the connection: unless @track, conntrack
 * has no part in what it sends on, nor has a socket of this host that early
 * demultiplexing found.
 */
static void knet_let_go(struct sk_buff *skb, bool track)
{
#if IS_ENABLED(CONFIG_NF_CONNTRACK)
	if (likely(!track)) {
		nf_conntrack_put(skb_nfct(skb));
		nf_ct_set(skb, NULL, IP_CT_UNTRACKED);
	}
#endif
	skb_orphan(skb);
	skb_forward_csum(skb);
	skb_clear_tstamp(skb);
}

/*
 * A client's packet is about to be sent to this address and port: if it is the
 * first of a tracked connection, the replies will come from there. Before the
 * packet is changed.
 */
void knet_track_server(struct sk_buff *skb, const struct knet_address *address, __be16 port)
{
#if IS_ENABLED(CONFIG_NF_CONNTRACK)
	struct nf_conntrack_tuple reply;
	enum ip_conntrack_info info;
	struct nf_conn *ct = nf_ct_get(skb, &info);

	if (!ct || nf_ct_is_confirmed(ct) || nf_ct_is_template(ct) ||
	    CTINFO2DIR(info) != IP_CT_DIR_ORIGINAL)
		return;
	reply = *nf_ct_tuple(ct, IP_CT_DIR_REPLY);
	if (nf_ct_l3num(ct) == NFPROTO_IPV4)
		reply.src.u3.ip = knet_ipv4(address);
	else
		reply.src.u3.in6 = *knet_ipv6(address);
	reply.src.u.all = port;
	nf_conntrack_alter_reply(ct, &reply);
#endif
}

/*
 * The packet inside a tunnel ends its own way here. False when it must not go on:
 * conntrack has another packet of the same connection.
 */
bool knet_track_tunneled(struct sk_buff *skb)
{
#if IS_ENABLED(CONFIG_NF_CONNTRACK)
	return nf_conntrack_confirm(skb) == NF_ACCEPT;
#else
	return true;
#endif
}

/* The last step of a packet that was found fit for it: to its neighbour. */
static int knet_finish4(struct net *net, struct sock *sk, struct sk_buff *skb)
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

static int knet_finish6(struct net *net, struct sock *sk, struct sk_buff *skb)
{
	struct rt6_info *rt = dst_rt6_info(skb_dst(skb));
	const struct in6_addr *next = rt6_nexthop(rt, &ipv6_hdr(skb)->daddr);
	struct neighbour *neighbour = ip_neigh_gw6(skb->dev, next);

	if (IS_ERR(neighbour)) {
		kfree_skb_reason(skb, SKB_DROP_REASON_NEIGH_CREATEFAIL);
		return PTR_ERR(neighbour);
	}
	IP6_UPD_PO_STATS(net, ip6_dst_idev(&rt->dst), IPSTATS_MIB_OUT, skb->len);
	return neigh_output(neighbour, skb, false);
}

/*
 * What dst_output() comes to for nearly all packets, without the detours:
 * nothing to transform, to segment or to fragment. POST_ROUTING sees them.
 * False, with nothing done, for all others.
 */
static bool knet_output4_at_once(struct net *net, struct sk_buff *skb, u32 mtu)
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
		knet_finish4);
	return true;
}

static bool knet_output6_at_once(struct net *net, struct sk_buff *skb, u32 mtu)
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
	NF_HOOK(NFPROTO_IPV6, NF_INET_POST_ROUTING, net, NULL, skb, in, out,
		knet_finish6);
	return true;
}

/* Sends a packet that passes through: POST_ROUTING and out. Consumes it. */
void knet_send4(struct net *net, struct sk_buff *skb, u32 mtu, bool track)
{
	knet_let_go(skb, track);
	if (!knet_output4_at_once(net, skb, mtu))
		dst_output(net, NULL, skb);
}

void knet_send6(struct net *net, struct sk_buff *skb, u32 mtu, bool track)
{
	knet_let_go(skb, track);
	if (!knet_output6_at_once(net, skb, mtu))
		dst_output(net, NULL, skb);
}

/* Sends a packet whose outer header is ours: LOCAL_OUT, POST_ROUTING and out. Consumes it. */
void knet_send4_local(struct net *net, struct sk_buff *skb, u32 mtu)
{
	knet_let_go(skb, false);
	if (rcu_access_pointer(net->nf.hooks_ipv4[NF_INET_LOCAL_OUT]) ||
	    netif_is_l3_slave(dst_dev_rcu(skb_dst(skb)))) {
		ip_local_out(net, NULL, skb);
		return;
	}
	ip_hdr(skb)->tot_len = htons(skb->len);
	ip_send_check(ip_hdr(skb));
	if (!knet_output4_at_once(net, skb, mtu))
		ip_local_out(net, NULL, skb);
}

void knet_send6_local(struct net *net, struct sk_buff *skb)
{
	knet_let_go(skb, false);
	ip6_local_out(net, NULL, skb);
}

/* For a packet that has been routed to this host. */
void knet_port_unreachable4(struct sk_buff *skb)
{
	icmp_send(skb, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, 0);
}

void knet_port_unreachable6(struct sk_buff *skb)
{
	icmpv6_send(skb, ICMPV6_DEST_UNREACH, ICMPV6_PORT_UNREACH, 0);
}

/*
 * Routing learns how large packets may be from the packet quoted @at that
 * offset of an ICMP error, which this host had sent.
 */
void knet_learn_mtu4(struct net *net, struct sk_buff *skb, unsigned int at, u8 protocol, u32 mtu)
{
	if (!pskb_may_pull(skb, at + sizeof(struct iphdr)))
		return;
	__skb_pull(skb, at);
	ipv4_update_pmtu(skb, net, mtu, 0, protocol);
	__skb_push(skb, at);
}

void knet_learn_mtu6(struct net *net, struct sk_buff *skb, unsigned int at, u32 mtu)
{
	if (!pskb_may_pull(skb, at + sizeof(struct ipv6hdr)))
		return;
	__skb_pull(skb, at);
	ip6_update_pmtu(skb, net, htonl(mtu), 0, 0, sock_net_uid(net, NULL));
	__skb_push(skb, at);
}

/*
 * What was a packet of ours through a tunnel is quoted in an ICMP error; the
 * packet inside, @at that offset, becomes all that is left of @skb.
 */
static bool knet_uncover(struct sk_buff *skb, unsigned int at, unsigned int header, __be16 protocol)
{
	if (!pskb_may_pull(skb, at + header))
		return false;
	__skb_pull(skb, at);
	skb_reset_network_header(skb);
	skb_set_transport_header(skb, header);
	skb->protocol = protocol;
	skb_dst_drop(skb);
	return true;
}

/* Tells the sender of that packet: it was too big for @mtu, or with 0 did not arrive. */
void knet_relay_error4(struct net *net, struct sk_buff *skb, unsigned int at, u32 mtu)
{
	struct flowi4 fl4 = { };
	struct rtable *rt;

	if (!knet_uncover(skb, at, sizeof(struct iphdr), htons(ETH_P_IP)))
		return;
	memset(IPCB(skb), 0, sizeof(*IPCB(skb)));
	fl4.daddr = ip_hdr(skb)->saddr;
	rt = ip_route_output_key(net, &fl4);
	if (IS_ERR(rt))
		return;
	skb_dst_set(skb, &rt->dst);
	if (mtu)
		icmp_send(skb, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, htonl(mtu));
	else
		icmp_send(skb, ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0);
}

void knet_relay_error6(struct net *net, struct sk_buff *skb, unsigned int at, u32 mtu)
{
	if (!knet_uncover(skb, at, sizeof(struct ipv6hdr), htons(ETH_P_IPV6)))
		return;
	memset(IP6CB(skb), 0, sizeof(*IP6CB(skb)));
	IP6CB(skb)->iif = skb->dev->ifindex;
	if (mtu)
		icmpv6_send(skb, ICMPV6_PKT_TOOBIG, 0, max_t(u32, mtu, IPV6_MIN_MTU));
	else
		icmpv6_send(skb, ICMPV6_DEST_UNREACH, ICMPV6_ADDR_UNREACH, 0);
}
