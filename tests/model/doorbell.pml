/* SPDX-License-Identifier: MIT */
/*
 * The doorbell: no message is stranded, and a sleep is ended by one wake of each word at most.
 *
 * Proves, for every order of steps and drains of store buffers:
 * D1  When all senders are done and the receiver sleeps with no wake on the way, every ring is
 *     empty, `pending` is 0, and each word is SLEEPING and nothing else.
 * D2  From one setting of SLEEPING in a word to the next, at most one sender wakes.
 * D3  What a receiver reads in a slot is what was sent (the tail was released after the slot).
 *
 * Processes: one receiver, SENDERS senders, the memory, and a judge who speaks when nobody can
 * move. Sender s rings in word s % WORDS.
 *
 * Bounds: SENDERS senders of MESSAGES messages each, published in batches of any size; a drain
 * stops after BUDGET messages; the kernel returns at most once without a wake. Rings are never
 * full (port_room.pml is about that).
 *
 * Mutants: SLEEP_STORE, DRAIN_FIRST, DROP_PENDING, PLAIN_TEST, WAKE_AND, TAKE_BACK_STORE.
 */
#ifndef SENDERS
#define SENDERS 2
#endif
#ifndef MESSAGES
#define MESSAGES 2
#endif
#ifndef WORDS
#define WORDS 1
#endif
#ifndef BUDGET
#define BUDGET 1
#endif

#define CPUS (SENDERS + 1)
#define DOOR(w) (w)
#define TAIL(s) (WORDS + (s))
#define SLOT(s, k) (WORDS + SENDERS + (s) * MESSAGES + (k))
#define CELLS (WORDS + SENDERS + SENDERS * MESSAGES)
#include "memory.pml"

#define SLEEPING 128

byte wakes;        /* completions that end a sleep, delivered and not yet consumed */
byte pending;      /* the receiver's: bits taken whose rings were not yet seen empty */
byte head[SENDERS];
bool woken[WORDS]; /* ghost: somebody has woken since SLEEPING was last set in this word */
bool nothing_stranded;
bool slot_is_whole;

inline take(w)
{
    atomic {
        exchange(DOOR(w), 0, old);
        pending = pending | (old & ~SLEEPING);
        old = 0
    }
}

inline drain_rings()
{
    budget = BUDGET;
    do
    :: atomic { pending != 0 && budget > 0 ->
        /* Any order, for the order in which a receiver goes round is nobody's business. */
        if
        :: (pending & 1) -> s = 0
        :: (pending & 2) -> s = 1
#if SENDERS > 2
        :: (pending & 4) -> s = 2
#endif
        fi;
        load(TAIL(s), old);
        if
        :: old == head[s] -> pending = pending & ~(1 << s)
        :: else ->
            /* In the same step: until the head moves, nobody writes to a published slot. */
            load(SLOT(s, head[s]), old);
            slot_is_whole = (old == head[s] + 1);
            assert(slot_is_whole); /* D3 */
            head[s]++;
            budget--
        fi;
        old = 0;
        s = 0 }
    :: else -> break
    od;
#ifdef MUTANT_DROP_PENDING
    pending = 0;
#endif
    budget = 0
}

active proctype receiver()
{
    byte me = 0;
    byte w, s, old, budget;
    bool ok, spurious;

    if
    :: spurious = 1
    :: skip
    fi;
    do
    ::
        /* Take. The plain load may read an old value: the swap before the sleep does not. */
        w = 0;
        do
        :: w < WORDS ->
            atomic { load(DOOR(w), old); ok = (old != 0); old = 0 }
#ifdef MUTANT_DRAIN_FIRST
            if
            :: ok ->
                atomic { load(DOOR(w), old); pending = pending | (old & ~SLEEPING); old = 0 }
                drain_rings();
                atomic { exchange(DOOR(w), 0, old); old = 0 }
            :: else
            fi;
#else
            if
            :: ok -> take(w)
            :: else
            fi;
#endif
            w++
        :: else -> break
        od;
        drain_rings();

        /* Sleep. */
        w = 0;
        ok = (pending == 0);
        do
        :: ok && w < WORDS ->
#ifdef MUTANT_SLEEP_STORE
            atomic { load(DOOR(w), old); ok = (old == 0); old = 0 }
            if
            :: ok -> atomic { store(DOOR(w), SLEEPING); woken[w] = 0; w++ }
            :: else
            fi
#else
            atomic {
                compare_and_swap(DOOR(w), 0, SLEEPING, ok);
                if
                :: ok -> woken[w] = 0; w++
                :: else
                fi
            }
#endif
        :: else -> break
        od;
        if
        :: ok ->
end_asleep:
            if
            :: atomic { wakes > 0 -> wakes-- }
            :: spurious -> spurious = 0 /* another completion, a timer */
            fi
        :: else ->
            do
            :: w > 0 ->
                w--;
#ifdef MUTANT_TAKE_BACK_STORE
                store(DOOR(w), 0)
#else
                take(w)
#endif
            :: else -> break
            od
        fi
    od
}

#ifdef MUTANT_WAKE_AND
#define I_WAKE ((old & SLEEPING) != 0)
#else
#define I_WAKE (old == SLEEPING)
#endif

inline ring(w, mine)
{
    atomic {
        fetch_or(DOOR(w), mine, old);
        if
        :: I_WAKE -> assert(!woken[w]); woken[w] = 1 /* D2 */
        :: else -> old = 0
        fi
    }
    if
    :: atomic { old != 0 -> old = 0; wakes++ }
    :: else
    fi
}

proctype sender(byte s)
{
    byte me = s + 1;
    byte sent, old;

    do
    :: sent < MESSAGES ->
        atomic { store(SLOT(s, sent), sent + 1); sent++ }
        if
        :: sent < MESSAGES -> skip /* one more into this batch */
        :: skip ->
            store_release(TAIL(s), sent);
#ifdef MUTANT_PLAIN_TEST
            load(DOOR(s % WORDS), old);
            if
            :: old & (1 << s) -> old = 0
            :: else -> ring(s % WORDS, 1 << s)
            fi
#else
            ring(s % WORDS, 1 << s)
#endif
        fi
    :: else -> break
    od
}

init {
    byte n;

    atomic {
        do
        :: n < SENDERS -> run sender(n); n++
        :: else -> break
        od;
        n = 0
    }
    timeout; /* the judge: from here on nobody else can move */
    atomic {
        nothing_stranded = (pending == 0 && wakes == 0);
        do
        :: n < SENDERS ->
            nothing_stranded = nothing_stranded && head[n] == MESSAGES;
            n++
        :: else -> break
        od;
        n = 0;
        do
        :: n < WORDS ->
            nothing_stranded = nothing_stranded && memory[DOOR(n)] == SLEEPING;
            n++
        :: else -> break
        od;
        assert(nothing_stranded) /* D1 */
    }
}
