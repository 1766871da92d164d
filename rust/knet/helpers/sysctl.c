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
	unsigned int values[KNET_SYSCTL_NUMBERS] = {};
	int signed_values[KNET_SYSCTL_NUMBERS] = {};
	struct ctl_table number = {
		.procname = table->procname,
		.data = values,
		.maxlen = sizeof(values[0]),
		.mode = table->mode,
		.extra1 = &minimum,
		.extra2 = &maximum,
	};
	unsigned int i;
	int err;

	setting->get(setting, entry->of, values);
	if (setting->numbers == 1) {
		err = proc_douintvec_minmax(&number, write, buffer, length, position);
	} else {
		/* The kernel reads several numbers with a sign only. */
		for (i = 0; i < setting->numbers; i++)
			signed_values[i] = values[i];
		number.data = signed_values;
		number.maxlen = setting->numbers * sizeof(signed_values[0]);
		err = proc_dointvec(&number, write, buffer, length, position);
		for (i = 0; i < setting->numbers; i++) {
			values[i] = signed_values[i];
			if (signed_values[i] < 0 || values[i] < minimum || values[i] > maximum)
				err = err ? : -EINVAL;
		}
	}
	if (!err && write)
		err = setting->set(setting, entry->of, values);
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
