/* SPDX-License-Identifier: MIT */
/*
 * SipHash-1-3: a hash under a secret key (Aumasson and Bernstein, 2012).
 *
 * Who does not know the key cannot choose strings that meet in one bucket, so a
 * client cannot turn the table into a list. One round per block and three at
 * the end are what tables need; the hash is no signature.
 */
#ifndef KV_SIPHASH_H
#define KV_SIPHASH_H

#include <stdint.h>

#include "slice.h"

struct siphash_key {
    uint64_t half[2];
};

/* A key of the kernel's random numbers. 0, or an error as a negative errno value. */
int siphash_key_make(struct siphash_key *key);

uint64_t siphash(const struct siphash_key *key, struct slice text);

#endif /* KV_SIPHASH_H */
