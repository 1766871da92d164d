// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exports the symbols of our crates, so that scheduler modules can link to
 * them; the kernel does the same for its own crates (rust/exports.c there).
 */
#include <linux/export.h>

#define EXPORT_RUST(sym) extern int sym; EXPORT_SYMBOL_GPL(sym)

#include "exports_generated.h"
