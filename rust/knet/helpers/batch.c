// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packets that wait at the ingress hook of their device for a few others, so that
 * all of them are handled together.
 *
 * Each processor has a queue of its own. It is handled when KNET_BATCH packets wait,
 * and at the latest by a NAPI that the first of them schedules: when this processor
 * has polled the devices that have packets now.
 *
 * Only the processor of a queue touches it, in softirq or with bottom halves off,
 * and never twice at once. (When a processor goes offline, another one polls for it.)
 * Kernels whose softirqs preempt each other therefore have no queues.
 *
 * A packet that nobody takes goes on behind the ingress hooks: those of users, tc and
 * programs that capture packets have seen it once.
 */

#include <linux/if_vlan.h>
#include <linux/netdevice.h>
#include <linux/percpu.h>
#include <net/sch_generic.h>

#include "helpers.h"

/* Packets that come while others are handled find room behind them. */
#define KNET_ROOM	(2 * KNET_BATCH)

struct knet_queue {
	struct napi_struct napi;
	struct knet_batch *batch;
	u64 handled;
	unsigned int count;
	bool scheduled;		/* the poll is due */
	bool busy;		/* packets are handled */
	struct knet_waiting waiting[KNET_ROOM];
};

struct knet_batch {
	struct net *net;
	knet_batch_handler *handle;
	void *data;
	struct net_device *dummy;	/* every NAPI has a device */
	struct knet_queue __percpu *queues;
};

/* Whether the packet at @index is the first one of its device, or the first after another's. */
static bool knet_batch_is_first(const struct knet_queue *queue, unsigned int index)
{
	return !index || queue->waiting[index - 1].dev != queue->waiting[index].dev;
}

/* Drops the packets from @first on whose devices have gone, moved or stopped meanwhile. */
static void knet_batch_check(struct knet_queue *queue, unsigned int first, unsigned int end)
{
	const struct knet_batch *batch = queue->batch;
	const struct net_device *good = NULL;
	unsigned int i;

	for (i = first; i < end; i++) {
		struct knet_waiting *waiting = &queue->waiting[i];
		const struct net_device *dev = waiting->dev;

		if (likely(dev == good))
			continue;
		if (likely(READ_ONCE(dev->reg_state) == NETREG_REGISTERED && netif_running(dev) &&
			   net_eq(dev_net(dev), batch->net))) {
			good = dev;
			continue;
		}
		kfree_skb_reason(waiting->skb, SKB_DROP_REASON_DEV_READY);
		waiting->skb = NULL;
	}
}

/* Handles all packets of this processor's queue. In softirq, in an RCU read section. */
static void knet_batch_run(struct knet_queue *queue)
{
	const struct knet_batch *batch = queue->batch;
	unsigned int first, end, i;

	queue->busy = true;
	for (first = 0; first < queue->count; first = end) {
		end = min(queue->count, first + KNET_BATCH);
		knet_batch_check(queue, first, end);
		batch->handle(batch->data, batch->net, &queue->waiting[first], end - first);
	}
	for (i = 0; i < queue->count; i++)
		if (knet_batch_is_first(queue, i))
			dev_put(queue->waiting[i].dev);
	queue->handled += queue->count;
	queue->count = 0;
	queue->busy = false;
}

static int knet_batch_poll(struct napi_struct *napi, int budget)
{
	struct knet_queue *queue = container_of(napi, struct knet_queue, napi);

	rcu_read_lock();
	knet_batch_run(queue);
	rcu_read_unlock();
	queue->scheduled = false;
	/* The queue is empty, so the poll is over, whatever the budget. */
	napi_complete_done(napi, 0);
	return 0;
}

/* Whether packets of this processor wait. Softirq. */
bool knet_batch_waits(const struct knet_batch *batch)
{
	return this_cpu_read(batch->queues->count);
}

/*
 * Has a packet in the ingress hook of its device wait. @note has KNET_NOTE bytes that
 * the handler gets with the packet, if it is @noted. Others need only wait behind
 * those that do. Returns false if the packet cannot wait; the caller still has it
 * then. In softirq, in an RCU read section.
 */
bool knet_batch_add(struct knet_batch *batch, struct sk_buff *skb, const void *note, bool noted)
{
	struct knet_queue *queue = this_cpu_ptr(batch->queues);
	struct net_device *dev = skb->dev;
	struct knet_waiting *waiting;

	if (unlikely(queue->count == KNET_ROOM || (!queue->count && !noted)))
		return false;
	/* It comes to its real device only behind the hooks of this one. */
	if (unlikely(skb_vlan_tag_present(skb) || rcu_access_pointer(dev->rx_handler)))
		return false;
	/* What follows the hooks would run the program again, or forget the reserve. */
	if (unlikely(rcu_access_pointer(dev->xdp_prog) || skb_pfmemalloc(skb)))
		return false;
	/* What tc has given it may end with the read section. */
	if (unlikely(skb_sk_is_prefetched(skb) || (skb_dst(skb) && !skb_dst_force(skb))))
		return false;
	waiting = &queue->waiting[queue->count];
	waiting->skb = skb;
	waiting->data = skb->data;
	waiting->dev = dev;
	waiting->protocol = skb->protocol;
	memcpy(waiting->note, note, KNET_NOTE);
	/* One reference for all packets of a device that follow each other. */
	if (knet_batch_is_first(queue, queue->count++))
		dev_hold(dev);
	if (!queue->scheduled) {
		queue->scheduled = true;
		napi_schedule(&queue->napi);
	}
	if (queue->count >= KNET_BATCH && !queue->busy)
		knet_batch_run(queue);
	return true;
}

/* Passes a packet that has waited on to the host. In softirq, in an RCU read section. */
void knet_batch_pass_on(struct sk_buff *skb)
{
#ifdef CONFIG_NET_XGRESS
	skb->tc_skip_classify = 1;
#endif
	netif_receive_skb_core(skb);
}

/* Drops a packet that has waited, as netfilter does. */
void knet_batch_drop(struct sk_buff *skb)
{
	kfree_skb_reason(skb, SKB_DROP_REASON_NETFILTER_DROP);
}

/*
 * Creates the queues of a namespace. @handle gets packets that have waited, in their
 * order, in softirq in an RCU read section. Those without a buffer are gone. Process
 * context. Returns NULL without memory, and on kernels where packets cannot wait.
 */
struct knet_batch *knet_batch_create(struct net *net, knet_batch_handler *handle, void *data)
{
	struct knet_batch *batch;
	int cpu;

	/* Such kernels would give a packet that goes on to the hook again. */
	if (!IS_ENABLED(CONFIG_NET_CLS_ACT) || IS_ENABLED(CONFIG_PREEMPT_RT))
		return NULL;
	batch = kzalloc_obj(*batch, GFP_KERNEL_ACCOUNT);
	if (!batch)
		return NULL;
	batch->net = net;
	batch->handle = handle;
	batch->data = data;
	batch->dummy = alloc_netdev_dummy(0);
	batch->queues = alloc_percpu_gfp(struct knet_queue, GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!batch->dummy || !batch->queues) {
		free_percpu(batch->queues);
		if (batch->dummy)
			free_netdev(batch->dummy);
		kfree(batch);
		return NULL;
	}
	for_each_possible_cpu(cpu) {
		struct knet_queue *queue = per_cpu_ptr(batch->queues, cpu);

		queue->batch = batch;
		set_bit(NAPI_STATE_NO_BUSY_POLL, &queue->napi.state);
		netif_napi_add(batch->dummy, &queue->napi, knet_batch_poll);
		napi_enable(&queue->napi);
	}
	return batch;
}

/* Returns how many packets have waited and were handled. Any context. */
u64 knet_batch_handled(const struct knet_batch *batch)
{
	u64 handled = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		handled += READ_ONCE(per_cpu_ptr(batch->queues, cpu)->handled);
	return handled;
}

/*
 * Handles the packets that wait, and frees the queues. No hook may add packets any
 * more. Process context.
 */
void knet_batch_destroy(struct knet_batch *batch)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct knet_queue *queue = per_cpu_ptr(batch->queues, cpu);

		/* A queue with packets is scheduled, and this waits for its poll. */
		napi_disable(&queue->napi);
		__netif_napi_del(&queue->napi);
	}
	synchronize_net();
	free_percpu(batch->queues);
	free_netdev(batch->dummy);
	kfree(batch);
}
