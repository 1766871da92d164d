// SPDX-License-Identifier: GPL-2.0-only
/* Slab caches, and the amount of free memory. */

#include <linux/mm.h>
#include <linux/slab.h>

#include "helpers.h"

struct kmem_cache *knet_cache_create(const char *name, unsigned int size,
				     unsigned int align)
{
	return kmem_cache_create(name, size, align, SLAB_NO_MERGE, NULL);
}

void *knet_cache_alloc_atomic(struct kmem_cache *cache)
{
	return kmem_cache_alloc(cache, GFP_ATOMIC | __GFP_NOWARN);
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
