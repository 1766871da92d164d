// SPDX-License-Identifier: GPL-2.0-only
/*
 * One instance per network namespace, the events of the namespace's devices,
 * and files below /proc/net.
 */

#include <linux/capability.h>
#include <linux/netdevice.h>
#include <linux/proc_fs.h>
#include <linux/seq_file_net.h>

#include "helpers.h"
#include "netns.h"

unsigned int knet_namespace_id;
static struct knet_namespace_calls knet_calls;
bool knet_registered;

static int knet_namespace_init(struct net *net)
{
	struct knet_namespace *ns = net_generic(net, knet_namespace_id);

	void *kept = NULL;
	int err = knet_calls.init(net, &kept);

	if (err)
		return err;
	WRITE_ONCE(ns->kept, kept);
	rcu_assign_pointer(ns->data, kept);
	return 0;
}

/* The kernel waits for a grace period between the two. */
static void knet_namespace_pre_exit(struct net *net)
{
	struct knet_namespace *ns = net_generic(net, knet_namespace_id);

	RCU_INIT_POINTER(ns->data, NULL);
	if (ns->kept)
		knet_calls.pre_exit(ns->kept);
}

static void knet_namespace_exit(struct net *net)
{
	struct knet_namespace *ns = net_generic(net, knet_namespace_id);
	void *kept = ns->kept;

	WRITE_ONCE(ns->kept, NULL);
	if (kept)
		knet_calls.exit(kept);
}

/* Cached routes over a device keep the device. */
static int knet_device_event(struct notifier_block *block, unsigned long event, void *info)
{
	const struct net_device *device = netdev_notifier_info_to_dev(info);
	const struct knet_namespace *ns = net_generic(dev_net(device), knet_namespace_id);
	void *kept = READ_ONCE(ns->kept);

	if (kept && (event == NETDEV_DOWN || event == NETDEV_UNREGISTER))
		knet_calls.device_gone(kept);
	if (kept && event == NETDEV_UNREGISTER)
		knet_calls.device_removed(kept, device->ifindex);
	return NOTIFY_DONE;
}

/* After the notifiers that remove the routes. */
static struct notifier_block knet_device_notifier = {
	.notifier_call = knet_device_event,
	.priority = INT_MIN,
};

static struct pernet_operations knet_namespace_ops = {
	.init = knet_namespace_init,
	.pre_exit = knet_namespace_pre_exit,
	.exit = knet_namespace_exit,
	.id = &knet_namespace_id,
	.size = sizeof(struct knet_namespace),
};

int knet_namespace_register(const struct knet_namespace_calls *calls)
{
	int err;

	if (knet_calls.init)
		return -EBUSY;
	knet_calls = *calls;
	err = register_pernet_subsys(&knet_namespace_ops);
	if (err)
		goto fail;
	err = register_netdevice_notifier(&knet_device_notifier);
	if (err)
		goto fail_notifier;
	/* The identifier before the flag; pairs with knet_namespace_data(). */
	smp_store_release(&knet_registered, true);
	return 0;

fail_notifier:
	unregister_pernet_subsys(&knet_namespace_ops);
fail:
	knet_calls.init = NULL;
	return err;
}

void knet_namespace_unregister(void)
{
	WRITE_ONCE(knet_registered, false);
	unregister_netdevice_notifier(&knet_device_notifier);
	unregister_pernet_subsys(&knet_namespace_ops);
	knet_calls.init = NULL;
}

/*
 * The result of init() for @net, or NULL. In an RCU read section, in which it stays
 * valid: unregistering waits for a grace period before exit() and before the
 * identifier is given up.
 */
void *knet_namespace_data(const struct net *net)
{
	struct knet_namespace *ns;

	/* Pairs with knet_namespace_register(). */
	if (!smp_load_acquire(&knet_registered))
		return NULL;
	ns = net_generic(net, knet_namespace_id);
	return rcu_dereference(ns->data);
}

/*
 * Sets the handler of the namespace's frames, or NULL for none. The former one may
 * be used until the end of a grace period. Process context, between init() and
 * pre_exit().
 */
void knet_namespace_set_xdp(const struct net *net, const struct knet_xdp *handler)
{
	struct knet_namespace *ns = net_generic(net, knet_namespace_id);

	rcu_assign_pointer(ns->xdp, handler);
}

bool knet_namespace_is_initial(const struct net *net)
{
	return net_eq(net, &init_net);
}

/* As in /proc/PID/ns/net. */
unsigned int knet_namespace_number(const struct net *net)
{
	return net->ns.inum;
}

/* Process context. */
bool knet_caller_administers_host(void)
{
	return capable(CAP_NET_ADMIN);
}

struct proc_dir_entry *knet_proc_create(struct net *net, const char *name, umode_t mode,
					int (*show)(struct seq_file *, void *))
{
	return proc_create_net_single(name, mode, net->proc_net, show, NULL);
}

/*
 * A file of many parts. A position in it is the key of a part plus one, or 0 for
 * the heading.
 */
static void *knet_list_at(struct seq_file *seq, loff_t *pos)
{
	const struct knet_list_calls *calls = pde_data(file_inode(seq->file));
	u64 found;

	if (*pos) {
		found = calls->find(seq_file_net(seq), *pos - 1);
		if (!found)
			return NULL;
		*pos = found;
	}
	return pos;
}

static void *knet_list_next(struct seq_file *seq, void *v, loff_t *pos)
{
	++*pos;
	return knet_list_at(seq, pos);
}

static void knet_list_stop(struct seq_file *seq, void *v)
{
}

static int knet_list_show(struct seq_file *seq, void *v)
{
	const struct knet_list_calls *calls = pde_data(file_inode(seq->file));

	calls->show(seq_file_net(seq), seq, *(loff_t *)v);
	return 0;
}

static const struct seq_operations knet_list_ops = {
	.start = knet_list_at,
	.next = knet_list_next,
	.stop = knet_list_stop,
	.show = knet_list_show,
};

struct proc_dir_entry *knet_proc_create_list(struct net *net, const char *name,
					     const struct knet_list_calls *calls)
{
	return proc_create_net_data(name, 0444, net->proc_net, &knet_list_ops,
				    sizeof(struct seq_net_private), (void *)calls);
}

void knet_proc_remove(struct net *net, const char *name)
{
	remove_proc_entry(name, net->proc_net);
}

struct net *knet_seq_net(struct seq_file *seq)
{
	return seq_file_single_net(seq);
}
