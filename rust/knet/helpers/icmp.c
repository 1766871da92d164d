// SPDX-License-Identifier: GPL-2.0-only
/*
 * ICMP errors: sent to the sender of a packet, and read.
 *
 * All of it runs in softirq inside an RCU read section, as netfilter hooks do.
 */

#include <linux/icmpv6.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <net/icmp.h>
#include <net/ip.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>
#include <net/route.h>

#include "helpers.h"

/*
 * icmp_send() needs a route of the packet to find its host; before routing there is none. If the
 * packet is for this host, the error must come from its destination: the sender may be behind a
 * director that translates errors, too.
 */
static bool knet_route_back(struct net *net, struct sk_buff *skb)
{
	const struct iphdr *ip = ip_hdr(skb);
	struct flowi4 fl4 = { .daddr = ip->saddr };
	struct rtable *rt;

	if (skb_dst(skb))
		return true;
	if (skb->dev && inet_addr_type(net, ip->daddr) == RTN_LOCAL &&
	    !ip_route_input(skb, ip->daddr, ip->saddr, ip4h_dscp(ip), skb->dev))
		return true;
	rt = ip_route_output_key(net, &fl4);
	if (IS_ERR(rt))
		return false;
	skb_dst_set(skb, &rt->dst);
	return true;
}

/* Sends an error to the sender of @skb. */
void knet_report4(struct net *net, struct sk_buff *skb, const struct knet_report *report)
{
	if (knet_route_back(net, skb))
		icmp_send(skb, report->type, report->code, htonl(report->info));
}

void knet_report6(struct sk_buff *skb, const struct knet_report *report)
{
	/* A packet of this host has no device yet, but a route. */
	if (!skb->dev && skb_dst(skb))
		skb->dev = dst_dev_net_rcu(skb_dst(skb))->loopback_dev;
	icmpv6_send(skb, report->type, report->code, report->info);
}

/* Whether the checksum of the ICMP message @header bytes from the start is right, at that hook. */
bool knet_icmp_checksum4(struct sk_buff *skb, unsigned int hook, unsigned int header)
{
	return !nf_ip_checksum(skb, hook, header, IPPROTO_ICMP);
}

bool knet_icmp_checksum6(struct sk_buff *skb, unsigned int hook, unsigned int header)
{
	return !nf_ip6_checksum(skb, hook, header, IPPROTO_ICMPV6);
}

/*
 * Routing learns the path MTU of the packet that an ICMP error quotes @at that
 * offset; this host had sent it.
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
 * An ICMP error quotes a packet that this host had sent through a tunnel.
 * Reduces @skb to the inner packet of that packet, which starts @at that offset.
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

/* Sends an error to the sender of the packet that the tunnel carried. */
void knet_relay_report4(struct net *net, struct sk_buff *skb, unsigned int at,
			const struct knet_report *report)
{
	if (!knet_uncover(skb, at, sizeof(struct iphdr), htons(ETH_P_IP)))
		return;
	memset(IPCB(skb), 0, sizeof(*IPCB(skb)));
	knet_report4(net, skb, report);
}

void knet_relay_report6(struct sk_buff *skb, unsigned int at, const struct knet_report *report)
{
	if (!knet_uncover(skb, at, sizeof(struct ipv6hdr), htons(ETH_P_IPV6)))
		return;
	memset(IP6CB(skb), 0, sizeof(*IP6CB(skb)));
	IP6CB(skb)->iif = skb->dev->ifindex;
	knet_report6(skb, report);
}
