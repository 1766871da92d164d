/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The debug kernel's disk answers at once. This file is included at the start of
 * arch/um/drivers/ubd_kern.c. The driver hands a request to a thread of the host and becomes
 * idle, and a clock that skips idle time then runs ahead: a process that reads a file may find that
 * all of its timeouts have expired. With this file, the driver waits for the answer itself.
 */
#include <linux/types.h>
#include <linux/errno.h>
#include <os.h>

static inline int um_disk_submit(int fd, const void *request, int length)
{
	int written = os_write_file(fd, request, length);

	if (written == length)
		while (os_poll(1, &fd) == -EINTR)
			;
	return written;
}

/* The answers of the thread itself have another descriptor. */
#define os_write_file(fd, data, length) \
	((fd) == thread_fd ? um_disk_submit(fd, data, length) : os_write_file(fd, data, length))
