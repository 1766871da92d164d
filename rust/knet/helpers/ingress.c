// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packets where they come in: the ingress hook of a device.
 *
 * A packet that is taken here skips the host's receive functions and PRE_ROUTING.
 * So knet_receive4() and knet_receive6() let only those be taken that would have
 * come to this module's hook at PRE_ROUTING in any case, unchanged and unseen by
 * others. All others go on as if there were no hook here.
 *
 * The hook runs in softirq inside an RCU read section. A hook keeps its device, so
 * its owner removes it when the device goes.
 */

#include <linux/if_arp.h>
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <net/addrconf.h>
#include <net/inet_ecn.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/xfrm.h>

#include "helpers.h"
#include "ingress.h"
#include "ipsec.h"
#include "needless.h"

bool knet_rtnl_trylock(void)
{
	return rtnl_trylock();
}

void knet_rtnl_unlock(void)
{
	rtnl_unlock();
}

/* --- packets -------------------------------------------------------------- */

/* Whether a packet may be taken here: false if the host has to receive it. */
bool knet_may_receive4(const struct net *net, struct sk_buff *skb)
{
	return knet_is_ordinary(net, skb) && knet_comes_first(net->nf.hooks_ipv4);
}

bool knet_may_receive6(const struct net *net, struct sk_buff *skb)
{
	return knet_is_ordinary(net, skb) && knet_comes_first(net->nf.hooks_ipv6) &&
	       knet_receives_ipv6(skb->dev);
}

/*
 * As ip_rcv_core(), for a packet of @len bytes whose header is sound and without
 * options. Returns false if the host has to receive it.
 */
bool knet_receive4(struct net *net, struct sk_buff *skb, unsigned int len)
{
	if (!knet_may_receive4(net, skb))
		return false;
	if (unlikely(pskb_trim_rcsum(skb, len)))
		return false;
	knet_set_received4(skb);
	return true;
}

/* As ip6_rcv_core(), likewise. */
bool knet_receive6(struct net *net, struct sk_buff *skb, unsigned int len)
{
	if (!knet_may_receive6(net, skb))
		return false;
	if (unlikely(pskb_trim_rcsum(skb, len)))
		return false;
	knet_set_received6(skb);
	return true;
}

/*
 * Counts a packet that is taken here, as the host's receive functions count: before
 * it is changed.
 */
void knet_count_received4(struct net *net, const struct sk_buff *skb)
{
	knet_count4(net, skb, skb->len, knet_segments(skb));
}

void knet_count_received6(struct net *net, const struct sk_buff *skb)
{
	knet_count6(net, __in6_dev_get(skb->dev), skb, skb->len, knet_segments(skb));
}

/* --- devices -------------------------------------------------------------- */

/*
 * Whether a hook would come after all that the device has. One of the same priority
 * that exists already would come after it.
 */
static bool knet_would_be_last(const struct net_device *dev, int priority)
{
	const struct nf_hook_entries *hooks;
	bool last = true;

	rcu_read_lock();
	hooks = rcu_dereference(dev->nf_hooks_ingress);
	if (hooks && hooks->num_hook_entries) {
		struct nf_hook_ops **ops = nf_hook_entries_get_hook_ops(hooks);

		last = ops[hooks->num_hook_entries - 1]->priority < priority;
	}
	rcu_read_unlock();
	return last;
}

/*
 * Adds a hook to the device with this index, after those of users. Process context,
 * under the RTNL, so that the device neither goes nor moves meanwhile. Returns
 * -ENODEV if there is none, or -EOPNOTSUPP if its packets are not received as those
 * of a network card are, or others have the last hook there.
 */
int knet_ingress_add(struct net *net, struct nf_hook_ops *ops, int ifindex)
{
	struct net_device *dev = __dev_get_by_index(net, ifindex);
	int err;

	if (!dev || dev->reg_state != NETREG_REGISTERED)
		return -ENODEV;
	if (dev->type != ARPHRD_ETHER || netif_is_l3_master(dev) ||
	    !knet_would_be_last(dev, INT_MAX))
		return -EOPNOTSUPP;
	ops->dev = dev;
	ops->pf = NFPROTO_NETDEV;
	ops->hooknum = NF_NETDEV_INGRESS;
	ops->priority = INT_MAX;
	err = nf_register_net_hook(net, ops);
	if (err)
		return err;
	dev_hold(dev);
	return 0;
}

/* Process context. Packets may still be inside the hook's function afterwards. */
void knet_ingress_remove(struct net *net, struct nf_hook_ops *ops)
{
	struct net_device *dev = ops->dev;

	nf_unregister_net_hook(net, ops);
	dev_put(dev);
}
