// SPDX-License-Identifier: GPL-2.0-only
/* Locks and deferred work. */

#include <linux/bottom_half.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

#include "helpers.h"

void knet_spin_lock_bh(spinlock_t *lock)
{
	spin_lock_bh(lock);
}

bool knet_spin_trylock_bh(spinlock_t *lock)
{
	return spin_trylock_bh(lock);
}

void knet_spin_unlock_bh(spinlock_t *lock)
{
	spin_unlock_bh(lock);
}

/*
 * Disables bottom halves if they are enabled: returns true then, and
 * knet_bh_enable() must follow.
 */
bool knet_bh_disable(void)
{
	if (likely(softirq_count()))
		return false;
	local_bh_disable();
	return true;
}

void knet_bh_enable(void)
{
	local_bh_enable();
}

static DEFINE_MUTEX(knet_global);

void knet_global_lock(void)
{
	mutex_lock(&knet_global);
}

void knet_global_unlock(void)
{
	mutex_unlock(&knet_global);
}

static void knet_work_run(struct work_struct *work)
{
	struct knet_work *w = container_of(to_delayed_work(work),
					   struct knet_work, work);

	w->run(w->data);
}

void knet_work_init(struct knet_work *work, void (*run)(void *), void *data)
{
	work->run = run;
	work->data = data;
	INIT_DELAYED_WORK(&work->work, knet_work_run);
}

void knet_work_queue(struct knet_work *work, unsigned int milliseconds)
{
	queue_delayed_work(system_dfl_wq, &work->work,
			   msecs_to_jiffies(milliseconds));
}

/* Has the work run at the latest after this time, also if it was queued for later. */
void knet_work_hasten(struct knet_work *work, unsigned int milliseconds)
{
	mod_delayed_work(system_dfl_wq, &work->work, msecs_to_jiffies(milliseconds));
}

void knet_work_cancel(struct knet_work *work)
{
	disable_delayed_work_sync(&work->work);
}

void knet_cond_resched(void)
{
	cond_resched();
}

void knet_sleep(unsigned int milliseconds)
{
	msleep(milliseconds);
}

void knet_synchronize_rcu_expedited(void)
{
	synchronize_rcu_expedited();
}
