/* SPDX-License-Identifier: GPL-2.0-only */
/* The instance of a network namespace: see netns.c. */
#ifndef KNET_NETNS_H
#define KNET_NETNS_H

#include <linux/rcupdate.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "helpers.h"

struct knet_namespace {
	/* From init() to pre_exit(), for RCU readers. */
	void __rcu *data;
	/* From init() to exit(). */
	void *kept;
	/* Or NULL. */
	const struct knet_xdp __rcu *xdp;
};

extern unsigned int knet_namespace_id;
/* The identifier is valid. */
extern bool knet_registered;

/* The handler of the namespace's frames, or NULL. In an RCU read section. */
static __always_inline const struct knet_xdp *knet_namespace_xdp(const struct net *net)
{
	const struct knet_namespace *ns;

	/* Pairs with knet_namespace_register(). */
	if (!smp_load_acquire(&knet_registered))
		return NULL;
	ns = net_generic(net, knet_namespace_id);
	return rcu_dereference(ns->xdp);
}

#endif
