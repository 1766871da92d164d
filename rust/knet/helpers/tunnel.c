// SPDX-License-Identifier: GPL-2.0-only
/*
 * Encapsulation: a packet inside another one, for a real server at the end of a
 * tunnel. The caller writes the outer IP header.
 *
 * All of it runs in softirq inside an RCU read section, as netfilter hooks do.
 */

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/log2.h>
#include <linux/percpu.h>
#include <net/dsfield.h>
#include <net/dst.h>
#include <net/gre.h>
#include <net/gue.h>
#include <net/ip.h>
#include <net/ip6_checksum.h>
#include <net/ip_tunnels.h>
#include <net/ipv6.h>
#include <net/udp.h>

#include "helpers.h"
#include "tunnel.h"

static DEFINE_PER_CPU(u32, knet_identification);

/* The number of packets that segmentation makes of this one. */
static u32 knet_segments(const struct sk_buff *skb)
{
	const struct skb_shared_info *shared = skb_shinfo(skb);

	if (likely(!shared->gso_size))
		return 1;
	/* A virtual device leaves the count to the device that segments. */
	return shared->gso_segs ?: DIV_ROUND_UP(skb->len, shared->gso_size);
}

/*
 * Identifies a packet that routers may fragment (RFC 6864). Each CPU has a range
 * of its own; with ip_select_ident(), all of them would write to one cache line.
 * Segmentation offload counts up from here for the segments of a large packet,
 * which stay within the range.
 */
static __always_inline u16 knet_identify_some(u32 segments)
{
	u32 range = BIT(16 - order_base_2(nr_cpu_ids));
	u32 first = this_cpu_read(knet_identification);

	if (unlikely(first + segments > range))
		first = 0;
	this_cpu_write(knet_identification, first + segments);
	return smp_processor_id() * range + first;
}

u16 knet_identify(const struct sk_buff *skb)
{
	return knet_identify_some(knet_segments(skb));
}

/* The same for one packet that is no skb yet. In softirq. */
u16 knet_identify_one(void)
{
	return knet_identify_some(1);
}

static bool knet_leaves_checksum(const struct knet_tunnel *tunnel, struct sk_buff *skb)
{
	return tunnel->remote_checksum && skb->ip_summed == CHECKSUM_PARTIAL &&
	       !skb_csum_is_sctp(skb);
}

/*
 * The outer checksum is computed from an inner one that a device will complete,
 * but only if that is of the Internet's kind. SCTP's is completed first; for
 * segments, the kernel does so.
 */
static int knet_complete_sctp(const struct knet_tunnel *tunnel, struct sk_buff *skb)
{
	if (likely(!skb_csum_is_sctp(skb)) || !tunnel->checksum || skb_is_gso(skb))
		return 0;
	return skb_crc32c_csum_help(skb);
}

/* Generic UDP Encapsulation, variant 0. */
static void knet_push_gue(struct net *net, struct sk_buff *skb,
			  const struct knet_tunnel *tunnel)
{
	bool remote = knet_leaves_checksum(tunnel, skb), check = tunnel->checksum;
	size_t options = remote ? GUE_LEN_PRIV + GUE_PLEN_REMCSUM : 0;
	__be16 port = htons(knet_tunnel_port(net, tunnel->flow));
	struct guehdr *gue;
	struct udphdr *udp;
	u16 start = 0;
	__be16 *sum;
	void *option;

	if (remote)
		start = skb_checksum_start_offset(skb);
	gue = skb_push(skb, sizeof(*gue) + options);
	gue->word = 0;
	gue->hlen = options / 4;
	gue->proto_ctype = tunnel->protocol;
	if (remote) {
		gue->flags = GUE_FLAG_PRIV;
		option = gue + 1;
		*(__be32 *)option = GUE_PFLAG_REMCSUM;
		sum = option + GUE_LEN_PRIV;
		sum[0] = htons(start);
		sum[1] = htons(start + skb->csum_offset);
		if (!skb_is_gso(skb)) {
			skb->ip_summed = CHECKSUM_NONE;
			skb->encapsulation = 0;
		}
	}

	udp = skb_push(skb, sizeof(*udp));
	skb_reset_transport_header(skb);
	udp->source = port;
	udp->dest = tunnel->port;
	udp->len = htons(skb->len);
	udp->check = 0;
	if (tunnel->family == AF_INET)
		udp_set_csum(!check, skb, knet_ipv4(&tunnel->saddr),
			     knet_ipv4(&tunnel->daddr), skb->len);
	else
		udp6_set_csum(!check, skb, knet_ipv6(&tunnel->saddr),
			      knet_ipv6(&tunnel->daddr), skb->len);
}

static __be16 knet_ethertype(int family)
{
	return family == AF_INET ? htons(ETH_P_IP) : htons(ETH_P_IPV6);
}

static void knet_push_gre(struct sk_buff *skb, const struct knet_tunnel *tunnel)
{
	IP_TUNNEL_DECLARE_FLAGS(flags) = { };

	if (tunnel->checksum)
		__set_bit(IP_TUNNEL_CSUM_BIT, flags);
	gre_build_header(skb, gre_calc_hlen(flags), flags,
			 knet_ethertype(tunnel->inner_family), 0, 0);
	skb_set_transport_header(skb, 0);
}

static int knet_offloads(const struct knet_tunnel *tunnel, struct sk_buff *skb)
{
	int type;

	switch (tunnel->kind) {
	case KNET_GUE:
		type = tunnel->checksum ? SKB_GSO_UDP_TUNNEL_CSUM : SKB_GSO_UDP_TUNNEL;
		return knet_leaves_checksum(tunnel, skb) ? type | SKB_GSO_TUNNEL_REMCSUM : type;
	case KNET_GRE:
		return tunnel->checksum ? SKB_GSO_GRE_CSUM : SKB_GSO_GRE;
	default:
		return tunnel->family == AF_INET ? SKB_GSO_IPXIP4 : SKB_GSO_IPXIP6;
	}
}

/* Makes room for the headers, and has the inner packet segmented as that of a tunnel. */
static __always_inline int knet_begin(struct sk_buff *skb, unsigned int overhead, int offloads)
{
	const struct dst_entry *dst = skb_dst(skb);
	int err;

	/* A packet of a program on this host has no device yet, and stays with its socket. */
	if (likely(skb->dev))
		skb_orphan(skb);
	err = skb_cow_head(skb, LL_RESERVED_SPACE(dst_dev_rcu(dst)) + dst->header_len + overhead);
	if (err)
		return err;
	err = iptunnel_handle_offloads(skb, offloads);
	/* Segments of a sender that never changes its identification: the outer ones do change. */
	if (!err && unlikely(skb_shinfo(skb)->gso_type & SKB_GSO_TCP_FIXEDID))
		skb_shinfo(skb)->gso_type ^= SKB_GSO_TCP_FIXEDID | SKB_GSO_TCP_FIXEDID_INNER;
	return err;
}

static __always_inline void knet_set_inner(struct sk_buff *skb)
{
	skb_set_inner_mac_header(skb, skb_inner_network_offset(skb));
	skb_set_transport_header(skb, 0);
}

/* Puts an outer IPv4 header before the packet, to be written by the caller. */
static __always_inline int knet_push_ipv4(struct sk_buff *skb, bool may_fragment)
{
	skb_push(skb, sizeof(struct iphdr));
	skb_reset_network_header(skb);
	memset(&IPCB(skb)->opt, 0, sizeof(IPCB(skb)->opt));
	IPCB(skb)->flags = 0;
	IPCB(skb)->frag_max_size = 0;
	skb->protocol = htons(ETH_P_IP);
	return may_fragment ? knet_identify(skb) : 0;
}

static __always_inline int knet_push_ipv6(struct sk_buff *skb, bool may_fragment)
{
	skb_push(skb, sizeof(struct ipv6hdr));
	skb_reset_network_header(skb);
	memset(IP6CB(skb), 0, sizeof(*IP6CB(skb)));
	skb->protocol = htons(ETH_P_IPV6);
	/* The tunnel's end reassembles the fragments (RFC 2473 section 7). */
	skb->ignore_df = may_fragment;
	return 0;
}

/* As knet_encapsulate(), for IPv4 in IPv4 (RFC 2003) and IPv6 in IPv6 (RFC 2473). */
int knet_encapsulate_ipip4(struct sk_buff *skb, bool may_fragment)
{
	int err = knet_begin(skb, sizeof(struct iphdr), SKB_GSO_IPXIP4);

	if (err)
		return err;
	skb_set_inner_ipproto(skb, IPPROTO_IPIP);
	knet_set_inner(skb);
	return knet_push_ipv4(skb, may_fragment);
}

int knet_encapsulate_ipip6(struct sk_buff *skb, bool may_fragment)
{
	int err = knet_begin(skb, sizeof(struct ipv6hdr), SKB_GSO_IPXIP6);

	if (err)
		return err;
	skb_set_inner_ipproto(skb, IPPROTO_IPV6);
	knet_set_inner(skb);
	return knet_push_ipv6(skb, may_fragment);
}

/*
 * Puts the headers of a tunnel before a packet. The route, to @tunnel->daddr, is
 * set already. Returns the identification for an outer IPv4 header, which the
 * caller writes, or a negative error with the packet unsent.
 */
int knet_encapsulate(struct net *net, struct sk_buff *skb, const struct knet_tunnel *tunnel)
{
	int err = knet_complete_sctp(tunnel, skb);

	if (!err)
		err = knet_begin(skb, tunnel->overhead, knet_offloads(tunnel, skb));
	if (err)
		return err;
	if (tunnel->kind == KNET_GRE)
		skb_set_inner_protocol(skb, knet_ethertype(tunnel->inner_family));
	else
		skb_set_inner_ipproto(skb, tunnel->protocol);
	knet_set_inner(skb);

	if (tunnel->kind == KNET_GUE)
		knet_push_gue(net, skb, tunnel);
	else if (tunnel->kind == KNET_GRE)
		knet_push_gre(skb, tunnel);
	if (tunnel->family == AF_INET)
		return knet_push_ipv4(skb, tunnel->may_fragment);
	return knet_push_ipv6(skb, tunnel->may_fragment);
}
