// SPDX-License-Identifier: GPL-2.0-only
/*
 * The version that modinfo and /sys/module/ipvs_rs/version show. The kernel's
 * module! macro has no field for it.
 */
#include <linux/module.h>

MODULE_VERSION(IPVS_RS_VERSION);
