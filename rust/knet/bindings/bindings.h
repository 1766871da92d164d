/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What bindgen reads for the knet crate: the crate's own C shims and the few
 * kernel interfaces that need no shim. The allow-list stands in Kbuild; types
 * that the kernel's own `bindings` crate has are taken from there.
 */
#include <linux/if_packet.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/rcupdate.h>

#include "../helpers/helpers.h"
#include "../helpers/trace.h"
