/* SPDX-License-Identifier: GPL-2.0-only */
/* Frames of XDP that wait for others: what xdp.c and xdp_batch.c share. */
#ifndef KNET_XDP_H
#define KNET_XDP_H

#include <net/xdp.h>

/* A queue of a device that receives frames. */
struct knet_xdp_queue {
	u32 ifindex;
	u32 index;
};

/*
 * What is written into the headroom of a frame that waits, behind its struct xdp_frame.
 * Somebody else may have redirected the frame, so all of it may be wrong. It therefore has
 * no pointers.
 */
struct knet_xdp_note {
	u64 magic;
	u64 note;	/* the handler's */
	struct knet_xdp_queue queue;
};

#define KNET_XDP_MAGIC	0x697076735f727321ULL

/*
 * Whether the frame has waited. Then it is not any more what its driver made, which
 * has registered its queue.
 */
static __always_inline bool knet_has_waited(const struct xdp_buff *frame)
{
	return !frame->rxq->reg_state;
}

#endif /* KNET_XDP_H */
