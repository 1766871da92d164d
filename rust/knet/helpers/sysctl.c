// SPDX-License-Identifier: GPL-2.0-only
/* Settings below /proc/sys, one set per network namespace. */

#include <linux/cpumask.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/sched/isolation.h>
#include <linux/slab.h>
#include <linux/sysctl.h>
#include <net/net_namespace.h>

#include "helpers.h"

struct knet_sysctl_entry {
	const struct knet_sysctl *setting;
	void *of;
	/* Of a list of CPUs: NULL until it is set. Changed under knet_sysctl_cpus. */
	struct cpumask *cpus;
	/* Of a switch: the number that was written last. */
	int written;
};

/* Protects the lists of CPUs of all settings. */
static DEFINE_MUTEX(knet_sysctl_cpus);

struct knet_sysctls {
	struct ctl_table_header *header;
	struct ctl_table *table;
	unsigned int n;
	struct knet_sysctl_entry entries[];
};

/* Sets a list of CPUs from text: those that the calling task may use. */
static int knet_sysctl_set_cpus(struct knet_sysctl_entry *entry, const char *text)
{
	struct cpumask *cpus, *former;
	int err;

	cpus = kzalloc(cpumask_size(), GFP_KERNEL);
	if (!cpus)
		return -ENOMEM;
	err = cpulist_parse(text, cpus);
	if (err) {
		kfree(cpus);
		return err;
	}
	cpumask_and(cpus, cpus, &current->cpus_mask);
	mutex_lock(&knet_sysctl_cpus);
	former = entry->cpus;
	entry->cpus = cpus;
	mutex_unlock(&knet_sysctl_cpus);
	kfree(former);
	return 0;
}

/* A list of CPUs. Until it is set, it has those that the kernel's threads use. */
static int knet_sysctl_handle_cpus(const struct ctl_table *table, int write, void *buffer,
				   size_t *length, loff_t *position)
{
	struct knet_sysctl_entry *entry = table->data;
	const struct cpumask *cpus;
	int err = 0;

	/* The text is read and written at once. */
	if (*position || !*length) {
		*length = 0;
		return 0;
	}
	if (write) {
		/* The kernel has terminated the text. */
		err = knet_sysctl_set_cpus(entry, buffer);
	} else {
		mutex_lock(&knet_sysctl_cpus);
		/* The kernel's mask may be replaced, and is read under RCU. */
		rcu_read_lock();
		cpus = entry->cpus ? : housekeeping_cpumask(HK_TYPE_KTHREAD);
		/* The buffer has one octet more, for a terminator. */
		*length = scnprintf(buffer, *length + 1, "%*pbl\n", cpumask_pr_args(cpus));
		rcu_read_unlock();
		mutex_unlock(&knet_sysctl_cpus);
	}
	if (!err)
		*position += *length;
	return err;
}

/* The kernel parses, checks the range and formats; Rust has the value. */
static int knet_sysctl_handle(const struct ctl_table *table, int write, void *buffer,
			      size_t *length, loff_t *position)
{
	struct knet_sysctl_entry *entry = table->data;
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
	if (setting->is_switch && !!READ_ONCE(entry->written) == !!values[0])
		values[0] = READ_ONCE(entry->written);
	if (setting->numbers == 1 && !setting->is_signed) {
		err = proc_douintvec_minmax(&number, write, buffer, length, position);
	} else {
		/* The kernel reads several numbers with a sign only. No range of those is wider. */
		for (i = 0; i < setting->numbers; i++)
			signed_values[i] = values[i];
		number.data = signed_values;
		number.maxlen = setting->numbers * sizeof(signed_values[0]);
		err = proc_dointvec(&number, write, buffer, length, position);
		for (i = 0; i < setting->numbers; i++) {
			values[i] = signed_values[i];
			if (signed_values[i] < (int)minimum || signed_values[i] > (int)maximum)
				err = err ? : -EINVAL;
		}
	}
	if (!err && write)
		err = setting->set(setting, entry->of, values);
	if (!err && write && setting->is_switch)
		WRITE_ONCE(entry->written, values[0]);
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
	sysctls->n = n;
	for (i = 0; i < n; i++) {
		const struct knet_sysctl *setting = (const void *)settings + i * stride;

		sysctls->entries[i].setting = setting;
		sysctls->entries[i].of = of;
		sysctls->table[i].procname = setting->name;
		sysctls->table[i].data = &sysctls->entries[i];
		sysctls->table[i].mode = 0644;
		sysctls->table[i].proc_handler = setting->numbers ? knet_sysctl_handle :
								    knet_sysctl_handle_cpus;
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
	unsigned int i;

	unregister_net_sysctl_table(sysctls->header);
	for (i = 0; i < sysctls->n; i++)
		kfree(sysctls->entries[i].cpus);
	kfree(sysctls->table);
	kfree(sysctls);
}
