// SPDX-License-Identifier: GPL-2.0-only
/* One instance of something per network namespace, and its files below /proc/net. */

#include <linux/proc_fs.h>
#include <linux/seq_file_net.h>
#include <net/netns/generic.h>

#include "helpers.h"

struct knet_namespace {
	void *data;
};

static unsigned int knet_namespace_id;
static struct knet_namespace_calls knet_calls;
/* The identifier is good: set and cleared around what uses it. */
static bool knet_registered;

static int knet_namespace_init(struct net *net)
{
	struct knet_namespace *ns = net_generic(net, knet_namespace_id);

	ns->data = NULL;
	return knet_calls.init(net, &ns->data);
}

static void knet_namespace_pre_exit(struct net *net)
{
	struct knet_namespace *ns = net_generic(net, knet_namespace_id);

	if (ns->data)
		knet_calls.pre_exit(ns->data);
}

static void knet_namespace_exit(struct net *net)
{
	struct knet_namespace *ns = net_generic(net, knet_namespace_id);
	void *data = ns->data;

	ns->data = NULL;
	if (data)
		knet_calls.exit(data);
}

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
		knet_calls.init = NULL;
	else
		smp_store_release(&knet_registered, true);
	return err;
}

void knet_namespace_unregister(void)
{
	WRITE_ONCE(knet_registered, false);
	unregister_pernet_subsys(&knet_namespace_ops);
	knet_calls.init = NULL;
}

/* What init() left for @net; NULL while nothing is registered. */
void *knet_namespace_data(const struct net *net)
{
	struct knet_namespace *ns;

	if (!smp_load_acquire(&knet_registered))
		return NULL;
	ns = net_generic(net, knet_namespace_id);
	return ns->data;
}

struct proc_dir_entry *knet_proc_create(struct net *net, const char *name,
					int (*show)(struct seq_file *, void *))
{
	return proc_create_net_single(name, 0444, net->proc_net, show, NULL);
}

void knet_proc_remove(struct net *net, const char *name)
{
	remove_proc_entry(name, net->proc_net);
}

struct net *knet_seq_net(struct seq_file *seq)
{
	return seq_file_single_net(seq);
}
