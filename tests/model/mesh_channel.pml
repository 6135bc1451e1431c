/* SPDX-License-Identifier: MIT */
/*
 * Receiving from any source of a mesh: a source that was found empty is rested, and rings.
 *
 * Each source has a ring and a word W of its own, as a channel has (channel.pml). The receiver has
 * a doorbell (doorbell.pml), and a set of sources that may have something, which is its own. It
 * takes a source out of the set by setting ANY_WAITS in W; who publishes and finds the bit clears
 * it, and rings for its source.
 *
 * Proves:
 * H1  When nobody can move, all is sent and taken, and the receiver has ended.
 * H2  A sender that publishes rings once for each time that it was rested, and no more.
 *
 * Processes: SENDERS senders, a receiver, the memory, a judge. Waking a task of another shard is
 * one step here, and a wake that nobody waits for is kept, as in channel.pml. Rings are never full:
 * channel.pml is about that.
 *
 * Bounds: MESSAGES messages of each, published in batches of any size. The receiver takes them in
 * any order, and rests an empty source at once; its wait ends once without a wake.
 *
 * Mutants: LATE_BIT (the bit is set after the last look), NO_BIT, RING_FIRST (for what is published
 * after), PLAIN_LOAD (decides whether to fetch_and), SLEEP_STORE, FORGET (what was rung for takes
 * the place of what was there).
 */
#ifndef SENDERS
#define SENDERS 2
#endif
#ifndef MESSAGES
#define MESSAGES 2
#endif

#define CPUS (SENDERS + 1)
#define BELL 0
#define TAIL(s) (1 + (s))
#define W(s) (1 + SENDERS + (s))
#define CELLS (1 + 2 * SENDERS)
#include "memory.pml"

#define ANY_WAITS 1
#define SLEEPING 128

byte taken[SENDERS];
byte rests[SENDERS]; /* ghost: times that the bit was set, the first by who made the channel */
byte rings[SENDERS]; /* ghost */
bool woken;
bool ended;
bool nothing_stranded;
bool rings_are_few;

inline gather()
{
    atomic { load(BELL, old); ok = (old != 0); old = 0 }
    if
    :: ok ->
        atomic {
            exchange(BELL, 0, old);
#ifdef MUTANT_FORGET
            may_have = old & ~SLEEPING;
#else
            may_have = may_have | (old & ~SLEEPING);
#endif
            old = 0
        }
    :: else
    fi
}

inline rest(s)
{
#ifdef MUTANT_LATE_BIT
    load(TAIL(s), seen);
#endif
#ifndef MUTANT_NO_BIT
    atomic {
        fetch_or(W(s), ANY_WAITS, old);
        rests[s] = rests[s] + 1 - (old & ANY_WAITS);
        old = 0
    }
#endif
#ifndef MUTANT_LATE_BIT
    load(TAIL(s), seen);
#endif
    if
    :: seen == taken[s] -> may_have = may_have & ~(1 << s)
    :: else
    fi;
    seen = 0
}

inline look_at_one()
{
    if
    :: (may_have & 1) -> s = 0
    :: (may_have & 2) -> s = 1
#if SENDERS > 2
    :: (may_have & 4) -> s = 2
#endif
    fi;
    load(TAIL(s), seen);
    if
    :: seen != taken[s] -> atomic { taken[s]++; left--; seen = 0 }
    :: else -> rest(s)
    fi;
    s = 0
}

/* Or not, when somebody has rung. */
inline sleep()
{
#ifdef MUTANT_SLEEP_STORE
    atomic { load(BELL, old); ok = (old == 0); old = 0 }
    if
    :: ok -> store(BELL, SLEEPING)
    :: else
    fi;
#else
    compare_and_swap(BELL, 0, SLEEPING, ok);
#endif
    if
    :: ok ->
        if
        :: atomic { woken -> woken = 0 }
        :: atomic { spurious -> spurious = 0 } /* a deadline */
        fi
    :: else
    fi
}

active proctype receiver()
{
    byte me = 0;
    byte s, old, seen, may_have;
    byte left = SENDERS * MESSAGES;
    bool ok;
    bool spurious = 1;

    do
    :: left > 0 ->
        gather();
        if
        :: may_have != 0 -> look_at_one()
        :: else -> sleep()
        fi
    :: else -> break
    od;
    ended = 1
}

inline ring(s)
{
    atomic {
        fetch_or(BELL, 1 << s, old);
        rings[s]++;
        ok = (old == SLEEPING);
        old = 0
    }
    if
    :: atomic { ok -> ok = 0; woken = 1 }
    :: else
    fi
}

inline ring_if_rested(s)
{
    atomic {
        fetch_and(W(s), 255 - ANY_WAITS, old);
        ok = ((old & ANY_WAITS) != 0);
        old = 0
    }
    if
    :: ok -> ok = 0; ring(s)
    :: else
    fi
}

proctype sender(byte s)
{
    byte me = s + 1;
    byte sent, old;
    bool ok;

    do
    :: sent < MESSAGES ->
        sent++;
        if
        :: sent < MESSAGES -> skip /* one more into this batch */
        :: skip ->
#ifdef MUTANT_RING_FIRST
            ring_if_rested(s);
            store_release(TAIL(s), sent)
#else
            store_release(TAIL(s), sent);
#ifdef MUTANT_PLAIN_LOAD
            atomic { load(W(s), old); ok = ((old & ANY_WAITS) != 0); old = 0 }
            if
            :: ok -> ok = 0; ring_if_rested(s)
            :: else
            fi
#else
            ring_if_rested(s)
#endif
#endif
        fi
    :: else -> break
    od
}

init {
    byte n;

    atomic {
        do
        :: n < SENDERS ->
            memory[W(n)] = ANY_WAITS; /* as a channel is made */
            rests[n] = 1;
            run sender(n);
            n++
        :: else -> break
        od;
        n = 0
    }
    timeout; /* the judge: from here on nobody else can move */
    atomic {
        nothing_stranded = ended;
        rings_are_few = 1;
        do
        :: n < SENDERS ->
            nothing_stranded = nothing_stranded && taken[n] == MESSAGES;
            rings_are_few = rings_are_few && rings[n] <= rests[n];
            n++
        :: else -> break
        od;
        n = 0;
        assert(nothing_stranded); /* H1 */
        assert(rings_are_few) /* H2 */
    }
}
