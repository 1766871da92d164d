// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench_nic: a network card without hardware, for measurements.
 *
 * Frames arrive as they do from a real card: NAPI polls that deliver up to 63 at once, pages of a
 * page pool, XDP, then GRO. veth cannot show this, because it delivers frame by frame. Sent frames
 * are counted and freed.
 *
 *   ip link add front type bench_nic
 *
 * A program writes a struct bench_nic_run and an Ethernet frame to /proc/bench_nic. The device then
 * receives the frame "count" times, with other addresses and ports for each flow. The write returns
 * when all of them were processed. A read from the same open file returns the nanoseconds. The
 * frames arrive in the queue of the processor that writes, so programs on several processors
 * measure at once.
 *
 * Kernels without type information cannot have an XDP program that calls ipvs_rs. With the module's
 * parameter "direct" each device without a program has the effect of one: it calls the function
 * itself. With "redirect" each has the effect of a program that redirects all frames to another
 * device.
 *
 * Belongs here: what a card does. Never: rules, tests or knowledge about a director.
 */
#include <linux/bpf.h>
#include <linux/bpf_trace.h>
#include <linux/etherdevice.h>
#include <linux/filter.h>
#include <linux/hash.h>
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/nsproxy.h>
#include <linux/prandom.h>
#include <linux/proc_fs.h>
#include <linux/tcp.h>
#include <net/gro.h>
#include <net/ip.h>
#include <net/page_pool/helpers.h>
#include <net/rtnetlink.h>
#include <net/xdp.h>

#define BENCH_NIC_QUEUES	8
#define BENCH_NIC_BATCH		63	/* below NAPI's budget, so that a poll ends */
#define BENCH_NIC_FRAME		1514

/* Flows in random order, instead of one after another. */
#define BENCH_NIC_RANDOM	BIT(0)
/* A flow is told apart by its destination: frames from a server. */
#define BENCH_NIC_REPLY		BIT(1)
/* Sequence numbers of TCP advance with each frame, so that GRO can merge. */
#define BENCH_NIC_STREAM	BIT(2)
/* The card gives each frame a hash of its flow, as cards with several queues do. */
#define BENCH_NIC_HASH		BIT(3)
#define BENCH_NIC_FLAGS		(BENCH_NIC_RANDOM | BENCH_NIC_REPLY | BENCH_NIC_STREAM | \
				 BENCH_NIC_HASH)

/* What a program writes, in the machine's byte order. The frame follows. */
struct bench_nic_run {
	u64 count;	/* of frames */
	u32 ifindex;	/* of the device, in the namespace of the program */
	u32 clients;	/* addresses of clients, from the frame's on */
	u32 ports;	/* ports of each client, from the frame's on */
	u32 spread;	/* addresses of the other end, from the frame's on */
	u32 repeat;	/* frames of a flow in a row */
	u32 flags;	/* BENCH_NIC_* */
};

struct bench_nic_queue {
	struct napi_struct napi;
	struct xdp_rxq_info rxq;
	struct page_pool *pool;
	struct bench_nic *nic;
	struct mutex lock;	/* one run at a time */
	/* The run, which the poll reads. */
	const struct bench_nic_run *run;
	const u8 *frame;
	u32 length;
	u32 todo;		/* frames of this poll */
	u64 made;
	u32 client, port;
	struct rnd_state random;
};

struct bench_nic {
	struct net_device *dev;
	struct bpf_prog __rcu *prog;
	u32 queues;
	struct bench_nic_queue queue[BENCH_NIC_QUEUES];
};

/* --- XDP without a program ------------------------------------------------------------------- */

/* Of ipvs_rs. */
int knet_xdp_forward(struct xdp_buff *frame);
void knet_xdp_offer(bool offered);

/* Or NULL. Changed by writers of the parameter, one at a time. */
static int (*bench_nic_forward)(struct xdp_buff *frame);
static void (*bench_nic_offer)(bool offered);

static void bench_nic_end_direct(void)
{
	if (!bench_nic_offer)
		return;
	WRITE_ONCE(bench_nic_forward, NULL);
	synchronize_net();
	bench_nic_offer(false);
	bench_nic_offer = NULL;
	symbol_put(knet_xdp_offer);
	symbol_put(knet_xdp_forward);
}

static int bench_nic_set_direct(const char *text, const struct kernel_param *param)
{
	int (*forward)(struct xdp_buff *frame);
	bool begin;
	int err;

	err = kstrtobool(text, &begin);
	if (err)
		return err;
	bench_nic_end_direct();
	if (!begin)
		return 0;
	forward = symbol_get(knet_xdp_forward);
	if (!forward)
		return -ENOENT;
	bench_nic_offer = symbol_get(knet_xdp_offer);
	if (!bench_nic_offer) {
		symbol_put(knet_xdp_forward);
		return -ENOENT;
	}
	bench_nic_offer(true);
	WRITE_ONCE(bench_nic_forward, forward);
	return 0;
}

static const struct kernel_param_ops bench_nic_direct = {
	.set = bench_nic_set_direct,
};

module_param_cb(direct, &bench_nic_direct, NULL, 0200);
MODULE_PARM_DESC(direct, "Hand frames to ipvs_rs without an XDP program");

/* The device to which all frames go, as by a program that redirects them. 0: none. */
static int bench_nic_redirect_to;

static int bench_nic_redirect(struct xdp_buff *frame)
{
	struct bpf_redirect_info *info = bpf_net_ctx_get_ri();

	info->flags = 0;
	info->tgt_index = READ_ONCE(bench_nic_redirect_to);
	info->map_id = INT_MAX;
	info->map_type = BPF_MAP_TYPE_UNSPEC;
	return XDP_REDIRECT;
}

module_param_named(redirect, bench_nic_redirect_to, int, 0600);
MODULE_PARM_DESC(redirect, "Redirect all frames to the device with this index");

/* --- sending --------------------------------------------------------------------------------- */

static netdev_tx_t bench_nic_xmit(struct sk_buff *skb, struct net_device *dev)
{
	u32 frames = skb_is_gso(skb) ? skb_shinfo(skb)->gso_segs : 1;

	dev_sw_netstats_tx_add(dev, frames, skb->len);
	/* As a card that has sent in the meantime frees it: from a poll, in bulk. */
	napi_consume_skb(skb, BENCH_NIC_BATCH);
	return NETDEV_TX_OK;
}

static int bench_nic_xdp_xmit(struct net_device *dev, int n, struct xdp_frame **frames, u32 flags)
{
	struct xdp_frame_bulk bulk;
	u32 length = 0;
	int i;

	if (unlikely(flags & ~XDP_XMIT_FLAGS_MASK))
		return -EINVAL;
	xdp_frame_bulk_init(&bulk);
	for (i = 0; i < n; i++) {
		length += frames[i]->len;
		xdp_return_frame_bulk(frames[i], &bulk);
	}
	xdp_flush_frame_bulk(&bulk);
	dev_sw_netstats_tx_add(dev, n, length);
	return n;
}

/* --- receiving ------------------------------------------------------------------------------- */

/* Chooses the flow of the next frame. */
static void bench_nic_next(struct bench_nic_queue *queue)
{
	const struct bench_nic_run *run = queue->run;
	u64 turn;

	if (run->repeat > 1 && queue->made % run->repeat)
		return;
	if (run->flags & BENCH_NIC_RANDOM) {
		queue->client = reciprocal_scale(prandom_u32_state(&queue->random), run->clients);
		queue->port = reciprocal_scale(prandom_u32_state(&queue->random), run->ports);
		return;
	}
	turn = queue->made / run->repeat;
	queue->client = turn % run->clients;
	queue->port = turn / run->clients % run->ports;
}

static void bench_nic_add32(__be32 *field, u32 more)
{
	put_unaligned_be32(get_unaligned_be32(field) + more, field);
}

/* Writes the next frame. Checksums of transport headers are wrong: the card vouches for them. */
static void bench_nic_fill(struct bench_nic_queue *queue, u8 *data)
{
	const struct bench_nic_run *run = queue->run;
	struct iphdr *ip = (struct iphdr *)(data + ETH_HLEN);
	struct ipv6hdr *ip6 = (struct ipv6hdr *)(data + ETH_HLEN);
	__be32 *source, *destination;
	u32 spread, payload;
	__be16 *ports;
	u64 turn;

	bench_nic_next(queue);
	memcpy(data, queue->frame, queue->length);
	spread = queue->port % run->spread;
	if (ip->version == 4) {
		source = &ip->saddr;
		destination = &ip->daddr;
		ports = (__be16 *)(ip + 1);
		payload = queue->length - ETH_HLEN - sizeof(*ip);
	} else {
		source = &ip6->saddr.s6_addr32[3];
		destination = &ip6->daddr.s6_addr32[3];
		ports = (__be16 *)(ip6 + 1);
		payload = queue->length - ETH_HLEN - sizeof(*ip6);
	}
	if (run->flags & BENCH_NIC_REPLY) {
		swap(source, destination);
		ports++;
	}
	bench_nic_add32(source, queue->client);
	bench_nic_add32(destination, spread);
	put_unaligned_be16(get_unaligned_be16(ports) + queue->port, ports);
	if (run->flags & BENCH_NIC_STREAM) {
		struct tcphdr *tcp = ip->version == 4 ? (void *)(ip + 1) : (void *)(ip6 + 1);

		payload -= tcp->doff * 4;
		/* Trains of this flow before, and frames of this train. */
		turn = queue->made / run->repeat / run->ports / run->clients;
		turn = turn * run->repeat + queue->made % run->repeat;
		bench_nic_add32(&tcp->seq, (u32)turn * payload);
	}
	if (ip->version == 4) {
		ip->check = 0;
		ip->check = ip_fast_csum(ip, ip->ihl);
	}
}

/* Runs the XDP program, or what stands for one. Returns true if it took the frame. */
static bool bench_nic_xdp(struct bench_nic_queue *queue, struct bpf_prog *prog,
			  int (*forward)(struct xdp_buff *frame), struct xdp_buff *xdp,
			  bool *redirected)
{
	struct net_device *dev = queue->nic->dev;
	u32 act = forward ? forward(xdp) : bpf_prog_run_xdp(prog, xdp);
	struct xdp_frame *frame;

	switch (act) {
	case XDP_PASS:
		return false;
	case XDP_TX:
		frame = xdp_convert_buff_to_frame(xdp);
		if (frame) {
			bench_nic_xdp_xmit(dev, 1, &frame, 0);
			return true;
		}
		break;
	case XDP_REDIRECT:
		if (!xdp_do_redirect(dev, xdp, prog)) {
			*redirected = true;
			return true;
		}
		break;
	default:
		bpf_warn_invalid_xdp_action(dev, prog, act);
		fallthrough;
	case XDP_ABORTED:
		trace_xdp_exception(dev, prog, act);
		fallthrough;
	case XDP_DROP:
		break;
	}
	xdp_return_buff(xdp);
	return true;
}

/* Receives one frame. Returns false if there is no memory. */
static bool bench_nic_receive(struct bench_nic_queue *queue, struct bpf_prog *prog,
			      int (*forward)(struct xdp_buff *frame), bool *redirected)
{
	struct net_device *dev = queue->nic->dev;
	struct page *page = page_pool_dev_alloc_pages(queue->pool);
	struct xdp_buff xdp;
	struct sk_buff *skb;
	void *hard;

	if (!page)
		return false;
	hard = page_address(page);
	bench_nic_fill(queue, hard + XDP_PACKET_HEADROOM);
	queue->made++;
	xdp_init_buff(&xdp, PAGE_SIZE, &queue->rxq);
	xdp_prepare_buff(&xdp, hard, XDP_PACKET_HEADROOM, queue->length, true);
	if ((prog || forward) && bench_nic_xdp(queue, prog, forward, &xdp, redirected))
		return true;
	skb = napi_build_skb(hard, PAGE_SIZE);
	if (!skb) {
		page_pool_put_full_page(queue->pool, page, true);
		return false;
	}
	skb_reserve(skb, xdp.data - xdp.data_hard_start);
	__skb_put(skb, xdp.data_end - xdp.data);
	skb_mark_for_recycle(skb);
	skb_record_rx_queue(skb, queue - queue->nic->queue);
	skb->protocol = eth_type_trans(skb, dev);
	skb->ip_summed = CHECKSUM_UNNECESSARY;
	if (queue->run->flags & BENCH_NIC_HASH)
		skb_set_hash(skb, hash_32(queue->client << 16 ^ queue->port, 16),
			     PKT_HASH_TYPE_L4);
	dev_sw_netstats_rx_add(dev, skb->len);
	napi_gro_receive(&queue->napi, skb);
	return true;
}

static int bench_nic_poll(struct napi_struct *napi, int budget)
{
	struct bench_nic_queue *queue = container_of(napi, struct bench_nic_queue, napi);
	int (*forward)(struct xdp_buff *frame);
	bool redirected = false;
	struct bpf_prog *prog;
	int done = 0;

	rcu_read_lock();
	prog = rcu_dereference(queue->nic->prog);
	forward = prog ? NULL : READ_ONCE(bench_nic_forward);
	if (READ_ONCE(bench_nic_redirect_to))
		forward = bench_nic_redirect;
	while (done < budget && done < queue->todo &&
	       bench_nic_receive(queue, prog, forward, &redirected))
		done++;
	rcu_read_unlock();
	if (redirected)
		xdp_do_flush();
	queue->todo -= done;
	if (done < budget)
		napi_complete_done(napi, done);
	return done;
}

/* --- the device ------------------------------------------------------------------------------ */

static int bench_nic_bpf(struct net_device *dev, struct netdev_bpf *bpf)
{
	struct bench_nic *nic = netdev_priv(dev);
	struct bpf_prog *old;

	if (bpf->command != XDP_SETUP_PROG)
		return -EINVAL;
	old = rtnl_dereference(nic->prog);
	rcu_assign_pointer(nic->prog, bpf->prog);
	if (old)
		bpf_prog_put(old);
	return 0;
}

static int bench_nic_open(struct net_device *dev)
{
	struct bench_nic *nic = netdev_priv(dev);
	u32 i;

	for (i = 0; i < nic->queues; i++)
		napi_enable(&nic->queue[i].napi);
	netif_tx_start_all_queues(dev);
	return 0;
}

static int bench_nic_stop(struct net_device *dev)
{
	struct bench_nic *nic = netdev_priv(dev);
	u32 i;

	netif_tx_stop_all_queues(dev);
	for (i = 0; i < nic->queues; i++)
		napi_disable(&nic->queue[i].napi);
	return 0;
}

static void bench_nic_uninit(struct net_device *dev)
{
	struct bench_nic *nic = netdev_priv(dev);

	while (nic->queues) {
		struct bench_nic_queue *queue = &nic->queue[--nic->queues];

		/* This frees the pool. */
		xdp_rxq_info_unreg(&queue->rxq);
		netif_napi_del(&queue->napi);
	}
}

static int bench_nic_init_queue(struct bench_nic *nic, u32 index)
{
	struct bench_nic_queue *queue = &nic->queue[index];
	struct page_pool_params params = {
		.pool_size = 1024,
		.nid = NUMA_NO_NODE,
		.napi = &queue->napi,
		.netdev = nic->dev,
	};
	int err;

	queue->nic = nic;
	mutex_init(&queue->lock);
	netif_napi_add(nic->dev, &queue->napi, bench_nic_poll);
	queue->pool = page_pool_create(&params);
	if (IS_ERR(queue->pool)) {
		err = PTR_ERR(queue->pool);
		goto no_pool;
	}
	err = xdp_rxq_info_reg(&queue->rxq, nic->dev, index, queue->napi.napi_id);
	if (err)
		goto no_rxq;
	err = xdp_rxq_info_reg_mem_model(&queue->rxq, MEM_TYPE_PAGE_POOL, queue->pool);
	if (err)
		goto no_model;
	return 0;

no_model:
	xdp_rxq_info_unreg(&queue->rxq);
no_rxq:
	page_pool_destroy(queue->pool);
no_pool:
	netif_napi_del(&queue->napi);
	return err;
}

static int bench_nic_init(struct net_device *dev)
{
	struct bench_nic *nic = netdev_priv(dev);
	int err;

	nic->dev = dev;
	while (nic->queues < dev->real_num_rx_queues) {
		err = bench_nic_init_queue(nic, nic->queues);
		if (err) {
			bench_nic_uninit(dev);
			return err;
		}
		nic->queues++;
	}
	return 0;
}

static const struct net_device_ops bench_nic_ops = {
	.ndo_init = bench_nic_init,
	.ndo_uninit = bench_nic_uninit,
	.ndo_open = bench_nic_open,
	.ndo_stop = bench_nic_stop,
	.ndo_start_xmit = bench_nic_xmit,
	.ndo_xdp_xmit = bench_nic_xdp_xmit,
	.ndo_bpf = bench_nic_bpf,
	.ndo_validate_addr = eth_validate_addr,
	.ndo_set_mac_address = eth_mac_addr,
};

static void bench_nic_setup(struct net_device *dev)
{
	ether_setup(dev);
	eth_hw_addr_random(dev);
	dev->netdev_ops = &bench_nic_ops;
	dev->needs_free_netdev = true;
	dev->pcpu_stat_type = NETDEV_PCPU_STAT_TSTATS;
	dev->lltx = true;
	/* What today's cards can do. */
	dev->hw_features = NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_HIGHDMA | NETIF_F_RXCSUM | NETIF_F_FRAGLIST |
			   NETIF_F_TSO | NETIF_F_TSO6 | NETIF_F_GSO_IPXIP4 | NETIF_F_GSO_IPXIP6 |
			   NETIF_F_GSO_UDP_TUNNEL | NETIF_F_GSO_UDP_L4;
	dev->features = dev->hw_features;
	dev->hw_enc_features = dev->hw_features;
	dev->vlan_features = dev->hw_features;
	xdp_set_features_flag(dev, NETDEV_XDP_ACT_BASIC | NETDEV_XDP_ACT_REDIRECT | NETDEV_XDP_ACT_NDO_XMIT);
}

static unsigned int bench_nic_queues(void)
{
	return min(num_possible_cpus(), BENCH_NIC_QUEUES);
}

static struct rtnl_link_ops bench_nic_link_ops = {
	.kind = "bench_nic",
	.priv_size = sizeof(struct bench_nic),
	.setup = bench_nic_setup,
	.get_num_tx_queues = bench_nic_queues,
	.get_num_rx_queues = bench_nic_queues,
};

/* --- runs ------------------------------------------------------------------------------------ */

/* What a program writes at once. */
struct bench_nic_request {
	struct bench_nic_run run;
	u8 frame[BENCH_NIC_FRAME];
};

static int bench_nic_check(const struct bench_nic_request *request, u32 length)
{
	const struct bench_nic_run *run = &request->run;
	const struct iphdr *ip = (const struct iphdr *)(request->frame + ETH_HLEN);
	bool tcp = run->flags & BENCH_NIC_STREAM;
	u32 headers;

	if (!run->clients || !run->ports || !run->spread || !run->repeat || run->flags & ~BENCH_NIC_FLAGS)
		return -EINVAL;
	if (length < ETH_ZLEN)
		return -EINVAL;
	if (ip->version == 4 && ip->ihl == 5)
		headers = ETH_HLEN + sizeof(struct iphdr);
	else if (ip->version == 6)
		headers = ETH_HLEN + sizeof(struct ipv6hdr);
	else
		return -EPROTONOSUPPORT;
	if (length < headers + sizeof(struct tcphdr) && (tcp || length < headers + 4))
		return -EINVAL;
	return 0;
}

/* Lets the device receive all frames of the run. Context: process, on one processor. */
static int bench_nic_receive_all(struct bench_nic *nic, const struct bench_nic_request *request, u32 length, u64 *took)
{
	struct bench_nic_queue *queue = &nic->queue[raw_smp_processor_id() % nic->queues];
	u64 left = request->run.count, begun;
	int err = 0;

	if (mutex_lock_interruptible(&queue->lock))
		return -EINTR;
	queue->run = &request->run;
	queue->frame = request->frame;
	queue->length = length;
	queue->made = 0;
	prandom_seed_state(&queue->random, 42 + raw_smp_processor_id());
	begun = ktime_get_ns();
	while (left && !err) {
		u32 batch = min_t(u64, left, BENCH_NIC_BATCH);

		queue->todo = batch;
		local_bh_disable();
		napi_schedule(&queue->napi);
		local_bh_enable();
		left -= batch;
		/* The poll may have been left to ksoftirqd, or not have found memory. */
		while (READ_ONCE(queue->todo) && !err) {
			if (signal_pending(current))
				err = -EINTR;
			else if (!netif_running(nic->dev))
				err = -ENETDOWN;
			cond_resched();
			local_bh_disable();
			napi_schedule(&queue->napi);
			local_bh_enable();
		}
		cond_resched();
	}
	*took = ktime_get_ns() - begun;
	/* A poll that has not ended yet must not read the request any more. */
	queue->todo = 0;
	napi_synchronize(&queue->napi);
	mutex_unlock(&queue->lock);
	return err;
}

static ssize_t bench_nic_write(struct file *file, const char __user *user, size_t size, loff_t *offset)
{
	struct bench_nic_request *request;
	struct net_device *dev;
	u64 *took = file->private_data;
	ssize_t err;

	if (size <= sizeof(request->run) || size > sizeof(*request))
		return -EINVAL;
	request = memdup_user(user, size);
	if (IS_ERR(request))
		return PTR_ERR(request);
	size -= sizeof(request->run);
	err = bench_nic_check(request, size);
	if (err)
		goto free;
	dev = dev_get_by_index(current->nsproxy->net_ns, request->run.ifindex);
	if (!dev) {
		err = -ENODEV;
		goto free;
	}
	err = -ENODEV;
	/* The reference keeps the device. */
	if (dev->netdev_ops == &bench_nic_ops && netif_running(dev))
		err = bench_nic_receive_all(netdev_priv(dev), request, size, took);
	dev_put(dev);
free:
	kfree(request);
	return err ?: size + sizeof(request->run);
}

static ssize_t bench_nic_read(struct file *file, char __user *user, size_t size, loff_t *offset)
{
	u64 *took = file->private_data;
	char text[24];
	loff_t begin = 0;

	return simple_read_from_buffer(user, size, &begin, text, scnprintf(text, sizeof(text), "%llu\n", *took));
}

static int bench_nic_file_open(struct inode *inode, struct file *file)
{
	file->private_data = kzalloc(sizeof(u64), GFP_KERNEL);
	return file->private_data ? 0 : -ENOMEM;
}

static int bench_nic_file_release(struct inode *inode, struct file *file)
{
	kfree(file->private_data);
	return 0;
}

static const struct proc_ops bench_nic_file = {
	.proc_open = bench_nic_file_open,
	.proc_read = bench_nic_read,
	.proc_write = bench_nic_write,
	.proc_release = bench_nic_file_release,
};

static int __init bench_nic_start(void)
{
	int err;

	if (!proc_create("bench_nic", 0600, NULL, &bench_nic_file))
		return -ENOMEM;
	err = rtnl_link_register(&bench_nic_link_ops);
	if (err)
		remove_proc_entry("bench_nic", NULL);
	return err;
}

static void __exit bench_nic_end(void)
{
	bench_nic_end_direct();
	remove_proc_entry("bench_nic", NULL);
	rtnl_link_unregister(&bench_nic_link_ops);
}

module_init(bench_nic_start);
module_exit(bench_nic_end);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A network card without hardware, for measurements");
MODULE_ALIAS_RTNL_LINK("bench_nic");
