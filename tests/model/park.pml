/* SPDX-License-Identifier: MIT */
/*
 * The watch for stalls sleeps while all shards do, and who wakes wakes it (core/watched.h, Z1).
 *
 * A shard stores that it is awake and then looks whether the watch is parked, without a fence
 * between the two. The watch stores that it is parked, makes every processor run through a fence
 * (membarrier), and then looks whether somebody is awake.
 *
 * Proves: when nobody can move and the watch sleeps, all shards sleep.
 *
 * Processes: two shards, the watch, the memory, a judge.
 *
 * Bounds: each shard sleeps and wakes CYCLES times and then stays as it is; the watch looks LOOKS
 * times.
 *
 * Mutants: NO_FENCE (no membarrier), LOOK_FIRST (a shard looks before it stores), NO_LOOK (the
 * watch does not look again), FENCE_FIRST (the fence before the store).
 */
#ifndef CYCLES
#define CYCLES 2
#endif
#ifndef LOOKS
#define LOOKS 3
#endif

#define CPUS 3
#define AWAKE(shard) (shard)
#define PARKED 2
#define CELLS 3
#include "memory.pml"

byte posts;
bool watch_sleeps;
bool nothing_stranded;

#define is_drained(cpu) (stored[cpu].count == 0)

/* Each processor comes to its fence at a moment of its own, with an empty buffer. */
inline fence_all()
{
    is_drained(2);
    is_drained(0);
    is_drained(1)
}

inline look_for_watch()
{
    load(PARKED, parked);
    if
    :: parked ->
        exchange(PARKED, 0, parked);
        if
        :: parked -> atomic { posts++; parked = 0 }
        :: else
        fi
    :: else
    fi
}

proctype shard(byte me)
{
    byte n, parked;

    do
    :: n < CYCLES ->
        n++;
        store(AWAKE(me), 0);
#ifdef MUTANT_LOOK_FIRST
        look_for_watch();
        store(AWAKE(me), 1)
#else
        store(AWAKE(me), 1);
        look_for_watch()
#endif
    :: n > 0 -> store(AWAKE(me), 0); break
    :: n > 0 -> break
    od
}

proctype watch(byte me)
{
    byte n, one, other;

    do
    :: n < LOOKS ->
        n++;
        load(AWAKE(0), one);
        load(AWAKE(1), other);
        if
        :: !one && !other ->
#ifdef MUTANT_FENCE_FIRST
            fence_all();
#endif
            store(PARKED, 1);
#if !defined(MUTANT_NO_FENCE) && !defined(MUTANT_FENCE_FIRST)
            fence_all();
#endif
#ifndef MUTANT_NO_LOOK
            load(AWAKE(0), one);
            load(AWAKE(1), other);
#endif
            if
            :: one || other -> store(PARKED, 0)
            :: !one && !other ->
                watch_sleeps = 1;
end_sleeps:
                atomic { posts > 0 -> posts--; watch_sleeps = 0 }
            fi
        :: one || other
        fi;
        one = 0;
        other = 0
    :: else -> break
    od
}

init {
    atomic {
        memory[AWAKE(0)] = 1;
        memory[AWAKE(1)] = 1;
        run shard(0);
        run shard(1);
        run watch(2)
    }
    timeout;
    nothing_stranded = !watch_sleeps || (memory[AWAKE(0)] == 0 && memory[AWAKE(1)] == 0);
    assert(nothing_stranded)
}
