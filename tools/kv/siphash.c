/* SPDX-License-Identifier: MIT */
/* SipHash-1-3, in the words of its paper. */
#include "siphash.h"

#include <errno.h>
#include <sys/random.h>

struct state {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static inline void round_once(struct state *s)
{
    s->v0 += s->v1;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v0 = rotate(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v2 = rotate(s->v2, 32);
}

static inline void block(struct state *s, uint64_t word)
{
    s->v3 ^= word;
    round_once(s);
    s->v0 ^= word;
}

/* The processor is little-endian, as the paper's words are: the runtime is for x86-64. */
static inline uint64_t word_of(const char *bytes, size_t count)
{
    uint64_t word = 0;

    memcpy(&word, bytes, count);
    return word;
}

uint64_t siphash(const struct siphash_key *key, struct slice text)
{
    struct state s = {
        .v0 = key->half[0] ^ UINT64_C(0x736f6d6570736575),
        .v1 = key->half[1] ^ UINT64_C(0x646f72616e646f6d),
        .v2 = key->half[0] ^ UINT64_C(0x6c7967656e657261),
        .v3 = key->half[1] ^ UINT64_C(0x7465646279746573),
    };
    size_t at = 0;

    for (; text.len - at >= sizeof(uint64_t); at += sizeof(uint64_t)) {
        block(&s, word_of(text.data + at, sizeof(uint64_t)));
    }
    block(&s, word_of(text.data + at, text.len - at) | (uint64_t)text.len << 56);
    s.v2 ^= 0xff;
    round_once(&s);
    round_once(&s);
    round_once(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

int siphash_key_make(struct siphash_key *key)
{
    /* So few bytes come whole or not at all. */
    return getrandom(key, sizeof(*key), 0) == (ssize_t)sizeof(*key) ? 0 : -errno;
}
