// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hooks whose work is of no use for a packet that the director forwards, and which
 * would let it pass unchanged.
 *
 * The functions are static, so they are recognized by their symbols. They are part
 * of the kernel, or of modules that this one depends on, so they stay where they
 * are. Unknown hooks see every packet.
 */

#include <linux/kallsyms.h>
#include <net/net_namespace.h>

#include "helpers.h"
#include "needless.h"

#define KNET_NEEDLESS_IN 4

/*
 * At PRE_ROUTING before this module's hook. The director takes its packets from
 * conntrack, and no fragment leaves early.
 */
static const char *const knet_names_in[KNET_NEEDLESS_IN] = {
	"ipv4_conntrack_in", "ipv6_conntrack_in", "ipv4_conntrack_defrag", "ipv6_defrag",
};

/* At POST_ROUTING. It looks for the program that sends a packet. */
static const char knet_name_out[] = "apparmor_ip_postroute";

static nf_hookfn *knet_needless_in[KNET_NEEDLESS_IN];
void *knet_needless_out;

static bool knet_is_needless_in(nf_hookfn *hook)
{
	int i;

	for (i = 0; i < KNET_NEEDLESS_IN; i++)
		if (READ_ONCE(knet_needless_in[i]) == hook)
			return true;
	return false;
}

/* Whether only such hooks are before this module's. In an RCU read section. */
bool knet_comes_behind_needless(const struct nf_hook_entries *hooks)
{
	int i;

	for (i = 0; i < hooks->num_hook_entries; i++) {
		if (knet_is_ours(hooks->hooks[i].hook))
			return true;
		if (!knet_is_needless_in(hooks->hooks[i].hook))
			return false;
	}
	return false;
}

/* Whether a symbol has this name, and is built in or of a module of conntrack. */
static bool knet_is_named(const char *symbol, const char *name)
{
	const char *module = symbol + strlen(name);

	if (strncmp(symbol, name, strlen(name)))
		return false;
	return !*module || !strcmp(module, " [nf_conntrack]") ||
	       !strcmp(module, " [nf_defrag_ipv4]") || !strcmp(module, " [nf_defrag_ipv6]");
}

static void knet_recognize_in(nf_hookfn *hook)
{
	char symbol[KSYM_SYMBOL_LEN];
	int i;

	sprint_symbol_no_offset(symbol, (unsigned long)hook);
	for (i = 0; i < KNET_NEEDLESS_IN; i++)
		if (knet_is_named(symbol, knet_names_in[i]))
			WRITE_ONCE(knet_needless_in[i], hook);
}

static void knet_recognize_out(nf_hookfn *hook)
{
	char symbol[KSYM_SYMBOL_LEN];

	sprint_symbol_no_offset(symbol, (unsigned long)hook);
	if (!strcmp(symbol, knet_name_out))
		WRITE_ONCE(knet_needless_out, (void *)hook);
}

static void knet_recognize_all(struct nf_hook_entries __rcu *const *chain,
			       void (*recognize)(nf_hookfn *hook))
{
	const struct nf_hook_entries *hooks = rcu_dereference(*chain);
	int i;

	for (i = 0; hooks && i < hooks->num_hook_entries; i++)
		recognize(hooks->hooks[i].hook);
}

/* Looks for such hooks in the namespace. Process context. */
void knet_recognize(struct net *net)
{
	rcu_read_lock();
	knet_recognize_all(&net->nf.hooks_ipv4[NF_INET_PRE_ROUTING], knet_recognize_in);
	knet_recognize_all(&net->nf.hooks_ipv6[NF_INET_PRE_ROUTING], knet_recognize_in);
	knet_recognize_all(&net->nf.hooks_ipv4[NF_INET_POST_ROUTING], knet_recognize_out);
	knet_recognize_all(&net->nf.hooks_ipv6[NF_INET_POST_ROUTING], knet_recognize_out);
	rcu_read_unlock();
}
