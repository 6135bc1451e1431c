/* SPDX-License-Identifier: MIT */
/*
 * Memory with store buffers, shared by all models.
 *
 * Spin's own variables are sequentially consistent, and processors are not: a store waits in the
 * buffer of its processor while later loads already read. Each protocol here is about just that,
 * so every shared cell is in memory[], and is reached by the operations below only.
 *
 * TSO (the default, as x86): a buffer drains oldest first; a read-modify-write waits until the
 * buffer of its processor is empty, then acts on memory at once.
 *
 * WEAK (-DWEAK, weaker than x86 and near to ARMv8 with exclusive pairs):
 * - a plain store may overtake older stores to other cells, and releases too;
 * - a release is drained only when it is the oldest;
 * - a read-modify-write is acquire and release but no full fence: its write waits in the buffer as
 *   a release, while its processor goes on and reads. Until it is drained, no other processor may
 *   change that cell, which keeps it atomic.
 * In neither variant does a load move ahead of an older load: the protocols use acquire where
 * that matters.
 *
 * A model defines CPUS (2..4) and CELLS, then includes this. A process that uses the operations
 * has a variable `me`, the number of its processor.
 */
#ifdef WEAK
#define DEPTH 4
#else
#ifndef DEPTH
#define DEPTH 3
#endif
#endif

typedef buffer {
    byte count;
    byte cell[DEPTH];
    byte value[DEPTH];
#ifdef WEAK
    bool release[DEPTH];
#endif
};

byte memory[CELLS];
buffer stored[CPUS];
#ifdef WEAK
byte owner[CELLS]; /* processor + 1 whose read-modify-write is not drained yet, or 0 */
#endif

/* Hidden: set and forgotten within one step, so they are no part of a state. */
hidden byte at_;
hidden byte cell_;
hidden byte value_;

inline append(a, v, is_release)
{
    stored[me].cell[stored[me].count] = a;
    stored[me].value[stored[me].count] = v;
#ifdef WEAK
    stored[me].release[stored[me].count] = is_release;
#endif
    stored[me].count++
}

/* A processor sees its own stores first: the youngest one to the cell. */
inline read(a, x)
{
    x = memory[a];
    at_ = 0;
    do
    :: at_ < stored[me].count ->
        if
        :: stored[me].cell[at_] == (a) -> x = stored[me].value[at_]
        :: else
        fi;
        at_++
    :: else -> break
    od;
    at_ = 0 /* spin wants a statement after the loop when this ends a d_step */
}

#ifdef WEAK
#define may_change(a) \
    (stored[me].count < DEPTH && (owner[a] == 0 || owner[a] == me + 1))
inline change(a, v)
{
    append(a, v, 1);
    owner[a] = me + 1
}
#else
#define may_change(a) (stored[me].count == 0)
inline change(a, v)
{
    memory[a] = v
}
#endif

inline load(a, x)
{
    d_step { read(a, x) }
}

inline store(a, v)
{
    d_step { stored[me].count < DEPTH -> append(a, v, 0) }
}

inline store_release(a, v)
{
    d_step { stored[me].count < DEPTH -> append(a, v, 1) }
}

inline fetch_or(a, bits, old)
{
    d_step { may_change(a) -> read(a, old); value_ = old | (bits); change(a, value_) }
}

inline fetch_and(a, bits, old)
{
    d_step { may_change(a) -> read(a, old); value_ = old & (bits); change(a, value_) }
}

inline fetch_add(a, n, old)
{
    d_step { may_change(a) -> read(a, old); value_ = old + (n); change(a, value_) }
}

inline exchange(a, v, old)
{
    d_step { may_change(a) -> read(a, old); change(a, v) }
}

/* A failed one only reads. It may wait for the buffer all the same, which no property notices. */
inline compare_and_swap(a, expected, v, ok)
{
    d_step {
        may_change(a) -> read(a, value_);
        if
        :: value_ == (expected) -> change(a, v); ok = 1
        :: else -> ok = 0
        fi
    }
}

/* Entry i of processor c becomes visible, and the younger ones move up. */
inline drain(c, i)
{
    cell_ = stored[c].cell[i];
    memory[cell_] = stored[c].value[i];
    at_ = i;
    do
    :: at_ + 1 < stored[c].count ->
        stored[c].cell[at_] = stored[c].cell[at_ + 1];
        stored[c].value[at_] = stored[c].value[at_ + 1];
#ifdef WEAK
        stored[c].release[at_] = stored[c].release[at_ + 1];
#endif
        at_++
    :: else -> break
    od;
    /* Zeros in what is not used, else equal states would differ. */
    stored[c].cell[at_] = 0;
    stored[c].value[at_] = 0;
#ifdef WEAK
    stored[c].release[at_] = 0;
#endif
    stored[c].count--;
#ifdef WEAK
    if
    :: owner[cell_] == c + 1 ->
        owner[cell_] = 0;
        at_ = 0;
        do
        :: at_ < stored[c].count ->
            if
            :: stored[c].cell[at_] == cell_ -> owner[cell_] = c + 1
            :: else
            fi;
            at_++
        :: else -> break
        od
    :: else
    fi
#endif
}

#ifdef WEAK
#define free_for(c, i) \
    (owner[stored[c].cell[i]] == 0 || owner[stored[c].cell[i]] == (c) + 1)
#define differ(c, i, j) (stored[c].cell[i] != stored[c].cell[j])
#define younger(c, i) (stored[c].count > i && !stored[c].release[i] && free_for(c, i))
#define DRAINS(c) \
    :: d_step { stored[c].count > 0 && free_for(c, 0) -> drain(c, 0) } \
    :: d_step { younger(c, 1) && differ(c, 1, 0) -> drain(c, 1) } \
    :: d_step { younger(c, 2) && differ(c, 2, 0) && differ(c, 2, 1) -> drain(c, 2) } \
    :: d_step { \
        younger(c, 3) && differ(c, 3, 0) && differ(c, 3, 1) && differ(c, 3, 2) -> drain(c, 3) \
    }
#else
#define DRAINS(c) \
    :: d_step { stored[c].count > 0 -> drain(c, 0) }
#endif

active proctype memory_system()
{
end_drained:
    do
    DRAINS(0)
    DRAINS(1)
#if CPUS > 2
    DRAINS(2)
#endif
#if CPUS > 3
    DRAINS(3)
#endif
    od
}
