/* SPDX-License-Identifier: MIT */
/*
 * Owner: which shard a key belongs to. Data may be stored by it, so neither function may
 * ever give another answer; tests/unit/shard/owner_test.c holds values of their papers.
 */
#ifndef RTI_SHARD_OWNER_H
#define RTI_SHARD_OWNER_H

#include <stddef.h>
#include <stdint.h>

/* SipHash-2-4 (Aumasson and Bernstein, 2012) under the key 00 01 .. 0f, that of the paper's tests:
 * quick for short keys, and no two bits of a key are alike to it. */
uint64_t rti_owner_hash(const void *key, size_t bytes);

/* Jump consistent hash (Lamping and Veach, 2014): 0..count - 1. */
uint32_t rti_owner_jump(uint64_t number, uint32_t count);

#endif /* RTI_SHARD_OWNER_H */
