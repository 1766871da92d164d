// SPDX-License-Identifier: GPL-2.0-only
/*
 * Encapsulation: a packet inside another one, for a real server at the end of a
 * tunnel.
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

/* What the inner header gives to the outer one. */
struct knet_inner {
	int family;
	u8 protocol;	/* as the payload of an IP header */
	u8 dsfield;
	u8 hops;
	bool whole;	/* its sender forbids fragments */
};

static __always_inline struct knet_inner knet_read_inner(const struct sk_buff *skb, int family)
{
	const struct iphdr *ip = ip_hdr(skb);
	const struct ipv6hdr *ip6 = ipv6_hdr(skb);

	if (family == AF_INET)
		return (struct knet_inner) {
			.family = family,
			.protocol = IPPROTO_IPIP,
			.dsfield = ip->tos,
			.hops = ip->ttl,
			.whole = ip->frag_off & htons(IP_DF),
		};
	return (struct knet_inner) {
		.family = family,
		.protocol = IPPROTO_IPV6,
		.dsfield = ipv6_get_dsfield(ip6),
		.hops = ip6->hop_limit,
		/*
		 * What all of IPv6 carries may be cut up on a narrow way (RFC 4213
		 * section 3.2), and so may what its sender has cut up already.
		 */
		.whole = skb->len > IPV6_MIN_MTU && !IP6CB(skb)->frag_max_size,
	};
}

static __always_inline void knet_push_ipv4(struct sk_buff *skb, const struct knet_tunnel *tunnel,
			   const struct knet_inner *inner, u8 protocol)
{
	struct iphdr *outer;

	skb_push(skb, sizeof(*outer));
	skb_reset_network_header(skb);
	memset(&IPCB(skb)->opt, 0, sizeof(IPCB(skb)->opt));
	IPCB(skb)->flags = 0;
	IPCB(skb)->frag_max_size = 0;

	outer = ip_hdr(skb);
	outer->version = 4;
	outer->ihl = sizeof(*outer) / 4;
	outer->tos = inner->dsfield;
	outer->frag_off = inner->whole ? htons(IP_DF) : 0;
	outer->protocol = protocol;
	outer->daddr = knet_ipv4(&tunnel->daddr);
	outer->saddr = knet_ipv4(&tunnel->saddr);
	outer->ttl = inner->hops;
	outer->id = inner->whole ? 0 : knet_identify(skb);
	skb->protocol = htons(ETH_P_IP);
}

static void knet_push_ipv6(struct sk_buff *skb, const struct knet_tunnel *tunnel,
			   const struct knet_inner *inner, u8 protocol)
{
	unsigned int payload = skb->len;
	struct ipv6hdr *outer;

	skb_push(skb, sizeof(*outer));
	skb_reset_network_header(skb);
	memset(IP6CB(skb), 0, sizeof(*IP6CB(skb)));

	outer = ipv6_hdr(skb);
	ip6_flow_hdr(outer, inner->dsfield, 0);
	outer->payload_len = htons(payload > IPV6_MAXPLEN ? 0 : payload);
	outer->nexthdr = protocol;
	outer->hop_limit = inner->hops;
	outer->daddr = *knet_ipv6(&tunnel->daddr);
	outer->saddr = *knet_ipv6(&tunnel->saddr);
	skb->protocol = htons(ETH_P_IPV6);
	/* The tunnel's end puts them together again (RFC 2473 section 7). */
	skb->ignore_df = !inner->whole;
}

static bool knet_leaves_checksum(const struct knet_tunnel *tunnel, const struct sk_buff *skb)
{
	return tunnel->remote_checksum && skb->ip_summed == CHECKSUM_PARTIAL;
}

/* Generic UDP Encapsulation, variant 0. */
static int knet_push_gue(struct net *net, struct sk_buff *skb,
			 const struct knet_tunnel *tunnel, const struct knet_inner *inner)
{
	bool remote = knet_leaves_checksum(tunnel, skb), check = tunnel->checksum;
	size_t options = remote ? GUE_LEN_PRIV + GUE_PLEN_REMCSUM : 0;
	__be16 port = udp_flow_src_port(net, skb, 0, 0, false);
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
	gue->proto_ctype = inner->protocol;
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
	return IPPROTO_UDP;
}

static int knet_push_gre(struct sk_buff *skb, const struct knet_tunnel *tunnel,
			 const struct knet_inner *inner)
{
	IP_TUNNEL_DECLARE_FLAGS(flags) = { };

	if (tunnel->checksum)
		__set_bit(IP_TUNNEL_CSUM_BIT, flags);
	gre_build_header(skb, gre_calc_hlen(flags), flags,
			 htons(inner->family == AF_INET ? ETH_P_IP : ETH_P_IPV6), 0, 0);
	skb_set_transport_header(skb, 0);
	return IPPROTO_GRE;
}

static __always_inline int knet_offloads(const struct knet_tunnel *tunnel, enum knet_tunnel_kind kind,
			 int family, const struct sk_buff *skb)
{
	int type;

	switch (kind) {
	case KNET_GUE:
		type = tunnel->checksum ? SKB_GSO_UDP_TUNNEL_CSUM : SKB_GSO_UDP_TUNNEL;
		return knet_leaves_checksum(tunnel, skb) ? type | SKB_GSO_TUNNEL_REMCSUM : type;
	case KNET_GRE:
		return tunnel->checksum ? SKB_GSO_GRE_CSUM : SKB_GSO_GRE;
	default:
		return family == AF_INET ? SKB_GSO_IPXIP4 : SKB_GSO_IPXIP6;
	}
}

/* What knet_encapsulate() does; the compiler knows nearly all arguments of the commonest kind. */
static __always_inline int knet_encapsulate_as(struct net *net, struct sk_buff *skb,
					       const struct knet_tunnel *tunnel,
					       enum knet_tunnel_kind kind, int family,
					       int inner_family, bool cut)
{
	const struct dst_entry *dst = skb_dst(skb);
	struct knet_inner inner = knet_read_inner(skb, inner_family);
	int protocol = inner.protocol;
	int err;

	if (inner_family == AF_INET && cut)
		inner.whole = false;
	skb_orphan(skb);
	err = skb_cow_head(skb, LL_RESERVED_SPACE(dst_dev_rcu(dst)) + dst->header_len +
				tunnel->overhead);
	if (err)
		return err;
	err = iptunnel_handle_offloads(skb, knet_offloads(tunnel, kind, family, skb));
	if (err)
		return err;
	if (kind == KNET_GRE)
		skb_set_inner_protocol(skb, htons(inner_family == AF_INET ? ETH_P_IP :
									     ETH_P_IPV6));
	else
		skb_set_inner_ipproto(skb, inner.protocol);
	skb_set_inner_mac_header(skb, skb_inner_network_offset(skb));
	skb_set_transport_header(skb, 0);

	if (kind == KNET_GUE)
		protocol = knet_push_gue(net, skb, tunnel, &inner);
	else if (kind == KNET_GRE)
		protocol = knet_push_gre(skb, tunnel, &inner);
	if (family == AF_INET)
		knet_push_ipv4(skb, tunnel, &inner, protocol);
	else
		knet_push_ipv6(skb, tunnel, &inner, protocol);
	return 0;
}

static noinline int knet_encapsulate_any(struct net *net, struct sk_buff *skb,
					 const struct knet_tunnel *tunnel, int inner_family)
{
	return knet_encapsulate_as(net, skb, tunnel, tunnel->kind, tunnel->family, inner_family,
				   tunnel->cut);
}

/*
 * Puts a packet of @inner_family into another one: 0, or a negative error with
 * the packet unsent. The route, to @tunnel->daddr, is set already.
 */
int knet_encapsulate(struct net *net, struct sk_buff *skb,
		     const struct knet_tunnel *tunnel, int inner_family)
{
	if (likely(tunnel->kind == KNET_IPIP && tunnel->family == AF_INET &&
		   inner_family == AF_INET && !tunnel->cut))
		return knet_encapsulate_as(net, skb, tunnel, KNET_IPIP, AF_INET, AF_INET, false);
	return knet_encapsulate_any(net, skb, tunnel, inner_family);
}
