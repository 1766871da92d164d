/* SPDX-License-Identifier: GPL-2.0-only */
/* Hooks that need not see the packets that the director forwards: see needless.c. */
#ifndef KNET_NEEDLESS_H
#define KNET_NEEDLESS_H

#include <linux/module.h>
#include <linux/netfilter.h>
#include <linux/skbuff.h>
#include <net/netfilter/nf_conntrack_core.h>

/* A function, or NULL. */
extern void *knet_needless_out;

bool knet_comes_behind_needless(const struct nf_hook_entries *hooks);

static __always_inline bool knet_is_ours(nf_hookfn *hook)
{
	return within_module_mem_type((unsigned long)hook, THIS_MODULE, MOD_TEXT);
}

/*
 * Whether this module's hook sees a packet at PRE_ROUTING, and nobody who needs to
 * see it does so before.
 */
static __always_inline bool knet_comes_first(struct nf_hook_entries __rcu *const *chains)
{
	const struct nf_hook_entries *hooks = rcu_dereference(chains[NF_INET_PRE_ROUTING]);

	if (unlikely(!hooks || !hooks->num_hook_entries))
		return false;
	return likely(knet_is_ours(hooks->hooks[0].hook)) || knet_comes_behind_needless(hooks);
}

/* The same, but false if any other hook is before it. */
static __always_inline bool knet_is_first(struct nf_hook_entries __rcu *const *chains)
{
	const struct nf_hook_entries *hooks = rcu_dereference(chains[NF_INET_PRE_ROUTING]);

	/* An array of hooks has at least one. */
	return hooks && knet_is_ours(hooks->hooks[0].hook);
}

/*
 * Whether somebody may need to see a packet at POST_ROUTING that is neither tracked nor
 * of a program of this host.
 */
static __always_inline bool knet_has_post_routing(struct nf_hook_entries __rcu *const *chains)
{
	const struct nf_hook_entries *hooks = rcu_dereference(chains[NF_INET_POST_ROUTING]);

	return hooks && !(hooks->num_hook_entries == 1 &&
			  (void *)hooks->hooks[0].hook == READ_ONCE(knet_needless_out));
}

/* Whether anybody but this module sees packets of this host at LOCAL_OUT. */
static __always_inline bool knet_has_local_out(struct nf_hook_entries __rcu *const *chains)
{
	const struct nf_hook_entries *hooks = rcu_dereference(chains[NF_INET_LOCAL_OUT]);

	return hooks && (hooks->num_hook_entries != 1 || !knet_is_ours(hooks->hooks[0].hook));
}

/* Whether somebody needs to see this packet at POST_ROUTING. */
static __always_inline bool knet_passes_post_routing(struct nf_hook_entries __rcu *const *chains,
						     const struct sk_buff *skb)
{
	const struct nf_hook_entries *hooks = rcu_dereference(chains[NF_INET_POST_ROUTING]);
	nf_hookfn *hook;
	int i;

	if (likely(!hooks))
		return false;
	/* Of a program of this host, or tracked. */
	if (unlikely(skb->sk || skb_nfct(skb)))
		return true;
	for (i = 0; i < hooks->num_hook_entries; i++) {
		hook = hooks->hooks[i].hook;
		if ((void *)hook == READ_ONCE(knet_needless_out))
			continue;
#if IS_ENABLED(CONFIG_NF_CONNTRACK)
		if (hook == nf_confirm)
			continue;
#endif
		return true;
	}
	return false;
}

#endif /* KNET_NEEDLESS_H */
