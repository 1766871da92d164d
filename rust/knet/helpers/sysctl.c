// SPDX-License-Identifier: GPL-2.0-only
/* Settings below /proc/sys, one set per network namespace. */

#include <linux/slab.h>
#include <linux/sysctl.h>
#include <net/net_namespace.h>

#include "helpers.h"

struct knet_sysctl_entry {
	const struct knet_sysctl *setting;
	void *of;
};

struct knet_sysctls {
	struct ctl_table_header *header;
	struct ctl_table *table;
	struct knet_sysctl_entry entries[];
};

/* The kernel parses, checks the range and formats; Rust has the value. */
static int knet_sysctl_handle(const struct ctl_table *table, int write, void *buffer,
			      size_t *length, loff_t *position)
{
	const struct knet_sysctl_entry *entry = table->data;
	const struct knet_sysctl *setting = entry->setting;
	unsigned int minimum = setting->minimum, maximum = setting->maximum;
	unsigned int value = setting->get(setting, entry->of);
	const struct ctl_table number = {
		.procname = table->procname,
		.data = &value,
		.maxlen = sizeof(value),
		.mode = table->mode,
		.extra1 = &minimum,
		.extra2 = &maximum,
	};
	int err;

	err = proc_douintvec_minmax(&number, write, buffer, length, position);
	if (!err && write)
		err = setting->set(setting, entry->of, value);
	return err;
}

/*
 * Creates the files of @n @settings, which must be static, each @stride bytes after the one before.
 * Their functions get @of. Returns NULL if there is no memory. Process context.
 */
struct knet_sysctls *knet_sysctl_register(struct net *net, const char *path,
					  const struct knet_sysctl *settings,
					  unsigned int n, size_t stride, void *of)
{
	struct knet_sysctls *sysctls;
	unsigned int i;

	sysctls = kzalloc(struct_size(sysctls, entries, n), GFP_KERNEL);
	if (!sysctls)
		return NULL;
	sysctls->table = kcalloc(n, sizeof(*sysctls->table), GFP_KERNEL);
	if (!sysctls->table)
		goto no_table;
	for (i = 0; i < n; i++) {
		const struct knet_sysctl *setting = (const void *)settings + i * stride;

		sysctls->entries[i].setting = setting;
		sysctls->entries[i].of = of;
		sysctls->table[i].procname = setting->name;
		sysctls->table[i].data = &sysctls->entries[i];
		sysctls->table[i].mode = 0644;
		sysctls->table[i].proc_handler = knet_sysctl_handle;
	}
	sysctls->header = register_net_sysctl_sz(net, path, sysctls->table, n);
	if (!sysctls->header)
		goto no_header;
	return sysctls;

no_header:
	kfree(sysctls->table);
no_table:
	kfree(sysctls);
	return NULL;
}

/* Removes the files and waits for readers and writers. Process context. */
void knet_sysctl_unregister(struct knet_sysctls *sysctls)
{
	unregister_net_sysctl_table(sysctls->header);
	kfree(sysctls->table);
	kfree(sysctls);
}
