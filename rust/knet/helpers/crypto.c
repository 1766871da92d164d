// SPDX-License-Identifier: GPL-2.0-only
/* Authentication codes. */

#include <crypto/blake2s.h>
#include <linux/string.h>

#include "helpers.h"

/* Keyed BLAKE2s: @key has 32 octets, @code 16. Any context. */
void knet_blake2s_128(const u8 *key, const void *data, size_t len, u8 *code)
{
	blake2s(key, BLAKE2S_KEY_SIZE, data, len, code, BLAKE2S_128_HASH_SIZE);
}

/* Overwrites a secret. Any context. */
void knet_forget(void *secret, size_t len)
{
	memzero_explicit(secret, len);
}
