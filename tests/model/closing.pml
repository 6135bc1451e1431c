/* SPDX-License-Identifier: MIT */
/*
 * Closing: when all shards stand at the barrier, no message is in a ring and none will be sent.
 *
 * A shard arrives (adds 1) when it has nothing to run and saw all its own outgoing rings empty.
 * When it then takes a message it un-arrives (subtracts 1) before it publishes its head. A shard
 * that reads the full count leaves; rings are closed after all have left.
 *
 * Proves:
 * E1  A shard leaves only when no message is in a ring or at work.
 * E2  After one has left nobody sends.
 * E3  When nobody can move, all have left.
 *
 * Processes: SHARDS shards that look again and again instead of sleeping, and the memory.
 *
 * Bounds: START messages sent by first tasks, and MORE that functions send when they run, to any
 * other shard.
 *
 * Mutants: LATE_UNARRIVE (after the head), BLIND_ARRIVE (outgoing rings not looked at).
 */
#ifndef SHARDS
#define SHARDS 2
#endif
#ifndef MORE
#define MORE 2
#endif
#define START 1

#define CPUS SHARDS
#define TAIL(from, to) ((from) * SHARDS + (to))
#define HEAD(from, to) (SHARDS * SHARDS + (from) * SHARDS + (to))
#define ARRIVED (2 * SHARDS * SHARDS)
#define CELLS (2 * SHARDS * SHARDS + 1)
#include "memory.pml"

byte at_work;      /* ghost: messages sent whose functions have not ended */
byte more = MORE;  /* ghost: what functions may still send */
byte start = START;
byte have_left;
bool nothing_is_under_way;
bool nobody_has_left;

typedef row {
    byte to[SHARDS];
};
row sent[SHARDS];
row taken[SHARDS]; /* taken[me].to[j]: from j, by me */

inline pick_peer()
{
    if
    :: me != 0 -> j = 0
    :: me != 1 -> j = 1
#if SHARDS > 2
    :: me != 2 -> j = 2
#endif
    fi
}

inline send()
{
    atomic {
        pick_peer();
        nobody_has_left = (have_left == 0);
        assert(nobody_has_left); /* E2 */
        sent[me].to[j]++;
        at_work++;
        store_release(TAIL(me, j), sent[me].to[j]);
        j = 0
    }
}

inline unarrive()
{
    if
    :: arrived -> atomic { fetch_add(ARRIVED, 255, old); old = 0; arrived = 0 }
    :: else
    fi
}

proctype shard(byte me)
{
    byte old, j, k;
    bool arrived, ok;

    do
    :: atomic { !arrived && start > 0 -> start--; send() } /* a first task */
    :: atomic { pick_peer(); load(TAIL(j, me), old); ok = (old != taken[me].to[j]); old = 0 }
        if
        :: ok ->
            taken[me].to[j]++;
#ifdef MUTANT_LATE_UNARRIVE
            store_release(HEAD(j, me), taken[me].to[j]);
            unarrive();
#else
            unarrive();
            store_release(HEAD(j, me), taken[me].to[j]);
#endif
            do
            :: atomic { more > 0 -> more--; send() }
            :: break
            od;
            at_work-- /* its function has ended */
        :: else
        fi;
        atomic { ok = 0; j = 0 }
    :: !arrived ->
        atomic { ok = 1; k = 0 }
#ifndef MUTANT_BLIND_ARRIVE
        do
        :: atomic { k < SHARDS -> load(HEAD(me, k), old);
            ok = (ok && old == sent[me].to[k]); old = 0; k++ }
        :: else -> break
        od;
#endif
        if
        :: ok -> atomic { fetch_add(ARRIVED, 1, old); old = 0; arrived = 1 }
        :: else
        fi;
        atomic { ok = 0; k = 0 }
    :: atomic { arrived -> load(ARRIVED, old);
        if
        :: old == SHARDS ->
            nothing_is_under_way = (at_work == 0);
            assert(nothing_is_under_way); /* E1 */
            have_left++;
            break
        :: else -> old = 0
        fi }
    od
}

init {
    byte n;

    atomic {
        do
        :: n < SHARDS -> run shard(n); n++
        :: else -> break
        od
    }
    timeout;
    assert(have_left == SHARDS) /* E3 */
}
