/* SPDX-License-Identifier: MIT */
/*
 * The wake map: a wake from another shard or thread reaches its task.
 *
 * One bit per task slot in the leaves, one per leaf in the level above, one per word of that in
 * the top. A waker sets leaf, level, top, then rings. The owner exchanges top, level, leaf.
 *
 * Proves:
 * M1  When nobody can move, each task has run after its last wake and saw what it was woken for;
 *     all three levels are 0, and the doorbell is SLEEPING.
 * M2  One wake of the shard per sleep (D2 of the doorbell).
 *
 * Processes: an owner, two wakers, the memory, a judge. The reason for a wake is a count of the
 * waker and the slot, a plain store before the leaf.
 *
 * Bounds: the wakers make WAKES1 and WAKES2 wakes of any of four slots. Slots 0
 * and 1 share a leaf; slot 2 has another leaf under the same word of the level, slot 3 is under
 * the other word.
 *
 * Mutants: TOP_FIRST and RING_FIRST (the waker's order), LEAF_FIRST (the owner's order),
 * LEVEL_LAST (the waker sets the level after the top).
 * Harmless, and proved so: STOP_AT_SET (a waker whose fetch_or finds its bit set stops there).
 */
#ifndef WAKES1
#define WAKES1 2
#endif
#ifndef WAKES2
#define WAKES2 1
#endif

#define CPUS 3
#define DOOR 0
#define TOP 1
#define LEVEL(i) (2 + (i))
#define LEAF(i) (4 + (i))
#define REASON(waker, slot) (7 + (waker) * 4 + (slot))
#define CELLS 15
#include "memory.pml"

#define MAP 1
#define SLEEPING 128

#define LEAF_OF(slot) ((slot) < 2 -> 0 : (slot) - 1)
#define LEAF_BIT(slot) ((slot) == 1 -> 2 : 1)
#define LEVEL_OF(leaf) ((leaf) / 2)
#define LEVEL_BIT(leaf) ((leaf) == 1 -> 2 : 1)
#define TOP_BIT(level) ((level) + 1)

byte wakes;
bool woken;
byte seen[8];
bool nothing_stranded;

/* A turned bit: the task runs, and looks at all that it may have been woken for. */
inline run_task(slot)
{
    atomic {
        load(REASON(0, slot), old);
        seen[slot] = old;
        load(REASON(1, slot), old);
        seen[4 + (slot)] = old;
        old = 0
    }
}

inline turn_leaf(leaf)
{
    exchange(LEAF(leaf), 0, bits);
    do
    :: bits & 1 -> bits = bits & 2; run_task((leaf == 0 -> 0 : leaf + 1))
    :: bits & 2 -> bits = bits & 1; run_task(1)
    :: else -> break
    od
}

active proctype owning_shard()
{
    byte me = 0;
    byte old, top, level, bits, l;
    bool ok;

    do
    ::
        exchange(DOOR, 0, old);
        if
        :: old & MAP ->
            old = 0;
#ifdef MUTANT_LEAF_FIRST
            /* Bottom up: the way is read, the leaves are taken first and the summaries last. */
            load(TOP, top);
            do
            :: top != 0 ->
                atomic { l = (top & 1 -> 0 : 1); top = top & ~TOP_BIT(l); load(LEVEL(l), level) }
                do
                :: level & 1 ->
                    level = level & 2;
                    turn_leaf(2 * l)
                :: level & 2 ->
                    level = level & 1;
                    turn_leaf(1)
                :: else -> break
                od;
                atomic { exchange(LEVEL(l), 0, old); old = 0 }
            :: else -> break
            od;
            atomic { exchange(TOP, 0, old); old = 0 }
#else
            exchange(TOP, 0, top);
            do
            :: top != 0 ->
                l = (top & 1 -> 0 : 1);
                top = top & ~TOP_BIT(l);
                exchange(LEVEL(l), 0, level);
                do
                :: level & 1 -> level = level & 2; turn_leaf(2 * l)
                :: level & 2 -> level = level & 1; turn_leaf(1)
                :: else -> break
                od
            :: else -> break
            od;
#endif
            l = 0
        :: else -> old = 0
        fi;
        atomic {
            compare_and_swap(DOOR, 0, SLEEPING, ok);
            if
            :: ok -> woken = 0
            :: else
            fi
        }
        if
        :: ok ->
end_asleep:
            atomic { wakes > 0 -> wakes-- }
        :: else
        fi
    od
}

inline ring()
{
    atomic {
        fetch_or(DOOR, MAP, old);
        if
        :: old == SLEEPING -> assert(!woken); woken = 1 /* M2 */
        :: else -> old = 0
        fi
    }
    if
    :: atomic { old != 0 -> old = 0; wakes++ }
    :: else
    fi
}

inline set(cell, mine)
{
    atomic { fetch_or(cell, mine, old); was_set = ((old & mine) != 0); old = 0 }
}

#ifdef MUTANT_STOP_AT_SET
#define GOES_ON (!was_set)
#else
#define GOES_ON true
#endif

proctype waker(byte me; byte limit)
{
    byte n, slot, leaf, old;
    bool was_set;

    do
    :: n < limit ->
        atomic {
            n++;
            if
            :: slot = 0
            :: slot = 1
            :: slot = 2
            :: slot = 3
            fi;
            leaf = LEAF_OF(slot);
            store(REASON(me - 1, slot), n)
        }
#ifdef MUTANT_TOP_FIRST
        set(TOP, TOP_BIT(LEVEL_OF(leaf)));
        set(LEVEL(LEVEL_OF(leaf)), LEVEL_BIT(leaf));
        set(LEAF(leaf), LEAF_BIT(slot));
        ring()
#else
#ifdef MUTANT_LEVEL_LAST
        set(LEAF(leaf), LEAF_BIT(slot));
        set(TOP, TOP_BIT(LEVEL_OF(leaf)));
        set(LEVEL(LEVEL_OF(leaf)), LEVEL_BIT(leaf));
        ring()
#else
#ifdef MUTANT_RING_FIRST
        ring();
#endif
        set(LEAF(leaf), LEAF_BIT(slot));
        if
        :: GOES_ON ->
            set(LEVEL(LEVEL_OF(leaf)), LEVEL_BIT(leaf));
            if
            :: GOES_ON ->
                set(TOP, TOP_BIT(LEVEL_OF(leaf)));
#ifndef MUTANT_RING_FIRST
                if
                :: GOES_ON -> ring()
                :: !GOES_ON
                fi
#endif
            :: !GOES_ON
            fi
        :: !GOES_ON
        fi
#endif
#endif
    :: else -> break
    od
}

init {
    byte n;

    atomic {
        run waker(1, WAKES1);
        run waker(2, WAKES2)
    }
    timeout;
    atomic {
        nothing_stranded = memory[DOOR] == SLEEPING && wakes == 0;
        do
        :: n < 6 -> nothing_stranded = nothing_stranded && memory[TOP + n] == 0; n++
        :: else -> break
        od;
        n = 0;
        do
        :: n < 8 -> nothing_stranded = nothing_stranded && seen[n] == memory[REASON(0, n)]; n++
        :: else -> break
        od;
        assert(nothing_stranded) /* M1 */
    }
}
