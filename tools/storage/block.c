/* SPDX-License-Identifier: MIT */
/* Stamps. The sum is ISA-L's, which picks the instructions that the processor has. */
#include "block.h"

#include <isa-l/crc.h>
#include <string.h>

#include "draw.h"

#define BLOCK_MAGIC UINT64_C(0x6b636f6c62737472) /* "rtsblock" */
#define BEHIND_CRC  sizeof(uint32_t)
#define CRC_PIECE   (1u << 30) /* ISA-L counts in int */

uint32_t block_crc(const void *data, size_t bytes)
{
    unsigned char *at = (unsigned char *)(uintptr_t)data; /* read only, but declared otherwise */
    uint32_t crc = UINT32_MAX;

    while (bytes > 0) {
        const size_t piece = bytes < CRC_PIECE ? bytes : CRC_PIECE;

        crc = crc32_iscsi(at, (int)piece, crc);
        at += piece;
        bytes -= piece;
    }
    return ~crc;
}

void block_randomise(void *block, size_t bytes, uint64_t seed)
{
    unsigned char *at = block;
    uint64_t state = seed;

    while (bytes > 0) {
        const uint64_t word = draw(&state);
        const size_t piece = bytes < sizeof(word) ? bytes : sizeof(word);

        memcpy(at, &word, piece);
        at += piece;
        bytes -= piece;
    }
}

void block_fill(void *block, uint32_t bytes, uint64_t offset, uint64_t seed, uint64_t pass)
{
    struct block_stamp stamp = {
        .bytes = bytes,
        .magic = BLOCK_MAGIC,
        .offset = offset,
        .seed = seed,
        .pass = pass,
    };
    unsigned char *const at = block;

    memcpy(at, &stamp, sizeof(stamp));
    block_randomise(at + sizeof(stamp), bytes - sizeof(stamp),
                    draw_mix(seed + offset) + draw_mix(pass));
    stamp.crc = block_crc(at + BEHIND_CRC, bytes - BEHIND_CRC);
    memcpy(at, &stamp.crc, sizeof(stamp.crc));
}

static bool is(struct block_fault *fault, const char *what, uint64_t expected, uint64_t found)
{
    *fault = (struct block_fault){ what, expected, found };
    return expected == found;
}

bool block_check(const void *block, uint32_t bytes, const struct block_expected *expected,
                 struct block_fault *fault)
{
    const unsigned char *const at = block;
    struct block_stamp stamp;

    memcpy(&stamp, block, sizeof(stamp));
    if (!is(fault, "magic number", BLOCK_MAGIC, stamp.magic) ||
        !is(fault, "crc32c", block_crc(at + BEHIND_CRC, bytes - BEHIND_CRC), stamp.crc) ||
        !is(fault, "size of the block", bytes, stamp.bytes) ||
        !is(fault, "offset", expected->offset, stamp.offset)) {
        return false;
    }
    if (!expected->written_here) {
        return true;
    }
    return is(fault, "seed", expected->seed, stamp.seed) &&
           (stamp.pass >= expected->pass_first ||
            is(fault, "pass", expected->pass_first, stamp.pass)) &&
           (stamp.pass <= expected->pass_last ||
            is(fault, "pass", expected->pass_last, stamp.pass));
}
