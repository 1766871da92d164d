// SPDX-License-Identifier: GPL-2.0-only
/* Slab caches, who pays for memory, and the amount that is free. */

#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/swap.h>

#include "helpers.h"

static void knet_cache_object(void *object)
{
}

/*
 * A cache of objects that are written as a whole once they are allocated. The
 * kernel does not fill objects of a cache with a constructor with zeros
 * (init_on_alloc, Debian's default), which would take another 140 instructions.
 * The pointer to the next free object is where it is without a constructor.
 * Process context.
 */
struct kmem_cache *knet_cache_create(const char *name, unsigned int size,
				     unsigned int align)
{
	struct kmem_cache_args args = {
		.align = align,
		.freeptr_offset = round_down(size / 2, sizeof(freeptr_t)),
		.use_freeptr_offset = true,
		.ctor = knet_cache_object,
	};

	return kmem_cache_create(name, size, &args, SLAB_NO_MERGE);
}

/*
 * The memory cgroup of the calling task, with a reference; NULL for the root
 * one. Process context.
 */
void *knet_payer_of_caller(void)
{
#ifdef CONFIG_MEMCG
	struct mem_cgroup *memcg = get_mem_cgroup_from_mm(current->mm);

	if (memcg && memcg->css.parent)
		return memcg;
	mem_cgroup_put(memcg);
#endif
	return NULL;
}

void knet_payer_put(void *payer)
{
	mem_cgroup_put(payer);
}

/* From now on the calling context charges @payer. Returns who paid before. */
void *knet_payer_begin(void *payer)
{
	return set_active_memcg(payer);
}

void knet_payer_end(void *former)
{
	set_active_memcg(former);
}

/*
 * An object of @cache that @payer is charged for, if it is not NULL. Allocations
 * with GFP_ATOMIC may exceed the limit of a memory cgroup, so those that are
 * charged do without. Any context.
 */
void *knet_alloc_charged(struct kmem_cache *cache, void *payer)
{
	void *former, *object;

	if (!payer)
		return kmem_cache_alloc(cache, GFP_ATOMIC | __GFP_NOWARN);
	former = knet_payer_begin(payer);
	object = kmem_cache_alloc(cache, GFP_NOWAIT | __GFP_ACCOUNT | __GFP_NOWARN);
	knet_payer_end(former);
	return object;
}

/* kfree() finds the cache of an object. */
void knet_cache_free(void *object)
{
	kfree(object);
}

u64 knet_available_pages(void)
{
	return max(si_mem_available(), 0L);
}

u64 knet_buffer_pages(void)
{
	return nr_free_buffer_pages();
}
