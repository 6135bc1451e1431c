/* SPDX-License-Identifier: MIT */
/* Owner: see owner.h. In the words of the papers. */
#include "shard/owner.h"

#include "base/siphash.h"

uint64_t rti_owner_hash(const void *key, size_t bytes)
{
    static const uint64_t paper[2] = { UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908) };

    return rti_siphash(paper, key, bytes, 2, 4);
}

uint32_t rti_owner_jump(uint64_t number, uint32_t count)
{
    int64_t bucket = -1;
    int64_t next = 0;

    while (next < (int64_t)count) {
        bucket = next;
        number = number * UINT64_C(2862933555777941757) + 1;
        next = (int64_t)((double)(bucket + 1) *
                         ((double)(INT64_C(1) << 31) / (double)((number >> 33) + 1)));
    }
    return (uint32_t)bucket;
}
