/* SPDX-License-Identifier: MIT */
/*
 * Closing: shards that sleep end together, and no message is lost.
 *
 * Three counts in shared memory, each of which only rises: first tasks that have returned, shards
 * that send no request any more (acked), shards that are quiet (arrived). Who makes a count full
 * tells everybody, by the doorbell's bit CONTROL and, who sleeps, by event counter.
 *
 *   returned == N   DRAINING. A shard that sees it sends no request any more, publishes those it
 *                   has sent, and acks.
 *   acked == N      Every request that will ever be is in a ring: look at all rings. Quiet is who
 *                   did so and has no task, no reply unsent, no wake of its own on the way. Arrive.
 *   arrived == N    Leave, and close the kernel's ring.
 *
 * Proves:
 * E1  A shard leaves only when no message is in a ring or at work.
 * E2  Nobody sends to a shard that has left, or wakes it through its ring.
 * E3  When nobody can move, all have left.
 * E4  A shard that has arrived rings nobody, but to tell everybody of a count that is full.
 *
 * Processes: SHARDS shards that turn and sleep, the memory, and with STOP one who stops them at any
 * time. Tasks are counts: a task sends, asks for room, and ends at any time, also while its shard
 * sleeps; under STOP one first task waits for the stop. A wake through the kernel's ring is decided
 * when the doorbell is rung, and handed to the kernel later in the turn. It may fail; its sender
 * reads that in its next turn, and wakes by event counter.
 *
 * Bounds: MESSAGES requests, each a call or a post; ASKS times that a task sets want_room and
 * rings; FAILURES wakes that fail. Reply rings have one slot, so replies wait, ask for room and are
 * rung back; request rings are never full (port_room.pml).
 *
 * Mutants: ACK_FIRST (before what was sent is published), SILENT_RETURN, SILENT_ACK, SILENT_ARRIVAL
 * (who makes the count full tells nobody), NO_LAST_LOOK (rings without a bit are not looked at),
 * WITHOUT_ACKS, FORGET_LATE (quiet without that), LEAVE_ON_ARRIVAL, WAKES_UNSUBMITTED and
 * ERRORS_UNREAD (arrive while a wake is not with the kernel yet, or may have failed).
 */
#ifndef SHARDS
#define SHARDS 2
#endif
#ifndef MESSAGES
#define MESSAGES 1
#endif
#ifndef ASKS
#define ASKS 0
#endif
#ifndef STOP
#define STOP 0
#endif
#ifndef FAILURES
#define FAILURES 0
#endif

#define CPUS (SHARDS + 1) /* the last one stops */
/* Short expressions: spin's inlines have room for no long ones. */
#if SHARDS == 2
#define PAIRS 2
#define PAIR(base, from, to) base + from
#else
#define PAIRS 9
#define PAIR(base, from, to) base + 3 * from + to
#endif
#define DOOR(c) (c)
#define STATE 3
#define RETURNED 4
#define ACKED 5
#define ARRIVED 6
#define TAIL(from, to) PAIR(7, from, to)
#define WANT(from, to) PAIR(16, from, to)
/* Of replies, `from` is the callee. */
#define REPLY_TAIL(from, to) PAIR(25, from, to)
#define REPLY_HEAD(from, to) PAIR(34, from, to)
#define REPLY_WANT(from, to) PAIR(43, from, to)
#define CELLS 52
#include "memory.pml"

#define SLEEPING 128
#define CONTROL 64
#define BIT(c) (1 << (c))

#define STOPPING 1
#define DRAINING 2

byte messages = MESSAGES;
byte asks = ASKS;
byte failures = FAILURES;
byte at_work;        /* ghost: requests sent whose function, or whose caller, has not ended */
bool woken[SHARDS];  /* a completion that ends a sleep is there */
bool left[SHARDS];
bool nothing_is_under_way;
bool target_is_there;
bool quiet_is_quiet;
bool all_have_left;

typedef row {
    byte to[SHARDS];
};
row calls[SHARDS]; /* bit n: request n, by me, to, is a call */

/* Rings of a shard to another one; the wake goes through the kernel's ring, later. */
inline ring(peer_)
{
    atomic {
        quiet_is_quiet = !arrived;
        assert(quiet_is_quiet); /* E4 */
        fetch_or(DOOR(peer_), BIT(me), old);
        if
        :: old == SLEEPING -> to_wake = to_wake | BIT(peer_)
        :: else
        fi;
        old = 0
    }
}

/* Everybody else is told by event counter, at once. */
inline tell(peer_)
{
    if
    :: me != peer_ ->
        fetch_or(DOOR(peer_), CONTROL, old);
        if
        :: old == SLEEPING -> woken[peer_] = 1
        :: else
        fi;
        old = 0
    :: else
    fi
}

inline tell_all()
{
    atomic { tell(0); j = 0 }
    atomic { tell(1); j = 0 }
#if SHARDS > 2
    atomic { tell(2); j = 0 }
#endif
}

/* The kernel executes what was handed to it before the enter returns. */
inline submit_to(peer_)
{
    if
    :: to_wake & BIT(peer_) ->
        target_is_there = !left[peer_];
        assert(target_is_there); /* E2 */
        if
        :: woken[peer_] = 1
        :: failures > 0 -> failures--; failed = failed | BIT(peer_)
        fi;
        to_wake = to_wake & ~BIT(peer_)
    :: else
    fi
}

/* Within an atomic. */
inline submit()
{
    submit_to(0);
    submit_to(1);
#if SHARDS > 2
    submit_to(2);
#endif
    j = 0
}

/* Completions of wakes that failed. Within an atomic. */
inline read_errors()
{
    woken[0] = woken[0] | (failed & 1);
    woken[1] = woken[1] | ((failed & 2) / 2);
#if SHARDS > 2
    woken[2] = woken[2] | ((failed & 4) / 4);
#endif
    failed = 0
}

inline publish_replies(peer_)
{
    atomic {
        replies_published[peer_] = replied[peer_];
        store_release(REPLY_TAIL(me, peer_), replied[peer_])
    }
    ring(peer_)
}

#define UNSENT(peer) (sent[peer] != published[peer])
#define UNREPLIED(peer) (replied[peer] != replies_published[peer])

inline flush()
{
    do
    :: atomic {
        if
        :: UNSENT(0) -> j = 0
        :: UNSENT(1) -> j = 1
#if SHARDS > 2
        :: UNSENT(2) -> j = 2
#endif
        fi;
        published[j] = sent[j];
        store_release(TAIL(me, j), sent[j]) }
        ring(j)
    :: atomic {
        if
        :: UNREPLIED(0) -> j = 0
        :: UNREPLIED(1) -> j = 1
#if SHARDS > 2
        :: UNREPLIED(2) -> j = 2
#endif
        fi }
        publish_replies(j)
    :: else -> break
    od;
    j = 0
}

inline add_one(counter)
{
    atomic { fetch_add(counter, 1, old); is_last = (old == SHARDS - 1); old = 0 }
}

inline ack()
{
    acked = 1;
#ifdef MUTANT_ACK_FIRST
    add_one(ACKED);
    flush();
#else
    flush();
    add_one(ACKED);
#endif
    if
    :: is_last ->
        is_last = 0;
#ifndef MUTANT_SILENT_ACK
        tell_all()
#endif
    :: else
    fi
}

inline look_at_state()
{
    atomic { load(STATE, old); stops = (old != 0); ok = (old >= DRAINING && !acked); old = 0 }
    if
    :: atomic { ok -> ok = 0 } ack()
    :: else
    fi;
    atomic { load(ARRIVED, old); leaves = (arrived && old == SHARDS); old = 0 }
}

inline ring_back(want, whose)
{
    atomic { load(want, old); ok = (old != 0); old = 0 }
    if
    :: atomic { ok -> ok = 0; store(want, 0) } ring(whose)
    :: else
    fi
}

inline take_requests(peer_)
{
    atomic {
        load(TAIL(peer_, me), old);
        do
        :: taken[peer_] != old ->
            if
            :: calls[peer_].to[me] & (1 << taken[peer_]) -> functions[peer_]++
            :: else -> posts++
            fi;
            taken[peer_]++
        :: else -> break
        od;
        old = 0
    }
    ring_back(WANT(peer_, me), peer_)
}

inline send_late(peer_)
{
    atomic {
        load(REPLY_HEAD(me, peer_), old);
        if
        :: late[peer_] > 0 && replied[peer_] == old ->
            late[peer_]--;
            replied[peer_]++
        :: else
        fi;
        old = 0
    }
}

/* As often as the requester rings while a reply waits. */
inline serve_late(peer_)
{
    send_late(peer_);
    if
    :: late[peer_] > 0 ->
        if
        :: UNREPLIED(peer_) -> publish_replies(peer_)
        :: else
        fi;
        store(REPLY_WANT(me, peer_), 1);
        ring(peer_);
        send_late(peer_)
    :: else
    fi
}

inline take_replies(peer_)
{
    atomic {
        load(REPLY_TAIL(peer_, me), old);
        callers = callers - (old - replies_taken[peer_]);
        at_work = at_work - (old - replies_taken[peer_]);
        replies_taken[peer_] = old;
        store_release(REPLY_HEAD(peer_, me), old);
        old = 0
    }
    ring_back(REPLY_WANT(peer_, me), peer_)
}

inline look(peer_)
{
    take_requests(peer_);
    if
    :: late[peer_] > 0 -> serve_late(peer_)
    :: else
    fi;
    take_replies(peer_)
}

inline take()
{
    do
    :: atomic { bits & CONTROL -> bits = bits & ~CONTROL } look_at_state()
    :: atomic { bits != 0 && !(bits & CONTROL) ->
        if
        :: bits & 1 -> j = 0
        :: bits & 2 -> j = 1
#if SHARDS > 2
        :: bits & 4 -> j = 2
#endif
        fi;
        bits = bits & ~BIT(j) }
        look(j)
    :: else -> break
    od;
    j = 0
}

/* Within an atomic. */
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

#if SHARDS > 2
#define THIRD(what) what[2]
#else
#define THIRD(what) 0
#endif
#define CALLED (functions[0] + functions[1] + THIRD(functions) > 0)
#define LATE (late[0] + late[1] + THIRD(late) > 0)
#define WORKS (posts > 0 || CALLED)
#define ACTIVE (first || callers > 0 || WORKS)
#define FIRST_MAY_RETURN (first && (!patient || stops))

inline return_first()
{
    first = 0;
    add_one(RETURNED);
    if
    :: is_last ->
        is_last = 0;
        atomic { fetch_or(STATE, DRAINING, old); again = again | CONTROL; old = 0 }
#ifndef MUTANT_SILENT_RETURN
        tell_all()
#endif
    :: else
    fi
}

/* Whatever tasks may do in a turn, once or more often. */
inline run_tasks()
{
    do
    :: FIRST_MAY_RETURN -> return_first()
    :: atomic { !acked && (first || WORKS) && messages > 0 ->
        messages--;
        pick_peer();
        if
        :: calls[me].to[j] = calls[me].to[j] | (1 << sent[j]); callers++
        :: skip
        fi;
        target_is_there = !left[j];
        assert(target_is_there); /* E2 */
        sent[j]++;
        at_work++;
        j = 0 }
    :: atomic { !acked && (first || WORKS) && asks > 0 -> pick_peer(); asks-- }
        store(WANT(me, j), 1);
        ring(j);
        j = 0
    :: atomic { posts > 0 -> posts--; at_work-- }
    :: atomic { CALLED ->
        if
        :: functions[0] > 0 -> j = 0
        :: functions[1] > 0 -> j = 1
#if SHARDS > 2
        :: functions[2] > 0 -> j = 2
#endif
        fi;
        functions[j]--;
        late[j]++;
        again = again | BIT(j);
        j = 0 }
    :: break
    od
}

#ifdef MUTANT_WITHOUT_ACKS
#define ALL_ACKED true
#else
#define ALL_ACKED (old == SHARDS)
#endif
#ifdef MUTANT_FORGET_LATE
#define QUIET (!ACTIVE)
#else
#define QUIET (!ACTIVE && !LATE)
#endif

inline look_at_all_rings()
{
    do
    :: atomic { j < SHARDS && j != me } take_requests(j); j++
    :: atomic { j < SHARDS && j == me -> j++ }
    :: j == SHARDS -> break
    od;
    j = 0
}

inline arrive()
{
    arrived = 1;
    add_one(ARRIVED);
#ifdef MUTANT_LEAVE_ON_ARRIVAL
    leaves = 1;
#endif
    if
    :: is_last ->
        is_last = 0;
        leaves = 1;
#ifndef MUTANT_SILENT_ARRIVAL
        tell_all()
#endif
    :: else
    fi
}

/* What is quiet publishes its last replies, and hands its last wakes to the kernel. */
inline arrive_if_quiet()
{
#ifndef MUTANT_NO_LAST_LOOK
    look_at_all_rings();
#endif
    if
    :: QUIET ->
        flush();
#ifndef MUTANT_WAKES_UNSUBMITTED
        atomic { submit(); j = 0 }
#endif
        if
#ifdef MUTANT_ERRORS_UNREAD
        :: true -> arrive()
#else
        :: failed == 0 -> arrive()
        :: else
#endif
        fi
    :: else
    fi
}

proctype shard(byte me)
{
    byte sent[SHARDS];     /* requests, to */
    byte published[SHARDS];
    byte taken[SHARDS];    /* requests, from */
    byte functions[SHARDS]; /* calls at work, for */
    byte late[SHARDS];     /* replies that wait for room, to */
    byte replied[SHARDS];
    byte replies_published[SHARDS];
    byte replies_taken[SHARDS];
    byte old, j, bits;
    byte again;            /* what it looks at in the next turn, rung or not */
    byte to_wake, failed;  /* shards: wakes not handed to the kernel, errors not read */
    byte posts, callers;   /* tasks that run a post's function, that wait for a reply */
    bool first, patient;   /* the first task lives; waits for the stop */
    bool stops, acked, arrived, leaves;
    bool ok, is_last;

    atomic {
        first = 1;
        patient = (STOP && me == 0)
    }
    do
    ::
        atomic {
            exchange(DOOR(me), 0, old);
            bits = (old & ~SLEEPING) | again;
            old = 0;
            again = 0
        }
        take();
        if
        :: leaves -> break
        :: else
        fi;
        if
        :: atomic { failed != 0 -> read_errors() }
        :: else
        fi;
        run_tasks();
        if
        :: atomic { acked && !arrived && !ACTIVE -> load(ACKED, old); ok = ALL_ACKED; old = 0 }
            if
            :: atomic { ok -> ok = 0 } arrive_if_quiet()
            :: else
            fi
        :: else
        fi;
        if
        :: leaves -> break
        :: again & CONTROL /* the turn has not ended */
        :: else ->
            flush();
            atomic {
                submit();
                if
                :: failed == 0 && again == 0 -> compare_and_swap(DOOR(me), 0, SLEEPING, ok)
                :: else
                fi;
                j = 0
            }
            if
            :: atomic { ok -> ok = 0 }
end_asleep:
                if
                :: atomic { woken[me] -> woken[me] = 0 }
                :: FIRST_MAY_RETURN || WORKS /* an event of their own */
                fi
            :: else
            fi
        fi
    od;
    atomic {
        nothing_is_under_way = (at_work == 0);
        assert(nothing_is_under_way); /* E1 */
        left[me] = 1
    }
}

proctype stopper(byte me)
{
    byte old, j;

    atomic { fetch_or(STATE, STOPPING, old); old = 0 }
    tell_all()
}

init {
    byte n;

    atomic {
        do
        :: n < SHARDS -> run shard(n); n++
        :: else -> break
        od;
        n = 0;
        if
        :: STOP -> run stopper(SHARDS)
        :: else
        fi
    }
    timeout;
    atomic {
        all_have_left = 1;
        do
        :: n < SHARDS -> all_have_left = all_have_left && left[n]; n++
        :: else -> break
        od;
        assert(all_have_left) /* E3 */
    }
}
