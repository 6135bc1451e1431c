/* SPDX-License-Identifier: MIT */
/*
 * Shards that divide the capacity of a device by one number (io/disk_share.h).
 *
 * Each shard begins and ends requests of cost 1. It reads the number, at any time since it changed
 * it last, decides, and changes it by a compare-and-swap, QUANTUM at a time; what it gives back it
 * subtracts. It begins without room when it has less than PART, or nothing, in flight.
 *
 * Proves:
 * H1  The number is what the shards hold together, and 0 when all have left.
 * H2  No more is in flight than the capacity and what each may begin without room.
 * H3  Who is refused has a request in flight, which will end; so all come to their end.
 *
 * Processes: SHARDS shards. The number is one word, and nothing else is read because of it: so no
 * store buffers, but a look may be as old as the shard's own last change.
 *
 * Bounds: REQUESTS of each shard, CAPACITY, QUANTUM, PART.
 *
 * Mutants: STORE (read, add, store), BLIND (an addition, decided by an old look), NO_FIRST (also
 * who has nothing in flight is refused), KEEP (who leaves gives nothing back).
 * Harmless, and proved so: SPARE_COUNTS (what the shard itself holds makes the device full for it).
 */
#ifndef SHARDS
#define SHARDS 3
#endif
#ifndef REQUESTS
#define REQUESTS 2
#endif
#ifndef CAPACITY
#define CAPACITY 3
#endif
#ifndef QUANTUM
#define QUANTUM 2
#endif
#ifndef PART
#define PART 1
#endif

#define MAY_ANYWAY (PART > 1 -> PART : 1) /* requests of a shard that need no room */

byte in_flight;
byte held_by_all; /* ghost */
byte left;
bool count_is_right;
bool not_too_much;
bool refused_has_one;

/* After each change of `in_flight`, in the same step. */
inline judge()
{
    count_is_right = in_flight == held_by_all;
    assert(count_is_right);
    not_too_much = in_flight <= CAPACITY + SHARDS * MAY_ANYWAY;
    assert(not_too_much)
}

#ifdef MUTANT_SPARE_COUNTS
#define IS_FULL (seen >= CAPACITY)
#else
#define IS_FULL (seen - (held - used) >= CAPACITY)
#endif

#ifdef MUTANT_NO_FIRST
#define MAY (used < PART)
#else
#define MAY (used == 0 || used < PART)
#endif

inline choose_more()
{
    more = (seen < CAPACITY -> CAPACITY - seen : 0);
    more = (more < QUANTUM -> more : QUANTUM);
    more = (more > 1 -> more : 1)
}

inline begin()
{
    if
    :: seen = in_flight
    :: skip /* an old look */
    fi;
    do
    :: atomic { !MAY && IS_FULL ->
        refused_has_one = used > 0;
        assert(refused_has_one)
    }
        break
    :: (MAY || !IS_FULL) && held > used -> atomic { used++; todo-- }; break
    :: (MAY || !IS_FULL) && held == used ->
        choose_more();
#if defined(MUTANT_STORE)
        seen = in_flight;
        atomic {
            in_flight = seen + more; seen = in_flight; held = held + more;
            held_by_all = held_by_all + more; used++; todo--; judge()
        }
        break
#elif defined(MUTANT_BLIND)
        atomic {
            in_flight = in_flight + more; seen = in_flight; held = held + more;
            held_by_all = held_by_all + more; used++; todo--; judge()
        }
        break
#else
        atomic {
            if
            :: in_flight == seen ->
                in_flight = in_flight + more; seen = in_flight; held = held + more;
                held_by_all = held_by_all + more; used++; todo--; judge();
                more = 0;
                break
            :: else -> seen = in_flight
            fi
        }
#endif
    od;
    more = 0
}

inline give_back()
{
    atomic {
        in_flight = in_flight - (held - used);
        held_by_all = held_by_all - (held - used);
        held = used;
        seen = in_flight;
        judge()
    }
}

proctype shard()
{
    byte todo = REQUESTS;
    byte used, held, seen, more;

    do
    :: todo > 0 -> begin()
    :: used > 0 -> used--
    :: held > used -> give_back()
    :: todo == 0 && used == 0 -> break
    od;
#ifndef MUTANT_KEEP
    give_back();
#endif
    seen = 0;
    left++
}

init {
    byte n;

    atomic {
        do
        :: n < SHARDS -> run shard(); n++
        :: else -> break
        od
    }
    left == SHARDS;
    count_is_right = in_flight == 0;
    assert(count_is_right)
}
