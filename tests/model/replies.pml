/* SPDX-License-Identifier: MIT */
/*
 * Calls that call back: two shards whose rings have one slot never wait for each other for ever.
 *
 * One doorbell bit says: look at everything between us. Requests that came, replies that came,
 * room for my requests, room for my replies. A slot is held until its function has started. A
 * reply without room waits in a list.
 *
 * Proves:
 * B1  When nobody can move, every call was answered, and both shards sleep.
 *
 * Processes: two shards and a judge. A call's function ends at once, or it calls back, to a depth
 * of DEPTH calls, and answers when it was answered. Tasks that wait for
 * replies are not told apart: a reply says how deep its call was, and that says what comes next.
 *
 * Memory is in order here (each step is one access): store buffers are in port_room.pml, whose
 * protocol this is, twice in each direction.
 *
 * Bounds: CALLS0 and CALLS1 first calls of the shards; rings of one slot.
 *
 * Mutants: HOLD_SLOT (a request's slot is held until its function has ended), LATE_UNRUNG (a reply
 * without room waits, and nobody is told), NO_RING_BACK (the requester takes replies, and does not
 * look at want_room), LATE_UNSEEN (a look at all but the replies that wait).
 */
#ifndef CALLS0
#define CALLS0 1
#endif
#ifndef CALLS1
#define CALLS1 1
#endif
#ifndef DEPTH
#define DEPTH 3
#endif

#define PORT 1
#define SLEEPING 2

/* Of the ring that shard c writes. A message is the depth of its call. */
byte requests[2]; /* published, or 0 */
byte replies[2];
bool requests_held[2]; /* taken, the head not published */
bool replies_held[2];
bool want_room[2];
bool want_reply_room[2];
byte door[2];
bool woken[2]; /* a completion that ends a sleep is there */
byte unanswered = CALLS0 + CALLS1;
byte under_way; /* ghost: calls begun and not answered, callbacks too */
bool nothing_stranded;

#define SOME(list) (list[0] + list[1] + list[2] > 0)
/* In any order, more than there is. */
#define TAKE_FROM(list, d) \
    if \
    :: list[0] > 0 -> list[0]--; d = 1 \
    :: list[1] > 0 -> list[1]--; d = 2 \
    :: list[2] > 0 -> list[2]--; d = 3 \
    fi

#define REQUEST_ROOM (request == 0 && requests[me] == 0 && !requests_held[me])
#define REPLY_ROOM (reply == 0 && replies[me] == 0 && !replies_held[me])

inline ring()
{
    atomic {
        if
        :: door[peer] == SLEEPING -> woken[peer] = 1
        :: else
        fi;
        door[peer] = door[peer] | PORT
    }
}

inline ring_back(wants)
{
    if
    :: atomic { wants -> wants = 0 } ring()
    :: else
    fi
}

inline publish_request()
{
    if
    :: atomic { request != 0 -> requests[me] = request; request = 0 } ring()
    :: else
    fi
}

inline publish_reply()
{
    if
    :: atomic { reply != 0 -> replies[me] = reply; reply = 0 } ring()
    :: else
    fi
}

inline ask(wants)
{
    wants = 1;
    ring()
}

inline fill_room()
{
    atomic {
        if
        :: SOME(for_room) && REQUEST_ROOM -> TAKE_FROM(for_room, request)
        :: else
        fi
    }
}

inline serve_waiters()
{
    fill_room();
    if
    :: SOME(for_room) ->
        publish_request();
        ask(want_room[me]);
        fill_room()
    :: else
    fi
}

inline send_late()
{
    atomic {
        if
        :: SOME(late) && REPLY_ROOM -> TAKE_FROM(late, reply)
        :: else
        fi
    }
}

inline serve_late()
{
    send_late();
#ifndef MUTANT_LATE_UNRUNG
    if
    :: SOME(late) ->
        publish_reply();
        ask(want_reply_room[me]);
        send_late()
    :: else
    fi
#endif
}

inline take_replies()
{
    if
    :: atomic { replies[peer] != 0 ->
        answered[replies[peer] - 1]++;
        replies[peer] = 0;
        replies_held[peer] = 1 }
        replies_held[peer] = 0
    :: else
    fi;
#ifndef MUTANT_NO_RING_BACK
    ring_back(want_reply_room[peer])
#endif
}

/* The function of a call, `depth` deep, has ended. */
inline answer()
{
    if
    :: atomic { !SOME(late) && REPLY_ROOM -> reply = depth }
    :: atomic { SOME(late) -> late[depth - 1]++ }
    :: atomic { !SOME(late) && !REPLY_ROOM -> late[depth - 1]++ } serve_late()
    fi;
#ifdef MUTANT_HOLD_SLOT
    requests_held[peer] = 0;
    ring_back(want_room[peer]);
#endif
    depth = 0
}

inline call(how_deep)
{
    atomic { under_way++; depth = how_deep }
    if
    :: atomic { !SOME(for_room) && REQUEST_ROOM -> request = depth; depth = 0 }
    :: atomic { SOME(for_room) || !REQUEST_ROOM -> for_room[depth - 1]++; depth = 0 }
        serve_waiters()
    fi
}

/* One request, or the end of the ring. */
inline serve_request()
{
    if
    :: atomic { requests[peer] != 0 ->
        depth = requests[peer];
        requests[peer] = 0;
        requests_held[peer] = 1 }
        if
        :: answer()
        :: depth < DEPTH -> call(depth + 1)
        fi
    :: else ->
        works = 0;
#ifndef MUTANT_HOLD_SLOT
        requests_held[peer] = 0;
        ring_back(want_room[peer])
#endif
    fi
}

inline run_tasks()
{
    do
    :: firsts > 0 -> firsts--; call(1)
    :: works -> serve_request()
    :: atomic { SOME(answered) -> TAKE_FROM(answered, depth); under_way--; depth-- }
        if
        :: atomic { depth == 0 -> unanswered-- } /* a first call */
        :: depth > 0 -> answer() /* it was made by the function of a call, which ends */
        fi
    :: break
    od
}

proctype shard(byte me; byte peer; byte firsts)
{
    byte request, reply; /* slots written and not published, or 0 */
    byte depth;
    bool works, rung;
    byte for_room[3]; /* tasks and replies that wait, and replies that came, by depth - 1 */
    byte late[3];
    byte answered[3];

    do
    ::
        atomic { rung = (door[me] & PORT); door[me] = 0 }
        if
        :: atomic { rung -> rung = 0; works = 1 }
#ifndef MUTANT_LATE_UNSEEN
            if
            :: SOME(late) -> serve_late()
            :: else
            fi;
#endif
            take_replies();
            serve_waiters()
        :: else
        fi;
        run_tasks();
        publish_request();
        publish_reply();
        if
        :: atomic { firsts == 0 && !works && !SOME(answered) && door[me] == 0 ->
            door[me] = SLEEPING }
end_asleep:
            atomic { woken[me] -> woken[me] = 0 }
        :: else
        fi
    od
}

init {
    atomic {
        run shard(0, 1, CALLS0);
        run shard(1, 0, CALLS1)
    }
    timeout;
    atomic {
        nothing_stranded = (unanswered == 0 && under_way == 0 &&
            door[0] == SLEEPING && door[1] == SLEEPING);
        assert(nothing_stranded) /* B1 */
    }
}
