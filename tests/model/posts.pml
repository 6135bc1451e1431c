/* SPDX-License-Identifier: MIT */
/*
 * Credit of posts: no post waits for a credit that is there, and nobody rings in circles.
 *
 * A sender has at most CREDITS posts that were sent and not started. The receiver counts the posts
 * it has started, and publishes that with the head, when it has drained the ring. Who finds no
 * credit sets want_credit, rings, looks again and parks; it asks once, and again only after it used
 * a credit. The receiver looks at want_credit when it has drained the ring after a take of the bit:
 * it rings back unless its list is full, and in any case tells the sender of the next start. At its
 * limit of tasks it moves posts from the ring to the list, so that the ring becomes empty.
 *
 * Proves:
 * F1  When nobody can move, all was taken, every post was started, and both shards sleep.
 * F2  No more than CREDITS posts wait in the receiver's list.
 * F3  Nobody rings in circles: while nothing is sent, taken or started, and no further task asks,
 *     credits are asked for and told of POSTS + CALLS times at most, however often others ring.
 *
 * Processes: the sender's shard, the receiver's shard, the memory, a judge, and one who makes the
 * sender look again, as often as it likes: what goes the other way shares the bit. Several tasks of
 * the sender wait: first for a credit, then, having one, for room, where calls wait too.
 *
 * Bounds: POSTS posts and CALLS calls, in any order; CREDITS; CAPACITY slots of the ring; TASKS
 * functions at a time that suspend, each of which ends at any time, also while its shard sleeps;
 * ABORTS tasks of the sender that give up waiting, and give back the credit that they had.
 *
 * Mutants: ONLY_AT_START (the flag is read where a post starts, and nowhere else), FORGET (a full
 * list, and the receiver does not remember the flag), TOLD_ONCE (rung back at the drain, and not at
 * the next start), KEEP_CREDITS (the count is not published at the drain), WANT_AFTER_RING,
 * ASK_AGAIN (at each look).
 * Harmless, and proved so: NO_LOOK (no look between ringing and parking), BLIND_RING_BACK (also
 * with a full list; it is asked for once).
 */
#ifndef POSTS
#define POSTS 3
#endif
#ifndef CALLS
#define CALLS 0
#endif
#ifndef CREDITS
#define CREDITS 1
#endif
#ifndef CAPACITY
#define CAPACITY 2
#endif
#ifndef ABORTS
#define ABORTS 0
#endif
#ifndef TASKS
#define TASKS 1
#endif

#define CPUS 3
#define DOOR(c) (c)
#define TAIL 2
#define HEAD 3
#define STARTED 4
#define WANT_ROOM 5
#define WANT_CREDIT 6
#define CELLS 7
#include "memory.pml"

#define PORT 1
#define SLEEPING 128

bool woken[2]; /* a completion that ends a sleep is there */
bool post_at[POSTS + CALLS]; /* request n is a post; written before its tail, read after it */
byte unsent_posts = POSTS;
byte unsent_calls = CALLS;
byte in_list;    /* posts that wait at the receiver */
byte taken;
byte starts;
byte waiting;    /* tasks of the sender */
byte aborts = ABORTS;
byte given_up;
byte vain;       /* ghost: rings for credit since something has moved */
bool list_has_room;
bool rings_are_few;
bool nothing_stranded;

inline ring(peer)
{
    atomic {
        fetch_or(DOOR(peer), PORT, old);
        if
        :: old == SLEEPING -> woken[peer] = 1
        :: else
        fi;
        old = 0
    }
}

inline sleep_until(event)
{
    atomic { compare_and_swap(DOOR(me), 0, SLEEPING, ok) }
    if
    :: atomic { ok -> ok = 0 }
end_asleep:
        if
        :: atomic { woken[me] -> woken[me] = 0 }
        :: event
        fi
    :: else
    fi
}

/* The sender */

inline push(is_post)
{
    post_at[sent] = is_post;
    sent++;
    vain = 0
}

inline publish()
{
    if
    :: atomic { sent != published -> published = sent; store_release(TAIL, sent) }
        ring(1)
    :: else
    fi
}

inline use_credits()
{
    atomic {
        load(STARTED, old);
        do
        :: for_credit > 0 && posts_sent - old < CREDITS ->
            for_credit--;
            posts_sent++;
            asked = 0;
            for_room!1
        :: else -> break
        od;
        old = 0
    }
}

inline fill_room()
{
    atomic {
        load(HEAD, old);
        do
        :: nempty(for_room) && sent - old < CAPACITY -> for_room?ok; push(ok); waiting--
        :: empty(for_room) || sent - old >= CAPACITY -> break
        od;
        ok = 0;
        old = 0
    }
}

inline count_vain()
{
    vain++;
    rings_are_few = (vain <= POSTS + CALLS);
    assert(rings_are_few) /* F3 */
}

#ifdef MUTANT_ASK_AGAIN
#define ASKED false
#else
#define ASKED asked
#endif

inline want()
{
    if
    :: nempty(for_room) -> store(WANT_ROOM, 1)
    :: empty(for_room)
    fi;
    if
    :: for_credit > 0 && !ASKED ->
        atomic { count_vain(); asked = 1 }
        store(WANT_CREDIT, 1)
    :: else
    fi
}

inline serve_waiters()
{
    use_credits();
    fill_room();
    if
    :: waiting > 0 -> publish()
    :: else
    fi;
    if
    :: len(for_room) > 0 || (for_credit > 0 && !ASKED) ->
#ifdef MUTANT_WANT_AFTER_RING
        ring(1);
        want();
#else
        want();
        ring(1);
#endif
#ifndef MUTANT_NO_LOOK
        use_credits();
        fill_room()
#endif
    :: len(for_room) == 0 && (for_credit == 0 || ASKED)
    fi
}

/* A deadline or a cancel; nobody else is told. */
inline give_up()
{
    atomic {
        if
        :: for_credit > 0 -> for_credit--
        :: nempty(for_room) -> for_room?ok; posts_sent = posts_sent - ok
        fi;
        ok = 0;
        aborts--;
        waiting--;
        given_up++
    }
}

/* Tasks join the end of a queue; when they could go on at once, that makes no difference. */
active proctype sender()
{
    byte me = 0;
    byte old, sent, published, posts_sent, for_credit;
    bool ok, asked;
    chan for_room = [POSTS + CALLS] of { bit };

    do
    ::
        atomic { load(DOOR(0), old); ok = (old != 0); old = 0 }
        if
        :: atomic { ok -> exchange(DOOR(0), 0, old); ok = ((old & PORT) != 0); old = 0 }
            if
            :: atomic { ok -> ok = 0 } serve_waiters()
            :: else
            fi
        :: else
        fi;
        if
        :: unsent_posts + unsent_calls > 0 ->
            atomic {
                if
                :: unsent_posts > 0 -> unsent_posts--; for_credit++
                :: unsent_calls > 0 -> unsent_calls--; for_room!0
                fi;
                waiting++;
                vain = 0
            }
            serve_waiters()
        :: else
        fi;
        if
        :: aborts > 0 && waiting > 0 -> give_up()
        :: skip
        fi;
        if
        :: unsent_posts + unsent_calls > 0 /* the turn has not ended */
        :: skip ->
            publish();
            sleep_until(unsent_posts + unsent_calls > 0 || (aborts > 0 && waiting > 0))
        fi
    od
}

/* The receiver */

inline tell()
{
    atomic { count_vain() }
    ring(0)
}

inline return_credits()
{
    if
    :: atomic { starts != returned -> returned = starts; store_release(STARTED, starts) }
    :: else
    fi
}

#ifdef MUTANT_BLIND_RING_BACK
#define LIST_IS_FULL false
#else
#define LIST_IS_FULL (in_list >= CREDITS)
#endif

inline read_want_credit()
{
    atomic { load(WANT_CREDIT, old); ok = (old != 0); old = 0 }
    if
    :: atomic { ok -> ok = 0; store(WANT_CREDIT, 0); wanted = 1 }
        if
        :: atomic { LIST_IS_FULL ->
#ifdef MUTANT_FORGET
            wanted = 0
#else
            skip
#endif
            }
        :: !LIST_IS_FULL ->
#ifdef MUTANT_TOLD_ONCE
            wanted = 0;
#endif
            tell()
        fi
    :: else
    fi
}

inline requests_are_taken()
{
    if
    :: atomic { taken != released -> released = taken; store_release(HEAD, taken) }
    :: else
    fi;
#ifndef MUTANT_KEEP_CREDITS
    return_credits();
#endif
#ifndef MUTANT_ONLY_AT_START
    read_want_credit();
#endif
    atomic { load(WANT_ROOM, old); ok = (old != 0); old = 0 }
    if
    :: atomic { ok -> ok = 0; store(WANT_ROOM, 0) } ring(0)
    :: else
    fi
}

/* A function runs; it ends at once, or keeps a task. */
inline start(is_post)
{
    if
    :: atomic { is_post -> starts++; vain = 0 }
#ifdef MUTANT_ONLY_AT_START
        return_credits();
        read_want_credit();
#endif
        if
        :: atomic { wanted -> wanted = 0 } return_credits(); tell()
        :: else
        fi
    :: else
    fi;
    if
    :: suspended < TASKS -> suspended++
    :: skip
    fi
}

/* One request. Without a task for it a call is answered, and a post goes to the list. */
inline serve()
{
    if
    :: atomic { suspended < TASKS && in_list > 0 -> in_list-- } start(1); return_credits()
    :: (suspended == TASKS || in_list == 0) && works ->
        atomic { load(TAIL, old); ok = (old != taken); old = 0 }
        if
        :: atomic { ok -> ok = post_at[taken]; taken++; vain = 0 }
            if
            :: suspended < TASKS -> start(ok)
            :: atomic { suspended == TASKS && ok ->
                list_has_room = (in_list < CREDITS);
                assert(list_has_room); /* F2 */
                in_list++ }
            :: suspended == TASKS && !ok
            fi;
            ok = 0
        :: else -> works = 0; requests_are_taken()
        fi
    :: else
    fi
}

active proctype receiver()
{
    byte me = 1;
    byte old, released, suspended, returned;
    bool ok, works, wanted;

    do
    ::
        atomic { load(DOOR(1), old); ok = (old != 0); old = 0 }
        if
        :: atomic { ok -> exchange(DOOR(1), 0, old); ok = 0;
            works = (works || (old & PORT) != 0); old = 0 }
        :: else
        fi;
        serve();
        if
        :: atomic { suspended > 0 -> suspended-- }
        :: skip
        fi;
        if
        :: !works && (in_list == 0 || suspended == TASKS) -> sleep_until(suspended > 0)
        :: else
        fi
    od
}

/* Others ring the sender's bit. */
active proctype others()
{
    byte me = 2;
    byte old;

    do
    :: ring(0)
    :: break
    od
}

active proctype judge()
{
    timeout;
    atomic {
        nothing_stranded = (taken == POSTS + CALLS - given_up && in_list == 0 && waiting == 0 &&
            memory[DOOR(0)] == SLEEPING && memory[DOOR(1)] == SLEEPING);
        assert(nothing_stranded) /* F1 */
    }
}
