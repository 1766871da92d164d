// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frames before there is a packet: XDP.
 *
 * A program of a device asks knet_xdp_forward() about each frame. A frame that is
 * taken leaves by another device, or by the same one. It skips the host's receive
 * functions, all hooks of netfilter and tc, programs that capture, and queueing. So
 * knet_xdp_depart4() and knet_xdp_depart6() take none that a rule of netfilter or tc
 * would have seen, none for which the neighbor has to be asked, and none for a device
 * that takes no frames. All others go on as if there were no program here.
 *
 * All of it runs in softirq.
 */

#include <linux/etherdevice.h>
#include <linux/filter.h>
#include <linux/if_arp.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <net/addrconf.h>
#include <net/arp.h>
#include <net/inet_ecn.h>
#include <net/ip.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>
#include <net/ndisc.h>
#include <net/route.h>
#include <net/rtnetlink.h>
#include <net/xdp.h>

#include "helpers.h"
#include "ingress.h"
#include "ipsec.h"
#include "needless.h"
#include "netns.h"
#include "route.h"
#include "tunnel.h"
#include "xdp.h"

/* --- programs ------------------------------------------------------------- */

/* A module lets programs call knet_xdp_forward(). */
static bool knet_xdp_offered;

void knet_xdp_offer(bool offered)
{
	WRITE_ONCE(knet_xdp_offered, offered);
}
EXPORT_SYMBOL_GPL(knet_xdp_offer);

bool knet_xdp_is_offered(void)
{
	return READ_ONCE(knet_xdp_offered);
}

/*
 * What an XDP program does with a frame: the number of an action, with which the
 * program must end. Never XDP_ABORTED.
 */
int knet_xdp_forward(struct xdp_buff *frame)
{
	u32 len = frame->data_end - frame->data - ETH_HLEN;
	struct net *net = dev_net(frame->rxq->dev);
	const struct ethhdr *eth = frame->data;
	const struct knet_xdp *handler;
	int action = XDP_PASS;

	BUILD_BUG_ON((int)KNET_XDP_DROP != (int)XDP_DROP);
	BUILD_BUG_ON((int)KNET_XDP_PASS != (int)XDP_PASS);
	if (unlikely(frame->data + ETH_HLEN + sizeof(struct iphdr) > frame->data_end))
		return XDP_PASS;
	/* A softirq is an RCU read section, but lockdep does not take it for one. */
	if (IS_ENABLED(CONFIG_PROVE_RCU))
		rcu_read_lock();
	handler = knet_namespace_xdp(net);
	if (handler && eth->h_proto == htons(ETH_P_IP))
		action = handler->handle4(handler->data, net, frame, (u8 *)(eth + 1), len);
	else if (handler && eth->h_proto == htons(ETH_P_IPV6) && len >= sizeof(struct ipv6hdr))
		action = handler->handle6(handler->data, net, frame, (u8 *)(eth + 1), len);
	if (IS_ENABLED(CONFIG_PROVE_RCU))
		rcu_read_unlock();
	return action;
}
EXPORT_SYMBOL_GPL(knet_xdp_forward);

/* --- frames --------------------------------------------------------------- */

/* Whether netfilter at the ingress of the device has others than this module. */
static __always_inline bool knet_has_foreign_ingress(const struct net_device *dev)
{
	const struct nf_hook_entries *hooks = rcu_dereference(dev->nf_hooks_ingress);

	return hooks && hooks->num_hook_entries &&
	       !(hooks->num_hook_entries == 1 && knet_is_ours(hooks->hooks[0].hook));
}

/* Whether tc or netfilter would see the packet on the way in. */
static __always_inline bool knet_is_watched_in(const struct net_device *dev)
{
#ifdef CONFIG_NET_XGRESS
	if (rcu_access_pointer(dev->tcx_ingress))
		return true;
#endif
	return knet_has_foreign_ingress(dev);
}

/* The same on the way out. */
static __always_inline bool knet_is_watched_out(const struct net_device *dev)
{
#ifdef CONFIG_NET_XGRESS
	if (rcu_access_pointer(dev->tcx_egress))
		return true;
#endif
#ifdef CONFIG_NETFILTER_EGRESS
	if (rcu_access_pointer(dev->nf_hooks_egress))
		return true;
#endif
	return false;
}

#if IS_ENABLED(CONFIG_VLAN_8021Q)
/* Whether the driver does not say that the frame had no VLAN tag. */
static noinline bool knet_asks_for_tag(const struct xdp_buff *frame)
{
	const struct xdp_metadata_ops *ops = frame->rxq->dev->xdp_metadata_ops;
	__be16 protocol;
	u16 tag;
	int err;

	/* Then the driver was asked before. */
	if (knet_has_waited(frame))
		return false;
	if (!ops || !ops->xmo_rx_vlan_tag)
		return true;
	err = ops->xmo_rx_vlan_tag((const struct xdp_md *)frame, &protocol, &tag);
	/* All that drivers return for a frame without a tag. */
	return err != -ENODATA && err != -EINVAL;
}
#endif

/*
 * Whether the device may have removed a VLAN tag from the frame, which then belongs
 * to another device.
 */
static __always_inline bool knet_may_have_tag(const struct xdp_buff *frame)
{
#if IS_ENABLED(CONFIG_VLAN_8021Q)
	const struct net_device *dev = frame->rxq->dev;

	return unlikely(dev->features & (NETIF_F_HW_VLAN_CTAG_RX | NETIF_F_HW_VLAN_STAG_RX) &&
			rcu_access_pointer(dev->vlan_info)) && knet_asks_for_tag(frame);
#else
	return false;
#endif
}

/*
 * Whether the sender may have left the transport checksum to this host. That is so at
 * one end of a pair of virtual devices, unless the other end computes checksums, and
 * for the devices of virtual machines.
 */
static __always_inline bool knet_may_lack_checksum(const struct net_device *dev)
{
	const struct net_device *peer;

	if (likely(!dev->rtnl_link_ops))
		return false;
	if (!dev->netdev_ops->ndo_get_peer_dev)
		return *dev->rtnl_link_ops->kind == 't' && !strcmp(dev->rtnl_link_ops->kind, "tun");
	peer = dev->netdev_ops->ndo_get_peer_dev((struct net_device *)dev);
	return !peer || peer->features & NETIF_F_CSUM_MASK;
}

/* Whether the device gives the host frames such as this one that are only for IP. */
static __always_inline bool knet_is_from_ordinary_device(const struct net *net,
							 const struct xdp_buff *frame)
{
	const struct net_device *dev = frame->rxq->dev;
	const struct ethhdr *eth = frame->data;

	return ether_addr_equal(eth->h_dest, dev->dev_addr) &&
	       !rcu_access_pointer(dev->xdp_prog) && knet_is_for_ip(net, dev, 0) &&
	       !knet_is_watched_in(dev) && !knet_may_lack_checksum(dev) &&
	       !knet_may_have_tag(frame);
}

/*
 * Whether the frame is only for IP, and has no past that the host would look at. The
 * generic form of XDP sees packets, about which a frame does not tell everything.
 */
static __always_inline bool knet_is_ordinary_frame(const struct net *net,
						   const struct xdp_buff *frame)
{
	return !xdp_buff_has_frags((struct xdp_buff *)frame) &&
	       knet_is_from_ordinary_device(net, frame);
}

/* Whether the device takes frames, now and from XDP. */
static __always_inline bool knet_takes_frames(const struct net_device *dev)
{
	return dev->xdp_features & NETDEV_XDP_ACT_NDO_XMIT && dev->type == ARPHRD_ETHER &&
	       netif_running(dev) && netif_carrier_ok(dev) && !knet_is_watched_out(dev);
}

/* Has the frame sent by @out. */
static __always_inline int knet_redirect_frame(const struct xdp_buff *frame,
					       const struct net_device *out)
{
	struct bpf_redirect_info *info;

	/* One end of a pair wakes the other one after XDP_TX only if that has a program. */
	if (out == frame->rxq->dev && likely(!out->netdev_ops->ndo_get_peer_dev))
		return XDP_TX;
	/* As bpf_redirect(), which programs call. */
	info = bpf_net_ctx_get_ri();
	info->flags = 0;
	info->tgt_index = out->ifindex;
	info->map_id = INT_MAX;
	info->map_type = BPF_MAP_TYPE_UNSPEC;
	return XDP_REDIRECT;
}

/*
 * Whether the link address is known, the host has made a header with it, and
 * neigh_event_send() has nothing to do, either.
 */
static __always_inline bool knet_is_known(const struct neighbour *neighbour)
{
	return likely(neighbour) &&
	       READ_ONCE(neighbour->nud_state) & (NUD_CONNECTED | NUD_DELAY | NUD_PROBE) &&
	       likely(READ_ONCE(neighbour->hh.hh_len) == ETH_HLEN);
}

/* Writes the link header to the neighbor, which is known, and has the frame sent by @out. */
static __always_inline int knet_address_frame(struct xdp_buff *frame, struct neighbour *neighbour,
					      const struct net_device *out)
{
	const struct hh_cache *hh = &neighbour->hh;
	unsigned long now = jiffies;
	unsigned int seq;

	if (READ_ONCE(neighbour->used) != now)
		WRITE_ONCE(neighbour->used, now);
	do {
		seq = read_seqbegin(&hh->hh_lock);
		memcpy(frame->data, (const u8 *)hh->hh_data + HH_DATA_OFF(ETH_HLEN), ETH_HLEN);
	} while (read_seqretry(&hh->hh_lock, seq));
	return knet_redirect_frame(frame, out);
}

/* A device might not send what follows the packet, except to fill a short frame. */
static __always_inline bool knet_has_size(const struct xdp_buff *frame, u32 len)
{
	u32 size = frame->data_end - frame->data;

	return likely(size == ETH_HLEN + len) || size <= ETH_ZLEN;
}

/*
 * Whether a frame with a packet of @len bytes can leave by the cached route, if there is
 * one, with @more bytes of a tunnel, and nobody would have to see or change it: see above.
 */
static __always_inline bool knet_leaves4(const struct net *net, const struct xdp_buff *frame,
					 const struct dst_entry *dst, u32 len, u32 more)
{
	const struct rtable *rt = dst_rtable(dst);

	return likely(knet_is_plain_route4(net, dst) && knet_fits_link4(dst, len, more) &&
		      dst->output == ip_output && rt->rt_gw_family != AF_INET6 &&
		      knet_has_size(frame, len) &&
		      knet_is_ordinary_frame(net, frame) && knet_takes_frames(dst_dev_rcu(dst)) &&
		      !knet_has_post_routing(net->nf.hooks_ipv4));
}

static __always_inline bool knet_leaves6(const struct net *net, const struct xdp_buff *frame,
					 struct dst_entry *dst, u32 cookie, u32 len, u32 more)
{
	const struct inet6_dev *idev;

	if (unlikely(!knet_is_route(dst) || dst->ops->family != AF_INET6 ||
		     !(knet_is_valid6(dst, cookie) || dst_check(dst, cookie) == dst) ||
		     knet_is_local(dst, AF_INET6) || !knet_link_mtu6_suffices(dst, len + more) ||
		     dst->output != ip6_output || !knet_has_size(frame, len)))
		return false;
	idev = ip6_dst_idev(dst);
	return likely(idev && !READ_ONCE(idev->cnf.disable_ipv6) &&
		      knet_is_ordinary_frame(net, frame) && knet_takes_frames(dst_dev_rcu(dst)) &&
		      !knet_has_post_routing(net->nf.hooks_ipv6));
}

/* The neighbor to which packets to @next go by this route, if it is known. */
static __always_inline struct neighbour *knet_neighbor4(const struct dst_entry *dst,
							const struct knet_address *next)
{
	const struct rtable *rt = dst_rtable(dst);

	return __ipv4_neigh_lookup_noref(dst_dev_rcu(dst), rt->rt_gw_family ? rt->rt_gw4 :
									      knet_ipv4(next));
}

static __always_inline struct neighbour *knet_neighbor6(const struct dst_entry *dst,
							const struct knet_address *next)
{
	return __ipv6_neigh_lookup_noref(dst_dev_rcu(dst),
					 rt6_nexthop(dst_rt6_info(dst), knet_ipv6(next)));
}

/*
 * Has a frame with a packet of @len bytes leave by the cached route if that is valid,
 * and if nobody would have to see or change the frame: see above. Counts it for the
 * host as received and sent. Otherwise returns XDP_PASS, and the frame is unchanged.
 * @next is where the packet will go. The caller rewrites the packet afterwards. In an
 * RCU read section.
 */
__flatten
int knet_xdp_depart4(struct net *net, struct xdp_buff *frame, const struct knet_route_cache *cache,
		     u32 len, const struct knet_address *next)
{
	const struct iphdr *ip = frame->data + ETH_HLEN;
	const struct dst_entry *dst = rcu_dereference(cache->dst);
	struct neighbour *neighbour;

	if (unlikely(!knet_leaves4(net, frame, dst, len, 0) ||
		     !knet_comes_first(net->nf.hooks_ipv4)))
		return XDP_PASS;
	neighbour = knet_neighbor4(dst, next);
	if (unlikely(!knet_is_known(neighbour)))
		return XDP_PASS;
	knet_count_passed4(net, ip, len, len);
	return knet_address_frame(frame, neighbour, dst_dev_rcu(dst));
}

__flatten
int knet_xdp_depart6(struct net *net, struct xdp_buff *frame, const struct knet_route_cache *cache,
		     u32 len, const struct knet_address *next)
{
	const struct ipv6hdr *ip = frame->data + ETH_HLEN;
	struct dst_entry *dst = rcu_dereference(cache->dst);
	struct inet6_dev *in = __in6_dev_get(frame->rxq->dev);
	struct neighbour *neighbour;

	if (unlikely(!knet_leaves6(net, frame, dst, READ_ONCE(cache->cookie), len, 0) ||
		     !in || READ_ONCE(in->cnf.disable_ipv6) ||
		     !knet_comes_first(net->nf.hooks_ipv6)))
		return XDP_PASS;
	neighbour = knet_neighbor6(dst, next);
	if (unlikely(!knet_is_known(neighbour)))
		return XDP_PASS;
	knet_count_ip6(net, in, ip, len, 1);
	__IP6_UPD_PO_STATS(net, ip6_dst_idev(dst), IPSTATS_MIB_OUT, len);
	return knet_address_frame(frame, neighbour, dst_dev_rcu(dst));
}

/* Whether the packet in the frame may be taken from PRE_ROUTING of its family. */
static __always_inline bool knet_may_leave_early(const struct net *net,
						 const struct xdp_buff *frame, int family)
{
	if (likely(family == AF_INET))
		return knet_comes_first(net->nf.hooks_ipv4);
	return knet_comes_first(net->nf.hooks_ipv6) && knet_receives_ipv6(frame->rxq->dev);
}

static __always_inline void knet_count_frame(struct net *net, const struct xdp_buff *frame,
					     int family, u32 len)
{
	if (likely(family == AF_INET))
		knet_count_ip4(net, frame->data + ETH_HLEN, len, 1);
	else
		knet_count_ip6(net, __in6_dev_get(frame->rxq->dev), frame->data + ETH_HLEN, len, 1);
}

/* Whether there is room for @more bytes before the frame, where nothing else is. */
static __always_inline bool knet_has_headroom(const struct xdp_buff *frame, u32 more)
{
	return frame->data - frame->data_hard_start >= sizeof(struct xdp_frame) + more &&
	       (xdp_data_meta_unsupported(frame) || frame->data_meta == frame->data);
}

/*
 * Puts @more bytes before the packet, and removes what follows its @len bytes. The frame
 * has room for them, so it has no metadata, or the mark that its driver has none.
 */
static __always_inline void knet_widen_frame(struct xdp_buff *frame, u32 len, u32 more)
{
	frame->data_end = frame->data + ETH_HLEN + len;
	frame->data_meta -= more;
	frame->data -= more;
}

/*
 * As knet_xdp_depart4(), for a packet of @family that goes through a tunnel over IPv4, whose
 * @more bytes of headers the caller writes: the frame has room for them afterwards. The
 * cached route is to the tunnel's end. The local address that it prefers, @cached, is stored
 * as the tunnel's source.
 */
static __always_inline int knet_enter4(struct net *net, struct xdp_buff *frame,
				       const struct knet_route_cache *cache,
				       const struct knet_address *cached, u32 len, u32 more,
				       int family, struct knet_xdp_tunnel *tunnel)
{
	const struct dst_entry *dst = rcu_dereference(cache->dst);
	struct neighbour *neighbour;
	struct net_device *out;

	if (unlikely(!knet_leaves4(net, frame, dst, len, more) ||
		     !knet_has_headroom(frame, more) ||
		     !knet_read_source(cache, dst, cached, &tunnel->source, AF_INET) ||
		     !knet_may_leave_early(net, frame, family) ||
		     knet_has_local_out(net->nf.hooks_ipv4)))
		return XDP_PASS;
	out = dst_dev_rcu(dst);
	/* The director drops packets without a source, and counts them, elsewhere. */
	if (unlikely(!tunnel->source.words[1] || netif_is_l3_slave(out)))
		return XDP_PASS;
	neighbour = knet_neighbor4(dst, &tunnel->end);
	if (unlikely(!knet_is_known(neighbour)))
		return XDP_PASS;
	knet_count_frame(net, frame, family, len);
	__IP_UPD_PO_STATS(net, IPSTATS_MIB_OUT, len + more);
	knet_widen_frame(frame, len, more);
	return knet_address_frame(frame, neighbour, out);
}

/* The same over IPv6. */
static __always_inline int knet_enter6(struct net *net, struct xdp_buff *frame,
				       const struct knet_route_cache *cache,
				       const struct knet_address *cached, u32 len, u32 more,
				       int family, struct knet_xdp_tunnel *tunnel)
{
	struct dst_entry *dst = rcu_dereference(cache->dst);
	u32 cookie = READ_ONCE(cache->cookie);
	struct neighbour *neighbour;
	struct net_device *out;

	if (unlikely(!knet_leaves6(net, frame, dst, cookie, len, more) ||
		     !knet_has_headroom(frame, more) ||
		     !knet_read_source(cache, dst, cached, &tunnel->source, AF_INET6) ||
		     !knet_may_leave_early(net, frame, family) ||
		     knet_has_local_out(net->nf.hooks_ipv6)))
		return XDP_PASS;
	out = dst_dev_rcu(dst);
	if (unlikely(!tunnel->source.words[1] || netif_is_l3_slave(out)))
		return XDP_PASS;
	neighbour = knet_neighbor6(dst, &tunnel->end);
	if (unlikely(!knet_is_known(neighbour)))
		return XDP_PASS;
	knet_count_frame(net, frame, family, len);
	__IP6_UPD_PO_STATS(net, ip6_dst_idev(dst), IPSTATS_MIB_OUT, len + more);
	knet_widen_frame(frame, len, more);
	return knet_address_frame(frame, neighbour, out);
}

/* The headers of the tunnel, over IPv4, have @tunnel->overhead bytes. */
__flatten
int knet_xdp_encapsulate4(struct net *net, struct xdp_buff *frame,
			  const struct knet_route_cache *cache, const struct knet_address *cached,
			  u32 len, struct knet_xdp_tunnel *tunnel)
{
	return knet_enter4(net, frame, cache, cached, len, tunnel->overhead, tunnel->inner_family,
			   tunnel);
}

/* The same over IPv6. */
__flatten
int knet_xdp_encapsulate6(struct net *net, struct xdp_buff *frame,
			  const struct knet_route_cache *cache, const struct knet_address *cached,
			  u32 len, struct knet_xdp_tunnel *tunnel)
{
	return knet_enter6(net, frame, cache, cached, len, tunnel->overhead, tunnel->inner_family,
			   tunnel);
}

/*
 * As knet_xdp_encapsulate4(), for an IPv4 header before an IPv4 packet. Of @tunnel, only the
 * addresses count.
 */
__flatten
int knet_xdp_ipip4(struct net *net, struct xdp_buff *frame, const struct knet_route_cache *cache,
		   const struct knet_address *cached, u32 len, struct knet_xdp_tunnel *tunnel)
{
	return knet_enter4(net, frame, cache, cached, len, sizeof(struct iphdr), AF_INET, tunnel);
}

/* The same for IPv6. */
__flatten
int knet_xdp_ipip6(struct net *net, struct xdp_buff *frame, const struct knet_route_cache *cache,
		   const struct knet_address *cached, u32 len, struct knet_xdp_tunnel *tunnel)
{
	const u32 more = sizeof(struct ipv6hdr);

	return knet_enter6(net, frame, cache, cached, len, more, AF_INET6, tunnel);
}

/* The source port of a UDP tunnel for a packet of a flow with this hash. */
u16 knet_xdp_tunnel_port(struct net *net, u32 flow)
{
	return knet_tunnel_port(net, flow);
}

/* Counts a frame that leaves with a packet of @len bytes: in @taken (packets only) and @server. */
void knet_xdp_count(u32 len, struct knet_traffic __percpu *taken,
		    struct knet_traffic __percpu *server)
{
	knet_count(taken, server, len);
}

/*
 * Completes the outer IPv4 header of a frame that leaves with a packet of @len bytes: its
 * length, its identification if the outer packet @may_fragment, and its checksum. Counts the
 * frame as knet_xdp_count().
 */
void knet_xdp_complete4(struct xdp_buff *frame, bool may_fragment, u32 len,
			struct knet_traffic __percpu *taken, struct knet_traffic __percpu *server)
{
	struct iphdr *ip = frame->data + ETH_HLEN;

	ip->tot_len = htons(frame->data_end - (void *)ip);
	if (may_fragment)
		ip->id = htons(knet_identify_one());
	ip->check = 0;
	ip->check = ip_fast_csum(ip, sizeof(*ip) / 4);
	knet_count(taken, server, len);
}

/*
 * Has the frame wait for others at the device @waiter: see xdp_batch.c. Returns the action
 * for that, or XDP_PASS if the frame cannot wait. Then it is unchanged.
 */
int knet_xdp_wait(const struct net *net, struct xdp_buff *frame, const struct net_device *waiter,
		  u64 word)
{
	const struct xdp_rxq_info *rxq = frame->rxq;
	struct knet_xdp_note *note;

	/* The kernel copies frames of sockets (AF_XDP) without what is before them. */
	if (unlikely(!netif_running(waiter) || rxq->mem.type == MEM_TYPE_XSK_BUFF_POOL ||
		     !knet_has_headroom(frame, sizeof(*note)) ||
		     !knet_is_from_ordinary_device(net, frame)))
		return XDP_PASS;
	note = frame->data_hard_start + sizeof(struct xdp_frame);
	note->magic = KNET_XDP_MAGIC;
	note->note = word;
	note->queue.ifindex = rxq->dev->ifindex;
	note->queue.index = rxq->queue_index;
	return knet_redirect_frame(frame, waiter);
}
