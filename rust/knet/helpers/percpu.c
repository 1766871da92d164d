// SPDX-License-Identifier: GPL-2.0-only
/* Per-CPU traffic counters: incremented without locks or atomics, summed up by readers. */

#include <linux/percpu.h>

#include "helpers.h"

struct knet_counters __percpu *knet_counters_alloc(void)
{
	return alloc_percpu_gfp(struct knet_counters, GFP_KERNEL_ACCOUNT | __GFP_ZERO);
}

void knet_counters_free(struct knet_counters __percpu *counters)
{
	free_percpu(counters);
}

void knet_counters_sum(struct knet_counters __percpu *counters,
		       struct knet_counters *sum)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		const struct knet_counters *c = per_cpu_ptr(counters, cpu);

		sum->connections += READ_ONCE(c->connections);
		sum->in.packets += READ_ONCE(c->in.packets);
		sum->in.bytes += READ_ONCE(c->in.bytes);
		sum->out.packets += READ_ONCE(c->out.packets);
		sum->out.bytes += READ_ONCE(c->out.bytes);
	}
}

/* Copies the counters of one CPU. */
void knet_counters_of(struct knet_counters __percpu *counters, unsigned int cpu,
		      struct knet_counters *of)
{
	*of = *per_cpu_ptr(counters, cpu);
}

/* Returns the first possible CPU that is at least @cpu, or a number no CPU has. */
unsigned int knet_cpu_from(unsigned int cpu)
{
	return cpumask_next((int)cpu - 1, cpu_possible_mask);
}

/* Returns a number that is greater than that of any CPU. */
unsigned int knet_cpu_end(void)
{
	return nr_cpu_ids;
}

void knet_counters_connection(struct knet_counters __percpu *counters)
{
	this_cpu_inc(counters->connections);
}

void knet_counters_in(struct knet_counters __percpu *counters, u32 bytes)
{
	this_cpu_inc(counters->in.packets);
	this_cpu_add(counters->in.bytes, bytes);
}

void knet_counters_out(struct knet_counters __percpu *counters, u32 bytes)
{
	this_cpu_inc(counters->out.packets);
	this_cpu_add(counters->out.bytes, bytes);
}
