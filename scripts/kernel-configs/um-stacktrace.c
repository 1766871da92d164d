// SPDX-License-Identifier: GPL-2.0-only
/*
 * The debug kernel's unwinder, in place of arch/um/kernel/stacktrace.c. It follows frame pointers.
 * The original looks up each word of the stack among the modules, which takes most of the time of a
 * kernel that records a trace for each allocation and each lock.
 */
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/stacktrace.h>
#include <asm/stacktrace.h>

void dump_trace(struct task_struct *tsk, const struct stacktrace_ops *ops, void *data)
{
	struct pt_regs *regs = tsk->thread.segv_regs;
	unsigned long frame = get_frame_pointer(tsk, regs);
	unsigned long low = (unsigned long)get_stack_pointer(tsk, regs);
	unsigned long high = (low | (THREAD_SIZE - 1)) + 1 - sizeof(struct stack_frame);

	while (frame >= low && frame <= high && IS_ALIGNED(frame, sizeof(long))) {
		struct stack_frame *here = (struct stack_frame *)frame;

		ops->address(data, READ_ONCE_NOCHECK(here->return_address), 1);
		low = frame + sizeof(*here);
		frame = (unsigned long)READ_ONCE_NOCHECK(here->next_frame);
	}
}

static void save_address(void *data, unsigned long address, int reliable)
{
	struct stack_trace *trace = data;

	if (trace->nr_entries < trace->max_entries)
		trace->entries[trace->nr_entries++] = address;
}

static const struct stacktrace_ops save_ops = { .address = save_address };

void save_stack_trace(struct stack_trace *trace)
{
	dump_trace(current, &save_ops, trace);
}
EXPORT_SYMBOL_GPL(save_stack_trace);

void save_stack_trace_tsk(struct task_struct *tsk, struct stack_trace *trace)
{
	dump_trace(tsk, &save_ops, trace);
}
EXPORT_SYMBOL_GPL(save_stack_trace_tsk);
