/* SPDX-License-Identifier: MIT */
/*
 * Doorbell: how a shard learns that somebody has something for it, and how it
 * sleeps without missing that.
 *
 * One word per 62 senders holds a bit per sender and the SLEEPING bit, so every
 * decision is one read-modify-write of one word and needs no fence: the word's
 * own order decides who wakes whom (docs/design/cross_core.md has the proof).
 *
 *     bit  63        62          61 ... 0
 *         | SLEEPING | control | sender 61 ... sender 0 |     one word per 62 senders
 *
 * D1 When senders are done and the owner sleeps with no wake under way, nothing
 *    is left for it: each word is SLEEPING and nothing is pending.
 * D2 Exactly the ring that finds the word SLEEPING and nothing else wakes.
 * D3 Who takes a bit sees all that its sender wrote before it rang.
 *
 * rti_doorbell_ring() from any thread; the others on the owner only.
 */
#ifndef RTI_CROSS_DOORBELL_H
#define RTI_CROSS_DOORBELL_H

#include <stdbool.h>
#include <stdint.h>

#include "cross/ring.h"

#define RTI_SENDERS_PER_WORD 62u
#define RTI_DOORBELL_CONTROL (1ull << 62) /* in the first word: wakes, submissions, closing */
#define RTI_DOORBELL_SLEEPS  (1ull << 63)

struct rti_doorbell_word {
    uint64_t bits; /* atomic */
    char apart[RTI_APART - sizeof(uint64_t)];
};

struct rti_doorbell {
    struct rti_doorbell_word *words;
    uint64_t *pending; /* the owner's: bits taken and not looked at yet */
    uint32_t count;    /* of words */
};

/* For `senders` shards: 0 or -ENOMEM. */
int rti_doorbell_init(struct rti_doorbell *doorbell, uint32_t senders);
void rti_doorbell_fini(struct rti_doorbell *doorbell);

/* Set bits of a word. True when the owner sleeps and the caller is the one to wake it (D2). The OR
 * is unconditional: to test the bit first would need a fence between store and load. */
static inline bool rti_doorbell_ring(struct rti_doorbell *doorbell, uint32_t word, uint64_t bits)
{
    /* pairs with the exchange in rti_doorbell_take() and the CAS in rti_doorbell_try_sleep() */
    return __atomic_fetch_or(&doorbell->words[word].bits, bits, __ATOMIC_ACQ_REL) ==
           RTI_DOORBELL_SLEEPS;
}

static inline bool rti_doorbell_ring_sender(struct rti_doorbell *doorbell, uint32_t sender)
{
    return rti_doorbell_ring(doorbell, sender / RTI_SENDERS_PER_WORD,
                             1ull << (sender % RTI_SENDERS_PER_WORD));
}

/* Whether a bit is set. */
static inline bool rti_doorbell_is_rung(const struct rti_doorbell *doorbell)
{
    for (uint32_t i = 0; i < doorbell->count; i++) {
        if ((__atomic_load_n(&doorbell->words[i].bits, __ATOMIC_RELAXED) | doorbell->pending[i]) !=
            0) {
            return true;
        }
    }
    return false;
}

/* Whether the owner says that it sleeps, and nobody has rung. A guess: from any thread. */
static inline bool rti_doorbell_sleeps(const struct rti_doorbell *doorbell)
{
    return __atomic_load_n(&doorbell->words[0].bits, __ATOMIC_RELAXED) == RTI_DOORBELL_SLEEPS;
}

/* The bits of a word, which the caller will look at now; ends a sleep. */
static inline uint64_t rti_doorbell_take(struct rti_doorbell *doorbell, uint32_t word)
{
    uint64_t bits = doorbell->pending[word];

    if (__atomic_load_n(&doorbell->words[word].bits, __ATOMIC_RELAXED) != 0) {
        /* pairs with the fetch_or in rti_doorbell_ring() (D3) */
        bits |= __atomic_exchange_n(&doorbell->words[word].bits, 0, __ATOMIC_ACQ_REL) &
                ~RTI_DOORBELL_SLEEPS;
    }
    doorbell->pending[word] = 0;
    return bits;
}

/* Say in every word that the owner sleeps. False, and nothing said, when something has come. */
bool rti_doorbell_try_sleep(struct rti_doorbell *doorbell);

#endif /* RTI_CROSS_DOORBELL_H */
