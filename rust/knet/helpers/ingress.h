/* SPDX-License-Identifier: GPL-2.0-only */
/* Counting packets that are taken where they come in, as the host counts: see ingress.c. */
#ifndef KNET_INGRESS_H
#define KNET_INGRESS_H

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/skbuff.h>
#include <net/addrconf.h>
#include <net/inet_ecn.h>
#include <net/ip.h>
#include <net/ipv6.h>

/* The packets that @skb stands for. */
static __always_inline unsigned int knet_segments(const struct sk_buff *skb)
{
	return max_t(unsigned short, 1, skb_shinfo(skb)->gso_segs);
}

/* A packet in the hook of a device: its data begin with the IP header. */
static __always_inline void knet_count4(struct net *net, const struct sk_buff *skb)
{
	const struct iphdr *ip = (const struct iphdr *)skb->data;

	__IP_UPD_PO_STATS(net, IPSTATS_MIB_IN, skb->len);
	__IP_ADD_STATS(net, IPSTATS_MIB_NOECTPKTS + (ip->tos & INET_ECN_MASK),
		       knet_segments(skb));
}

static __always_inline void knet_count6(struct net *net, const struct sk_buff *skb)
{
	struct inet6_dev *idev = __in6_dev_get(skb->dev);
	const struct ipv6hdr *ip = (const struct ipv6hdr *)skb->data;

	__IP6_UPD_PO_STATS(net, idev, IPSTATS_MIB_IN, skb->len);
	__IP6_ADD_STATS(net, idev, IPSTATS_MIB_NOECTPKTS + (ipv6_get_dsfield(ip) & INET_ECN_MASK),
			knet_segments(skb));
}

#endif /* KNET_INGRESS_H */
