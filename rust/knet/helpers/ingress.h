/* SPDX-License-Identifier: GPL-2.0-only */
/* Packets that are taken where they come in: see ingress.c. */
#ifndef KNET_INGRESS_H
#define KNET_INGRESS_H

#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <net/addrconf.h>
#include <net/inet_ecn.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/xfrm.h>

#include "ipsec.h"

/*
 * Whether packets of the device are only for IP, and only IP looks at them, and @other is
 * zero. Words that have to be zero are tested together: one branch instead of several.
 */
static __always_inline bool knet_is_for_ip(const struct net *net, const struct net_device *dev,
					   u32 other)
{
	/* A bridge, bond, team or macvlan takes them. */
	return !((unsigned long)rcu_access_pointer(dev->rx_handler) | other) &&
	       !netif_is_l3_slave(dev) && !netif_is_l3_master(dev) && !knet_has_any_policies(net);
}

/* Whether the packet is only for IP, and has no past that the host would look at. */
static __always_inline bool knet_is_ordinary(const struct net *net, struct sk_buff *skb)
{
	const struct net_device *dev = skb->dev;

	return skb->pkt_type == PACKET_HOST && knet_is_for_ip(net, dev, skb->vlan_all) &&
	       /* tc has tracked it, or given it to a socket. */
	       !skb_nfct(skb) && !(skb->sk && skb_sk_is_prefetched(skb)) &&
	       !skb_shared(skb) && !secpath_exists(skb) &&
	       /* Programs that capture packets of IP only. */
	       list_empty(&net->ptype_specific) && list_empty(&dev->ptype_specific);
}

static __always_inline bool knet_receives_ipv6(const struct net_device *dev)
{
	const struct inet6_dev *idev = __in6_dev_get(dev);

	return idev && likely(!READ_ONCE(idev->cnf.disable_ipv6));
}

/* Empties the control block of IP. */
static __always_inline void knet_clear_control(struct sk_buff *skb)
{
	u64 *control = (u64 *)skb->cb;

	BUILD_BUG_ON(sizeof(struct inet_skb_parm) > 3 * sizeof(u64));
	BUILD_BUG_ON(sizeof(struct inet6_skb_parm) > 3 * sizeof(u64));
	/* For memset() of so few bytes, the compiler emits a slow instruction. */
	control[0] = 0;
	control[1] = 0;
	control[2] = 0;
}

/* What ip_rcv_core() writes, and the device layer behind the hook. */
static __always_inline void knet_set_received4(struct sk_buff *skb)
{
	skb_reset_redirect(skb);
	skb->transport_header = skb->network_header + sizeof(struct iphdr);
	knet_clear_control(skb);
	IPCB(skb)->iif = skb->skb_iif;
}

/* The same of ip6_rcv_core(). */
static __always_inline void knet_set_received6(struct sk_buff *skb)
{
	skb_reset_redirect(skb);
	skb->transport_header = skb->network_header + sizeof(struct ipv6hdr);
	knet_clear_control(skb);
	IP6CB(skb)->iif = skb->skb_iif;
	IP6CB(skb)->nhoff = offsetof(struct ipv6hdr, nexthdr);
}

/* The packets that @skb stands for. */
static __always_inline unsigned int knet_segments(const struct sk_buff *skb)
{
	return max_t(unsigned short, 1, skb_shinfo(skb)->gso_segs);
}

/*
 * Counts a packet of @len bytes that stands for so many @segments as received. The IP
 * header at @ip has its traffic class.
 */
static __always_inline void knet_count_ip4(struct net *net, const struct iphdr *ip, u32 len,
					   unsigned int segments)
{
	__IP_UPD_PO_STATS(net, IPSTATS_MIB_IN, len);
	__IP_ADD_STATS(net, IPSTATS_MIB_NOECTPKTS + (ip->tos & INET_ECN_MASK), segments);
}

/* The same for one that also leaves, with @sent bytes. */
static __always_inline void knet_count_passed4(struct net *net, const struct iphdr *ip, u32 len,
					       u32 sent)
{
	/* Read once: the compiler expects each count to change what follows. */
	struct ipstats_mib __percpu *mib = net->mib.ip_statistics;

	__SNMP_UPD_PO_STATS64(mib, IPSTATS_MIB_IN, len);
	__SNMP_ADD_STATS64(mib, IPSTATS_MIB_NOECTPKTS + (ip->tos & INET_ECN_MASK), 1);
	__SNMP_UPD_PO_STATS64(mib, IPSTATS_MIB_OUT, sent);
}

static __always_inline void knet_count_ip6(struct net *net, struct inet6_dev *idev,
					   const struct ipv6hdr *ip, u32 len,
					   unsigned int segments)
{
	__IP6_UPD_PO_STATS(net, idev, IPSTATS_MIB_IN, len);
	__IP6_ADD_STATS(net, idev, IPSTATS_MIB_NOECTPKTS +
				   (ipv6_get_dsfield(ip) & INET_ECN_MASK), segments);
}

/* The same for a packet whose data begin with an IP header. */
static __always_inline void knet_count4(struct net *net, const struct sk_buff *skb, u32 len,
					unsigned int segments)
{
	knet_count_ip4(net, (const struct iphdr *)skb->data, len, segments);
}

static __always_inline void knet_count6(struct net *net, struct inet6_dev *idev,
					const struct sk_buff *skb, u32 len, unsigned int segments)
{
	knet_count_ip6(net, idev, (const struct ipv6hdr *)skb->data, len, segments);
}

/*
 * Counts a packet of @len bytes for the director and for its server. In softirq. Interrupts
 * never count, so this need not exclude them.
 */
static __always_inline void knet_count(struct knet_traffic __percpu *early,
				       struct knet_traffic __percpu *server, unsigned int len)
{
	__this_cpu_inc(early->packets);
	__this_cpu_inc(server->packets);
	__this_cpu_add(server->bytes, len);
}

#endif /* KNET_INGRESS_H */
