/* SPDX-License-Identifier: MIT */
/*
 * SipHash (Aumasson and Bernstein, 2012), in the words of its paper: a hash under a key.
 *
 * Its rounds are the caller's constants, per word and at the end: 2 and 4 as the paper has it, 1
 * and 3 where speed matters more and the hash signs nothing. Each caller has them compiled in.
 */
#ifndef RTI_BASE_SIPHASH_H
#define RTI_BASE_SIPHASH_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct rti_siphash {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rti_siphash_rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static inline void rti_siphash_rounds(struct rti_siphash *s, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        s->v0 += s->v1;
        s->v1 = rti_siphash_rotate(s->v1, 13) ^ s->v0;
        s->v0 = rti_siphash_rotate(s->v0, 32);
        s->v2 += s->v3;
        s->v3 = rti_siphash_rotate(s->v3, 16) ^ s->v2;
        s->v0 += s->v3;
        s->v3 = rti_siphash_rotate(s->v3, 21) ^ s->v0;
        s->v2 += s->v1;
        s->v1 = rti_siphash_rotate(s->v1, 17) ^ s->v2;
        s->v2 = rti_siphash_rotate(s->v2, 32);
    }
}

static inline void rti_siphash_word(struct rti_siphash *s, uint64_t word, unsigned rounds)
{
    s->v3 ^= word;
    rti_siphash_rounds(s, rounds);
    s->v0 ^= word;
}

/* Little-endian on every machine. */
static inline uint64_t rti_siphash_load(const unsigned char *bytes, size_t count)
{
    uint64_t word = 0;

    memcpy(&word, bytes, count);
    return le64toh(word);
}

/* Of `bytes` bytes at `data`, under the key's two halves. */
static inline __attribute__((always_inline)) uint64_t rti_siphash(const uint64_t key[2],
                                                                  const void *data, size_t bytes,
                                                                  unsigned word_rounds,
                                                                  unsigned end_rounds)
{
    const unsigned char *at = data;
    size_t left = bytes;
    struct rti_siphash s = {
        .v0 = key[0] ^ UINT64_C(0x736f6d6570736575),
        .v1 = key[1] ^ UINT64_C(0x646f72616e646f6d),
        .v2 = key[0] ^ UINT64_C(0x6c7967656e657261),
        .v3 = key[1] ^ UINT64_C(0x7465646279746573),
    };

    for (; left >= sizeof(uint64_t); left -= sizeof(uint64_t), at += sizeof(uint64_t)) {
        rti_siphash_word(&s, rti_siphash_load(at, sizeof(uint64_t)), word_rounds);
    }
    rti_siphash_word(&s, rti_siphash_load(at, left) | (uint64_t)bytes << 56, word_rounds);
    s.v2 ^= 0xff;
    rti_siphash_rounds(&s, end_rounds);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

#endif /* RTI_BASE_SIPHASH_H */
