/* SPDX-License-Identifier: MIT */
/*
 * A channel across shards: neither side waits for what is there.
 *
 * One ring with a single producer and a single consumer, and one word W of two bits, in which each
 * side says that it waits.
 *
 * Proves:
 * C1  When nobody can move, all is sent and taken, and both tasks have ended.
 * C2  A slot is written again only after it was read: what is read is what was sent.
 *
 * Processes: a producer, a consumer, the memory, a judge. Waking a task of another shard is one
 * step here, and a wake that nobody waits for is kept: wake_map.pml and doorbell.pml prove that.
 *
 * Bounds: MESSAGES messages through CAPACITY slots. Either side publishes its index after any
 * number of steps, and at last before it waits.
 *
 * Mutants, of each side: LATE_BIT_CONSUMER, LATE_BIT_PRODUCER (the bit is set after the last
 * look), PLAIN_LOAD_CONSUMER, PLAIN_LOAD_PRODUCER (a plain load decides whether to fetch_and).
 */
#ifndef MESSAGES
#define MESSAGES 3
#endif
#ifndef CAPACITY
#define CAPACITY 1
#endif

#define CPUS 2
#define TAIL 0
#define HEAD 1
#define W 2
#define SLOT(k) (3 + (k))
#define CELLS (3 + CAPACITY)
#include "memory.pml"

#define CONSUMER_WAITS 1
#define PRODUCER_WAITS 2

byte sent;
byte taken;
bool ended[2];
bool woken[2]; /* wake of the producer's task, of the consumer's; setting it twice is one wake */
bool nothing_stranded;
bool slot_is_whole;

/* My index has moved: who waits for that is woken. */
inline wake_who_waits(its_bit, task)
{
    atomic {
        fetch_and(W, 3 - its_bit, old);
        ok = ((old & its_bit) != 0);
        old = 0
    }
    if
    :: atomic { ok -> ok = 0; woken[task] = 1 }
    :: else
    fi
}

/* The mutants: without a read-modify-write, the index may still be in the buffer. */
inline wake_who_seems_to_wait(its_bit, task)
{
    atomic { load(W, old); ok = ((old & its_bit) != 0); old = 0 }
    if
    :: ok -> wake_who_waits(its_bit, task)
    :: else
    fi
}

inline publish_tail()
{
    if
    :: unpublished ->
        unpublished = 0;
        store_release(TAIL, sent);
#ifdef MUTANT_PLAIN_LOAD_PRODUCER
        wake_who_seems_to_wait(CONSUMER_WAITS, 1)
#else
        wake_who_waits(CONSUMER_WAITS, 1)
#endif
    :: else
    fi
}

inline publish_head()
{
    if
    :: unpublished ->
        unpublished = 0;
        store_release(HEAD, taken);
#ifdef MUTANT_PLAIN_LOAD_CONSUMER
        wake_who_seems_to_wait(PRODUCER_WAITS, 0)
#else
        wake_who_waits(PRODUCER_WAITS, 0)
#endif
    :: else
    fi
}

inline say_that_i_wait(my_bit)
{
    atomic { fetch_or(W, my_bit, old); old = 0 }
}

inline park(task)
{
    atomic { woken[task] -> woken[task] = 0 }
}

#define ROOM (sent - seen < CAPACITY)
#define MORE (taken != seen)

active proctype producer()
{
    byte me = 0;
    byte seen, old;
    bool ok, unpublished;

    do
    :: sent < MESSAGES && ROOM ->
        atomic { store(SLOT(sent % CAPACITY), sent + 1); sent++; unpublished = 1 }
        if
        :: skip /* the flush comes later */
        :: publish_tail()
        fi
    :: sent < MESSAGES && !ROOM ->
        load(HEAD, seen);
        if
        :: ROOM
        :: else ->
            publish_tail();
#ifdef MUTANT_LATE_BIT_PRODUCER
            load(HEAD, seen);
            say_that_i_wait(PRODUCER_WAITS);
#else
            say_that_i_wait(PRODUCER_WAITS);
            load(HEAD, seen);
#endif
            if
            :: ROOM
            :: else -> park(0)
            fi
        fi
    :: sent == MESSAGES -> break
    od;
    publish_tail();
    ended[0] = 1
}

active proctype consumer()
{
    byte me = 1;
    byte seen, old;
    bool ok, unpublished;

    do
    :: taken < MESSAGES && MORE ->
        atomic {
            load(SLOT(taken % CAPACITY), old);
            slot_is_whole = (old == taken + 1);
            assert(slot_is_whole); /* C2 */
            old = 0;
            taken++;
            unpublished = 1
        }
        if
        :: skip
        :: publish_head()
        fi
    :: taken < MESSAGES && !MORE ->
        load(TAIL, seen);
        if
        :: MORE
        :: else ->
            publish_head();
#ifdef MUTANT_LATE_BIT_CONSUMER
            load(TAIL, seen);
            say_that_i_wait(CONSUMER_WAITS);
#else
            say_that_i_wait(CONSUMER_WAITS);
            load(TAIL, seen);
#endif
            if
            :: MORE
            :: else -> park(1)
            fi
        fi
    :: taken == MESSAGES -> break
    od;
    publish_head();
    ended[1] = 1
}

active proctype judge()
{
    timeout;
    atomic {
        nothing_stranded = ended[0] && ended[1] && sent == MESSAGES && taken == MESSAGES;
        assert(nothing_stranded) /* C1 */
    }
}
