/* SPDX-License-Identifier: MIT */
/*
 * Cancelling a call: exactly one side acts, and no memory is touched after its frame is gone.
 *
 * The caller's record has one word. The caller that wants an end does fetch_or(CANCEL). The callee
 * does fetch_or(STARTED | slot), and only when its function first suspends. Who finds the bit of
 * the other acts: the caller sets the callee's bit in the wake map, the callee cancels its task.
 *
 * Proves:
 * K1  If both did their part, exactly one found the other's bit.
 * K2  A caller that cancels gets its answer, also when the function would wait for ever.
 * K3  The callee touches the record only while the caller's frame lives.
 * K4  A caller that acts knows the slot.
 *
 * Processes: a caller, a callee, a stranger whose old wake for the same slot comes at any time,
 * the memory, a judge. The start of the call is given, the answer is one store, the
 * wake map is one bit: doorbell.pml, port_room.pml and wake_map.pml prove those.
 *
 * Bounds: one call, whose function never suspends, or suspends until an event comes, or for ever.
 *
 * Mutants: CALLER_SPLIT, CALLEE_SPLIT (a fetch_or as load and store), BLIND_WAKE (a callee woken
 * through the map does not read the record), STARTED_AFTER_ANSWER.
 */
#define CPUS 3
#define RECORD 0
#define ANSWER 1
#define MAP 2 /* the callee's bit in the wake map of its shard */
#define CELLS 3
#include "memory.pml"

#define CANCEL 1
#define STARTED 2
#define SLOT 3
#define IN_WORD(slot) ((slot) * 4)

bool caller_did, callee_did;
bool caller_acts, callee_acts;
bool frame_gone;
bool one_acts;
bool slot_is_right;
bool no_answer_is_owed;

active proctype caller()
{
    byte me = 0;
    byte old;

    if
    :: skip /* no deadline, no cancel */
    ::
#ifdef MUTANT_CALLER_SPLIT
        load(RECORD, old);
        atomic { store(RECORD, old | CANCEL); caller_did = 1 }
#else
        atomic { fetch_or(RECORD, CANCEL, old); caller_did = 1 }
#endif
        if
        :: old & STARTED ->
            slot_is_right = (old == (STARTED | IN_WORD(SLOT)));
            assert(slot_is_right); /* K4 */
            caller_acts = 1;
            /* A release, so who finds the bit finds CANCEL too. */
            fetch_or(MAP, 1, old)
        :: else
        fi
    fi;
end_unanswered: /* right when nobody cancels a function that waits for ever; else see K2 */
    memory[ANSWER] == 1;
    frame_gone = 1
}

active proctype callee()
{
    byte me = 1;
    byte old;
    bool may_end;

    if
    :: may_end = 1
    :: skip
    fi;
    if
    :: may_end /* it never suspends, and touches the record only to answer */
    :: skip;
#ifndef MUTANT_STARTED_AFTER_ANSWER
#ifdef MUTANT_CALLEE_SPLIT
        load(RECORD, old);
        atomic {
            store(RECORD, old | STARTED | IN_WORD(SLOT));
            callee_did = 1;
            callee_acts = ((old & CANCEL) != 0)
        }
#else
        atomic {
            assert(!frame_gone); /* K3 */
            fetch_or(RECORD, STARTED | IN_WORD(SLOT), old);
            callee_did = 1;
            callee_acts = ((old & CANCEL) != 0)
        }
#endif
#endif
end_suspended:
        do
        :: callee_acts -> break
        :: may_end -> break /* the event that the function waits for */
        :: atomic { !callee_acts && memory[MAP] != 0 -> exchange(MAP, 0, old) }
#ifndef MUTANT_BLIND_WAKE
            atomic { assert(!frame_gone); load(RECORD, old) } /* K3 */
            if
            :: old & CANCEL -> break
            :: else /* a stale wake: the wait goes on */
            fi
#endif
        od
    fi;
    atomic { assert(!frame_gone); store_release(ANSWER, 1) } /* K3 */
#ifdef MUTANT_STARTED_AFTER_ANSWER
    atomic { assert(!frame_gone); fetch_or(RECORD, STARTED | IN_WORD(SLOT), old) }
#endif
    skip
}

active proctype stranger()
{
    byte me = 2;
    byte old;

    if
    :: fetch_or(MAP, 1, old)
    :: skip
    fi
}

active proctype judge()
{
    timeout;
    atomic {
        one_acts = (!caller_did || !callee_did || caller_acts != callee_acts);
        assert(one_acts); /* K1 */
        no_answer_is_owed = (frame_gone || !caller_did);
        assert(no_answer_is_owed) /* K2 */
    }
}
