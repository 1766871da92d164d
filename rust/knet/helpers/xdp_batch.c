// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frames of XDP that wait for a few others, so that all of them are handled together.
 *
 * A frame waits by being redirected to a device of this module. The kernel collects up to
 * DEV_MAP_BULK_SIZE frames for a device, and hands it the rest when the driver has polled.
 * The device sends those that the handler takes by their own devices, and passes the others
 * on to the host, in their order.
 *
 * A frame has a note in its headroom, which knet_xdp_wait() writes. A program of somebody
 * else may redirect any frame to the device, so nothing is believed: a frame without a note
 * is dropped, and the handler reads the headers again.
 *
 * The device belongs to its namespace. Nobody can move it, and only this module deletes it.
 */

#include <linux/etherdevice.h>
#include <linux/filter.h>
#include <linux/if_arp.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <net/xdp.h>

#include "helpers.h"
#include "xdp.h"

struct knet_waiter {
	struct knet_xdp_batching handler;
};

/* Frames that leave by the same device, in their order. */
struct knet_leaving {
	struct net_device *out;
	int count;
	struct xdp_frame *frames[KNET_FRAMES];
};

/* Sends them. The device that they leave by frees those that it sends. */
static void knet_leave(struct knet_leaving *leaving)
{
	struct net_device *out = leaving->out;
	int i, sent;

	if (!leaving->count)
		return;
	sent = out->netdev_ops->ndo_xdp_xmit(out, leaving->count, leaving->frames, XDP_XMIT_FLUSH);
	for (i = max(sent, 0); unlikely(i < leaving->count); i++)
		xdp_return_frame_rx_napi(leaving->frames[i]);
	leaving->count = 0;
}

/* The device that has the frame now, after an action of knet_redirect_frame(). */
static struct net_device *knet_device_of(struct net *net, const struct knet_leaving *leaving,
					 const struct xdp_buff *frame, int action)
{
	struct bpf_redirect_info *info;
	u32 index;

	if (action == XDP_TX)
		return frame->rxq->dev;
	info = bpf_net_ctx_get_ri();
	index = info->tgt_index;
	/* As xdp_do_redirect(), so that no program finds it. */
	info->map_id = 0;
	if (likely(leaving->out && leaving->out->ifindex == index))
		return leaving->out;
	return dev_get_by_index_rcu(net, index);
}

/* Has the frame leave with others. Returns false if it cannot. */
static bool knet_leave_with(struct knet_leaving *leaving, struct net_device *out,
			    const struct xdp_buff *buff, struct xdp_frame *frame)
{
	if (unlikely(!out || xdp_update_frame_from_buff(buff, frame)))
		return false;
	if (leaving->out != out) {
		knet_leave(leaving);
		leaving->out = out;
	}
	leaving->frames[leaving->count++] = frame;
	return true;
}

/* Passes a frame on to the host, as a driver whose program has let it pass. */
static void knet_pass_frame(struct xdp_frame *frame, struct net_device *dev, u32 queue)
{
	struct sk_buff *skb = xdp_build_skb_from_frame(frame, dev);

	if (unlikely(!skb)) {
		dev_core_stats_rx_dropped_inc(dev);
		xdp_return_frame_rx_napi(frame);
		return;
	}
	if (likely(queue < READ_ONCE(dev->real_num_rx_queues)))
		skb_record_rx_queue(skb, queue);
	netif_receive_skb(skb);
}

/*
 * Has the processor load the frames after this one, before @end: many of the driver's
 * pages compete for a few places of its first cache.
 */
static __always_inline void knet_load_frames(struct xdp_frame **frame, struct xdp_frame **end)
{
	if (likely(frame + 1 < end))
		prefetchw(frame[1]->data + ETH_HLEN);
	if (likely(frame + 2 < end))
		prefetchw(frame[2]);
}

/* What the handler does with a frame of @dev: an action. */
static int knet_take_frame(const struct knet_xdp_batching *handler, struct net *net,
			   struct xdp_buff *frame, u64 note, const u64 *ahead)
{
	u32 len = frame->data_end - frame->data - ETH_HLEN;
	const struct ethhdr *eth = frame->data;
	u8 *ip = (u8 *)(eth + 1);

	if (unlikely(frame->data + ETH_HLEN + sizeof(struct iphdr) > frame->data_end))
		return XDP_PASS;
	if (likely(eth->h_proto == htons(ETH_P_IP)))
		return handler->take4(handler->data, net, frame, ip, len, note, ahead);
	if (eth->h_proto == htons(ETH_P_IPV6) && len >= sizeof(struct ipv6hdr))
		return handler->take6(handler->data, net, frame, ip, len, note, ahead);
	return XDP_PASS;
}

/*
 * Takes the note out of a frame: what the handler has noted, and the queue that has received
 * the frame. Returns false if there is none.
 */
static __always_inline bool knet_take_note(const struct xdp_frame *frame, u64 *word,
					   struct knet_xdp_queue *queue)
{
	struct knet_xdp_note *note = (struct knet_xdp_note *)(frame + 1);

	if (unlikely(frame->headroom < sizeof(*note) + frame->metasize ||
		     note->magic != KNET_XDP_MAGIC))
		return false;
	*word = note->note;
	*queue = note->queue;
	/* It says nothing about the next frame in this memory. */
	note->magic = 0;
	return true;
}

/* Drops a frame that nobody has told to wait, or whose device does not receive any more. */
static void knet_drop_frame(struct net_device *waiter, struct xdp_frame *frame)
{
	dev_core_stats_tx_dropped_inc(waiter);
	xdp_return_frame_rx_napi(frame);
}

/* Handles frames that have waited at the device: at most KNET_FRAMES. In an RCU read section. */
static void knet_handle_frames(struct net_device *waiter, struct xdp_frame **frames, int count)
{
	const struct knet_waiter *own = netdev_priv(waiter);
	const struct knet_xdp_batching *handler = &own->handler;
	struct net *net = dev_net(waiter);
	/* Of each frame that has a note. The kernel would fill these with zeros. */
	u64 words[KNET_FRAMES] __uninitialized, aheads[KNET_FRAMES] __uninitialized;
	struct knet_xdp_queue queues[KNET_FRAMES] __uninitialized;
	struct knet_leaving leaving __uninitialized;
	struct xdp_frame **frame, **end = frames;
	struct knet_xdp_queue *queue = queues;
	u64 *word = words, *ahead = aheads;
	struct xdp_rxq_info rxq = {};
	struct xdp_buff buff = {};

	for (frame = frames; frame < frames + count; frame++) {
		if (unlikely(!knet_take_note(*frame, word, queue))) {
			knet_drop_frame(waiter, *frame);
			continue;
		}
		word++;
		queue++;
		*end++ = *frame;
	}
	handler->prepare(handler->data, words, aheads, end - frames);
	leaving.out = NULL;
	leaving.count = 0;
	buff.rxq = &rxq;
	word = words;
	queue = queues;
	for (frame = frames; frame < end; frame++, word++, ahead++, queue++) {
		int action;

		knet_load_frames(frame, end);
		if (unlikely(!rxq.dev || rxq.dev->ifindex != queue->ifindex))
			rxq.dev = dev_get_by_index_rcu(net, queue->ifindex);
		/* Gone or down since, as in the kernel's own queues. */
		if (unlikely(!rxq.dev || !netif_running(rxq.dev))) {
			knet_drop_frame(waiter, *frame);
			continue;
		}
		rxq.queue_index = queue->index;
		rxq.mem.type = (*frame)->mem_type;
		xdp_convert_frame_to_buff(*frame, &buff);
		action = knet_take_frame(handler, net, &buff, *word, ahead);
		if (unlikely(action == XDP_PASS)) {
			/* What came before it leaves before it. */
			knet_leave(&leaving);
			knet_pass_frame(*frame, rxq.dev, queue->index);
		} else if (unlikely(action == XDP_DROP) ||
			   !knet_leave_with(&leaving,
					    knet_device_of(net, &leaving, &buff, action),
					    &buff, *frame)) {
			xdp_return_frame_rx_napi(*frame);
		}
	}
	knet_leave(&leaving);
}

/* --- the device ----------------------------------------------------------- */

static int knet_waiter_xdp_xmit(struct net_device *dev, int n, struct xdp_frame **frames, u32 flags)
{
	u32 bytes = 0;
	int i;

	if (unlikely(flags & ~XDP_XMIT_FLAGS_MASK))
		return -EINVAL;
	for (i = 0; i < n; i++)
		bytes += frames[i]->len;
	rcu_read_lock();
	for (i = 0; i < n; i += KNET_FRAMES)
		knet_handle_frames(dev, frames + i, min(n - i, KNET_FRAMES));
	rcu_read_unlock();
	dev_sw_netstats_tx_add(dev, n, bytes);
	/* None is the caller's any more. */
	return n;
}

/* It sends nothing. */
static netdev_tx_t knet_waiter_xmit(struct sk_buff *skb, struct net_device *dev)
{
	dev_core_stats_tx_dropped_inc(dev);
	kfree_skb(skb);
	return NETDEV_TX_OK;
}

/* Frames that were told to wait while it was up have come when it is down. */
static int knet_waiter_stop(struct net_device *dev)
{
	synchronize_net();
	return 0;
}

static const struct net_device_ops knet_waiter_ops = {
	.ndo_stop = knet_waiter_stop,
	.ndo_start_xmit = knet_waiter_xmit,
	.ndo_xdp_xmit = knet_waiter_xdp_xmit,
};

static void knet_waiter_setup(struct net_device *dev)
{
	dev->netdev_ops = &knet_waiter_ops;
	dev->type = ARPHRD_VOID;
	dev->flags = IFF_NOARP;
	dev->priv_flags |= IFF_NO_QUEUE | IFF_NO_ADDRCONF;
	dev->mtu = ETH_MAX_MTU;
	dev->min_mtu = ETH_MAX_MTU;
	dev->max_mtu = ETH_MAX_MTU;
	dev->lltx = true;
	dev->netns_immutable = true;
	dev->pcpu_stat_type = NETDEV_PCPU_STAT_TSTATS;
	xdp_set_features_flag(dev, NETDEV_XDP_ACT_NDO_XMIT | NETDEV_XDP_ACT_NDO_XMIT_SG);
}

/*
 * Creates a device whose frames @handler gets, in softirq in an RCU read section. Process
 * context. Returns NULL without memory, while somebody has the RTNL, and on kernels where
 * frames cannot wait.
 */
struct net_device *knet_waiter_create(struct net *net, const struct knet_xdp_batching *handler)
{
	struct knet_waiter *waiter;
	struct net_device *dev;
	int err;

	if (!IS_ENABLED(CONFIG_BPF_SYSCALL) || IS_ENABLED(CONFIG_PREEMPT_RT))
		return NULL;
	dev = alloc_netdev(sizeof(*waiter), "ipvs%d", NET_NAME_ENUM, knet_waiter_setup);
	if (!dev)
		return NULL;
	waiter = netdev_priv(dev);
	waiter->handler = *handler;
	dev_net_set(dev, net);
	if (!rtnl_trylock()) {
		free_netdev(dev);
		return NULL;
	}
	err = register_netdevice(dev);
	if (!err) {
		err = dev_open(dev, NULL);
		if (err)
			unregister_netdevice(dev);
	}
	rtnl_unlock();
	if (err) {
		free_netdev(dev);
		return NULL;
	}
	return dev;
}

/* Returns how many frames it was given. Any context. */
u64 knet_waiter_handled(const struct net_device *dev)
{
	struct rtnl_link_stats64 stats = {};

	dev_fetch_sw_netstats(&stats, dev->tstats);
	return stats.tx_packets;
}

/*
 * Deletes the device. No frame may be told any more to wait, for a grace period. Process
 * context. Returns false while somebody has the RTNL, unless @waits for that.
 */
bool knet_waiter_destroy(struct net_device *dev, bool waits)
{
	if (waits)
		rtnl_lock();
	else if (!rtnl_trylock())
		return false;
	/* Its namespace may have ended. */
	if (dev->reg_state == NETREG_REGISTERED)
		unregister_netdevice(dev);
	rtnl_unlock();
	free_netdev(dev);
	return true;
}
