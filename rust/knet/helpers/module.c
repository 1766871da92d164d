// SPDX-License-Identifier: GPL-2.0-only
/* Modules: loading by name, and keeping them loaded. */

#include <linux/kmod.h>
#include <linux/module.h>

#include "helpers.h"

/* Process context, may sleep until modprobe is done. */
int knet_request_module(const char *prefix, const char *name)
{
	return request_module("%s%s", prefix, name);
}

bool knet_module_get(struct module *module)
{
	return try_module_get(module);
}

void knet_module_put(struct module *module)
{
	module_put(module);
}
