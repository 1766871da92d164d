// SPDX-License-Identifier: GPL-2.0-only
/* Modules: loading by name, and keeping them loaded. */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kmod.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/string.h>

#include "helpers.h"

/* Loads a module by name and waits for modprobe. Process context. */
int knet_request_module(const char *prefix, const char *name)
{
	return request_module("%s%s", prefix, name);
}

bool knet_module_get(struct module *module)
{
	return try_module_get(module);
}

static const char *knet_refused;

/* EBUSY, since modprobe takes EEXIST for success. Process context. */
static int knet_module_coming(struct notifier_block *block, unsigned long state,
			      void *data)
{
	const struct module *module = data;

	if (state != MODULE_STATE_COMING || strcmp(module->name, knet_refused))
		return NOTIFY_DONE;
	pr_err("cannot load %s: %s provides the same already (unload it first)\n",
	       module->name, THIS_MODULE->name);
	return notifier_from_errno(-EBUSY);
}

static struct notifier_block knet_module_notifier = {
	.notifier_call = knet_module_coming,
};

/* From now on, a module called @name cannot be loaded. @name must be static. */
int knet_module_refuse(const char *name)
{
	knet_refused = name;
	return register_module_notifier(&knet_module_notifier);
}

void knet_module_refuse_end(void)
{
	unregister_module_notifier(&knet_module_notifier);
}
