/* SPDX-License-Identifier: MIT */
/*
 * Room in a port: two shards whose rings are full wait for each other's drains, and always go on.
 *
 * Proves:
 * R1  When nobody can move, every task has sent all it wanted: no sender waits for a room that is
 *     there, and no message is left in a ring.
 * R2  D2 of the doorbell, on both shards: one wake per setting of SLEEPING.
 * R3  A slot is written again only after it was read: what is read is what was sent.
 *
 * Processes: two shards, each with one task that sends COUNT0 (or COUNT1) messages to the other
 * shard, the memory, a judge. A shard turns: take, drain, its task if it can run, else sleep. So
 * with both counts above 0 each is a sender and a receiver, on the same doorbell bit.
 *
 * Bounds: rings of CAPACITY slots, drains of at most BUDGET messages, the counts. A tail is
 * published after any number of messages, a head once per drain.
 *
 * Mutants: WANT_AFTER_RING, CLEAR_AFTER_RING, NO_REPEAT, WANT_IF_TAKEN (it is read only when a
 * message was taken).
 * Harmless, and proved so: NO_LOOK (the look between ringing and parking left out),
 * WANT_BEFORE_HEAD and HEAD_AFTER_RING (the head published after WANT was read, or after ringing
 * back). The exchange of the doorbell makes them so: a receiver that looks at WANT after each take,
 * whether it found a message or not, cannot miss what the sender set before it rang.
 *
 * -DDEKKER is the other design: WANT is read only after the head has moved, and so the head must
 * be published by a read-modify-write. There NO_LOOK and WANT_BEFORE_HEAD fail.
 */
#ifndef COUNT0
#define COUNT0 3
#endif
#ifndef COUNT1
#define COUNT1 0
#endif
#ifndef CAPACITY
#define CAPACITY 1
#endif
#ifndef BUDGET
#define BUDGET 1
#endif

/* Ring c is the one that shard c writes: its slots and TAIL, and WANT. The other one writes HEAD,
   and clears WANT. */
#define CPUS 2
#define DOOR(c) (c)
#define TAIL(c) (2 + (c))
#define HEAD(c) (4 + (c))
#define WANT(c) (6 + (c))
#define SLOT(c, k) (8 + (c) * CAPACITY + (k))
#define CELLS (8 + 2 * CAPACITY)
#include "memory.pml"

#define PORT 1
#define SLEEPING 128

#define RUNNABLE 0
#define PARKED 1
#define DONE 2

byte wakes[2];
bool pending[2];
byte sent[2];
byte taken[2];
byte task[2];
bool woken[2]; /* ghost, as in doorbell.pml */
bool nothing_stranded;
bool slot_is_whole;

inline ring()
{
    atomic {
        fetch_or(DOOR(peer), PORT, old);
        if
        :: old == SLEEPING -> assert(!woken[peer]); woken[peer] = 1 /* R2 */
        :: else -> old = 0
        fi
    }
    if
    :: atomic { old != 0 -> old = 0; wakes[peer]++ }
    :: else
    fi
}

#ifdef DEKKER
#define publish_head() atomic { exchange(HEAD(peer), taken[me], old); old = 0 }
#else
#define publish_head() store_release(HEAD(peer), taken[me])
#endif

inline ring_back()
{
    atomic { load(WANT(peer), old); ok = (old != 0); old = 0 }
#ifdef MUTANT_WANT_BEFORE_HEAD
    if
    :: moved -> publish_head()
    :: else
    fi;
#endif
    if
    :: ok ->
#ifdef MUTANT_CLEAR_AFTER_RING
        ring();
        store(WANT(peer), 0)
#else
        store(WANT(peer), 0);
        ring()
#endif
    :: else
    fi
}

inline drain_ring()
{
    budget = BUDGET;
    do
    :: atomic {
        budget > 0 ->
        load(TAIL(peer), old);
        if
        :: old == taken[me] -> pending[me] = 0; old = 0; break
        :: else ->
            load(SLOT(peer, taken[me] % CAPACITY), old);
            slot_is_whole = (old == taken[me] + 1);
            assert(slot_is_whole); /* R3 */
            taken[me]++;
            moved = 1;
            budget--;
            old = 0
        fi }
    :: else -> break
    od;
    budget = 0;
#if !defined(MUTANT_WANT_BEFORE_HEAD) && !defined(MUTANT_HEAD_AFTER_RING)
    if
    :: moved -> publish_head()
    :: else
    fi;
#endif
#if defined(MUTANT_WANT_IF_TAKEN) || defined(DEKKER)
    if
    :: moved -> ring_back()
    :: else
    fi;
#else
    ring_back();
#endif
#ifdef MUTANT_HEAD_AFTER_RING
    if
    :: moved -> publish_head()
    :: else
    fi;
#endif
    moved = 0
}

inline publish()
{
    if
    :: unpublished -> unpublished = 0; store_release(TAIL(me), sent[me])
    :: else
    fi
}

/* A look at the room: reads the head, and finds some or not. */
inline look()
{
    atomic {
        load(HEAD(me), head_seen);
        ok = (sent[me] - head_seen < CAPACITY)
    }
}

inline run_task()
{
    if
    :: sent[me] == limit -> task[me] = DONE
    :: sent[me] < limit && sent[me] - head_seen < CAPACITY ->
        atomic { store(SLOT(me, sent[me] % CAPACITY), sent[me] + 1); sent[me]++; unpublished = 1 }
        if
        :: sent[me] < limit -> skip /* one more into this batch */
        :: publish(); ring()
        fi
    :: else ->
        look();
        if
        :: ok
        :: else ->
            publish();
#ifdef MUTANT_NO_REPEAT
            if
            :: asked
            :: else -> store(WANT(me), 1); asked = 1
            fi;
            ring();
#else
#ifdef MUTANT_WANT_AFTER_RING
            ring();
            store(WANT(me), 1);
#else
            store(WANT(me), 1);
            ring();
#endif
#endif
#ifndef MUTANT_NO_LOOK
            look();
#endif
            if
            :: ok
            :: else -> task[me] = PARKED
            fi
        fi
    fi;
    ok = 0
}

proctype shard(byte me; byte peer; byte limit)
{
    byte head_seen, budget, old;
    bool ok, moved, unpublished;
#ifdef MUTANT_NO_REPEAT
    bool asked;
#endif

    do
    ::
        atomic { load(DOOR(me), old); ok = (old != 0); old = 0 }
        if
        :: ok ->
            atomic {
                exchange(DOOR(me), 0, old);
                if
                :: old & PORT ->
                    pending[me] = 1;
                    if
                    :: task[me] == PARKED -> task[me] = RUNNABLE
                    :: else
                    fi
                :: else
                fi;
                old = 0;
                ok = 0
            }
        :: else
        fi;
        if
        :: pending[me] -> drain_ring()
        :: else
        fi;
        if
        :: task[me] == RUNNABLE -> run_task()
        :: task[me] != RUNNABLE && !pending[me] ->
            atomic {
                compare_and_swap(DOOR(me), 0, SLEEPING, ok);
                if
                :: ok -> woken[me] = 0
                :: else
                fi
            }
            if
            :: ok ->
end_asleep:
                atomic { wakes[me] > 0 -> wakes[me]--; ok = 0 }
            :: else
            fi
        :: else
        fi
    od
}

init {
    atomic {
        run shard(0, 1, COUNT0);
        run shard(1, 0, COUNT1)
    }
    timeout;
    atomic {
        nothing_stranded = task[0] == DONE && task[1] == DONE &&
            taken[1] == COUNT0 && taken[0] == COUNT1 &&
            !pending[0] && !pending[1] && wakes[0] == 0 && wakes[1] == 0 &&
            memory[DOOR(0)] == SLEEPING && memory[DOOR(1)] == SLEEPING;
        assert(nothing_stranded) /* R1 */
    }
}
