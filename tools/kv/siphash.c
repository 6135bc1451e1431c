/* SPDX-License-Identifier: MIT */
/* SipHash-1-3: see siphash.h. */
#include "siphash.h"

#include <errno.h>
#include <sys/random.h>

#include "base/siphash.h"

uint64_t siphash(const struct siphash_key *key, struct slice text)
{
    return rti_siphash(key->half, text.data, text.len, 1, 3);
}

int siphash_key_make(struct siphash_key *key)
{
    /* So few bytes come whole or not at all. */
    return getrandom(key, sizeof(*key), 0) == (ssize_t)sizeof(*key) ? 0 : -errno;
}
