#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Puts mistakes into the runtime, one at a time, and demands that the explorer finds each.

Those in the scheduler and in slices are for other tests to find, which own time but not order.

    tests/explore/mutants.py --build build/dev               every mutant, some 20 s on 2 cores
    tests/explore/mutants.py --build build/dev --list        their names
    tests/explore/mutants.py --build build/dev --only NAME   those whose name contains NAME

A mutant is a text of one source and what stands there instead. The source is compiled as it was
for rt_testing, and linked before it into the test, whose program must then fail. That the text
is there exactly once is demanded too: who changes the source changes the mutant. That of a header
is put into each source that includes it.

First each test is linked in the same way with the sources as they are, and must pass. Exit status
1 when one of this is not so.
"""
import argparse
import glob
import json
import os
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from typing import Dict, List, NamedTuple, Sequence, Tuple

SECONDS_MAX = 60  # of one command; an exploration ends itself before that


class Mutant(NamedTuple):
    name: str     # what is wrong
    source: str   # under runtime/
    text: str
    instead: str
    test: str     # under tests/explore/, or a path under tests/
    program: str  # of it, that must fail; of a test that is no explorer, what it must print


SCHED = "unit/core/sched_property_test"
DISK = "unit/io/disk_property_test"
DISK_SHARE = "unit/io/disk_share_test"
DISK_DEPTH = "unit/io/disk_depth_test"
RACE = "sim/service_race_test"
IOPOLL = "sim/iopoll_test"
REFUSED = "sim/iopoll_refused_test"

MUTANTS: Tuple[Mutant, ...] = (
    # The state word and generations
    Mutant("a wake while the task runs is lost", "core/task.c",
           "    task->state = state | RTI_TASK_SCHEDULED;\n",
           "    task->state = waits ? state | RTI_TASK_SCHEDULED : state;\n",
           "task_test", "wakes"),
    Mutant("a wake puts a task into its queue twice", "core/task.c",
           "(RTI_TASK_SCHEDULED | RTI_TASK_COMPLETED | RTI_TASK_CLOSED)) != 0) {\n"
           "        return;",
           "(RTI_TASK_COMPLETED | RTI_TASK_CLOSED)) != 0) {\n        return;",
           "task_test", "wakes"),
    Mutant("a suspension clears SCHEDULED", "core/run.h",
           "next_task(executor);\n\n    task->state &= ~(uint32_t)RTI_TASK_RUNNING;\n",
           "next_task(executor);\n\n"
           "    task->state &= ~(uint32_t)(RTI_TASK_RUNNING | RTI_TASK_SCHEDULED);\n",
           "task_test", "wakes"),
    Mutant("a park does not take the wake that came before it", "core/wait.c",
           "(RTI_TASK_CANCEL | RTI_TASK_SCOPED | RTI_TASK_SCHEDULED)) != 0)) {",
           "(RTI_TASK_CANCEL | RTI_TASK_SCOPED)) != 0)) {",
           "task_test", "wakes"),
    Mutant("a bare wake ends any wait", "core/wait.c",
           "    while (!waiter->done) { /* Q2 */\n"
           "        rti_suspend(executor, waiter->task);\n    }",
           "    (void)executor;\n    (void)waiter;",
           "task_test", "sleep"),
    Mutant("a finish does not wake", "core/wait.c",
           "            rti_task_wake(waiter->task);\n",
           "            (void)waiter;\n",
           "task_test", "join"),
    Mutant("a wake of an old generation is accepted", "cross/wake_map.c",
           "} else if (task->generation == waker.generation) {",
           "} else {",
           "task_test", "generations"),
    Mutant("the generation does not rise when a slot is freed", "core/task.c",
           "    task->generation++;\n",
           "",
           "task_test", "generations"),
    Mutant("a task that is detached after its end keeps its slot", "core/task.c",
           "    task->state &= ~(uint32_t)RTI_TASK_HANDLE;\n"
           "    if ((task->state & RTI_TASK_COMPLETED) != 0) {\n"
           "        rti_task_free(task);\n    }",
           "    task->state &= ~(uint32_t)RTI_TASK_HANDLE;",
           "task_test", "detach"),
    Mutant("a task frees its slot though a handle is left", "core/task.c",
           "    if ((task->state & RTI_TASK_HANDLE) == 0) {\n        rti_task_free(task);",
           "    {\n        rti_task_free(task);",
           "task_test", "detach"),

    # Calls: sets, deadlines that go along, and rings of waits
    Mutant("a set of calls asks only its first part to end", "cross/call_each.c",
           "for (uint32_t i = 0; i < set->count; i++) {\n        if (set->parts",
           "for (uint32_t i = 0; i < 1; i++) {\n        if (set->parts",
           "unit/cross/call_each_test", "all threads wait, and nothing is due"),
    Mutant("a function is not in a scope of its caller's deadline", "cross/serve.c",
           "if (RTI_LIKELY(!rti_terms_have_deadline(request->terms))) {",
           "if (true) {",
           "sim/call_deadline_test", "check failed: is_that(seen, deadline, STEP)"),
    Mutant("a function whose time is over is run", "cross/serve.c",
           "    if (deadline <= executor->turn_time) { /*",
           "    if (deadline < 0) { /*",
           "sim/call_deadline_test", "check failed: runs == 0"),
    Mutant("a scope is not told that it ended a call elsewhere", "cross/call.c",
           "reason != 0 ? reason : rti_scope_ended_elsewhere(rti_current->running, deadline);",
           "deadline == 0 ? reason : -ETIME;",
           "sim/call_deadline_test", "check failed: rt_scope_leave(&scope) == -ETIME"),
    Mutant("waits that began after the dump was asked for are linked", "core/cycle.c",
           " || waiter->since > asked)",
           " || asked < 0)",
           "sim/wait_cycle_test", "check failed: links_asked_for(0) == 0"),
    Mutant("a ring is told that was there at one look only", "core/cycle.c",
           "is_sure = is_sure && link->again; /* Y3 */",
           "is_sure = is_sure || link->again;",
           "unit/core/cycle_tell_test", "error: Failure!"),
    Mutant("a wait counts as the one before though it has begun anew", "core/cycle.c",
           "a->since == b->since && ",
           "",
           "unit/core/cycle_tell_test", "error: Failure!"),
    Mutant("a ring is told at each look", "core/cycle.c",
           "            link->told = before->told;\n",
           "",
           "unit/core/cycle_tell_test", "error: Failure!"),
    Mutant("the watch does not know that tasks have run", "core/run.c",
           "__atomic_store_n(&executor->ran_in, executor->turns, __ATOMIC_RELAXED); /* Y4 */",
           "(void)executor;",
           "sim/wait_cycle_test", "check failed: count_of(who) == is_in_ring(i)"),
    Mutant("a task that ran in the turn of the answer is overlooked", "shard/cycles.c",
           "__atomic_load_n(&executor->ran_in, __ATOMIC_RELAXED) >=",
           "__atomic_load_n(&executor->ran_in, __ATOMIC_RELAXED) >",
           "sim/wait_cycle_test", "check failed: count_of(who) == is_in_ring(i)"),
    Mutant("a shard that sleeps is asked at each look", "shard/cycles.c",
           "        shard->asked = has_worked(runtime, i);\n",
           "        shard->asked = true;\n",
           "sim/wait_cycle_test", "check failed: turns_now() - turns < IDLE_LOOKS / 4"),

    # Cancel, join and deadline
    Mutant("a run clears CANCEL", "core/run.h",
           "task->state = (task->state & ~(uint32_t)RTI_TASK_SCHEDULED) | RTI_TASK_RUNNING;",
           "task->state = (task->state & ~(uint32_t)(RTI_TASK_SCHEDULED | RTI_TASK_CANCEL)) |\n"
           "                  RTI_TASK_RUNNING;",
           "task_test", "join"),
    Mutant("an aborted join stays the awaiter", "core/wait.c",
           "    ((struct rt_task *)waiter->object)->awaiter = NULL;\n",
           "    (void)waiter;\n",
           "task_test", "join"),
    Mutant("a wait is finished twice", "core/wait.c",
           "if (!waiter->done && waiter->reason == 0) {",
           "if (waiter->reason == 0) {",
           "task_test", "join"),
    Mutant("the last reason counts", "core/wait.c",
           "if (!waiter->done && waiter->reason == 0) {",
           "if (!waiter->done) {",
           "task_test", "operation"),
    Mutant("a wait that has ended leaves its timer", "core/wait.c",
           "    rti_timer_disarm(&executor->wheel, &waiter->timer);\n    task->waiter = NULL;",
           "    task->waiter = NULL;",
           "task_test", "join"),
    Mutant("a cancelled task begins a wait", "core/wait.c",
           "    rti_yield_if_due();\n    return -ECANCELED;\n",
           "    rti_yield_if_due();\n    return 0;\n",
           "task_test", "operation"),
    Mutant("leaving a group does not wait for those it has cancelled", "core/group.c",
           "            (void)await_empty(group, RT_NEVER);\n",
           "",
           "task_test", "group"),

    Mutant("a place in a group that was promised is given twice", "core/group.c",
           "group->live + group->granted < group->tasks_max;",
           "group->live < group->tasks_max;",
           "group_test", "group with a limit"),
    Mutant("a promise in a group that is not used is lost", "core/group.c",
           "        group->granted--;\n        place_came_free(group);\n",
           "        group->granted--;\n",
           "group_test", "group with a limit"),
    Mutant("leaving a group leaves who waits for room", "core/group.c",
           "    turn_away(group, -ESHUTDOWN);\n",
           "",
           "group_test", "group with a limit"),

    # Operations
    Mutant("an operation is let go before its completion", "core/op.c",
           "    if (rti_list_is_empty(&op->link)) {\n"
           "        rti_reactor_cancel(&executor->reactor, op);\n    }\n",
           "    rti_waiter_finish(waiter, reason);\n    return;\n",
           "task_test", "operation"),
    Mutant("a result that comes after a cancel is dropped", "core/op.c",
           "if (waiter->reason != 0 && (result == -ECANCELED || result == -EINTR)) {",
           "if (waiter->reason != 0) {",
           "task_test", "operation"),

    # Scopes
    Mutant("a shield holds nothing off", "core/scope.c",
           "                shielded = later(shielded, scope->deadline);\n",
           "",
           "scope_test", "shield"),
    Mutant("the cancel of a scope does not reach the wait inside", "core/scope.c",
           "    scope->cancelled = 1;\n    rti_scope_review(scope->task);",
           "    scope->cancelled = 1;",
           "scope_test", "scope"),
    Mutant("a scope takes the cancel of the task for its own", "core/scope.c",
           "        ask(&end, shielded, -ECANCELED, NULL);",
           "        ask(&end, shielded, -ECANCELED, task->scope);",
           "scope_test", "scope"),

    # Futures
    Mutant("a future is dropped before its operation has completed", "core/future.c",
           "    if (task->waiter != NULL) {\n        rti_future_run_ended(task); /* the",
           "    task->waiter = NULL;\n"
           "    if (task->waiter != NULL) {\n        rti_future_run_ended(task); /* the",
           "future_test", "future"),
    Mutant("a future that is done does not await what it has begun", "core/future.c",
           "        open = waiter->done ? open : waiter;\n",
           "        open = waiter->done ? open : waiter;\n        break;\n",
           "future_test", "race"),
    Mutant("a cancelled future is polled again", "core/future.c",
           "if (RTI_UNLIKELY((task->state & (RTI_TASK_ENDING | RTI_TASK_CANCEL)) != 0)) {",
           "if (RTI_UNLIKELY((task->state & RTI_TASK_ENDING) != 0)) {",
           "future_test", "future"),
    Mutant("a future is polled after its result", "core/future.c",
           "if (RTI_UNLIKELY((task->state & (RTI_TASK_ENDING | RTI_TASK_CANCEL)) != 0)) {",
           "if (RTI_UNLIKELY((task->state & RTI_TASK_CANCEL) != 0)) {",
           "future_test", "race"),
    Mutant("an awaited future is dropped before its operation has completed", "core/future.c",
           "    while (end_waits(*begun) != NULL) {\n"
           "        rti_future_park_exempt(future);\n    }",
           "    (void)end_waits(*begun);",
           "future_test", "await"),
    Mutant("a wait of a future that is done wakes nobody", "core/future.c",
           "    rti_task_wake_by_waker(waiter->task);\n",
           "",
           "future_test", "future"),
    Mutant("a join of a future that is over holds the handle", "core/wait.c",
           ".leave = join_leave, .ended = join_leave, .whom = join_whom\n",
           ".leave = join_leave, .whom = join_whom\n",
           "future_test", "future joins"),

    # Select
    Mutant("a select lets two win", "core/select.c",
           "    if (select->winner < 0 && (leg->reason == 0 || leg->result != leg->reason)) {",
           "    if (leg->reason == 0 || leg->result != leg->reason) {",
           "select_test", "select of readiness"),
    Mutant("a case wins after the select was cancelled", "core/select.c",
           "    if (select->winner < 0 && (leg->reason == 0 || leg->result != leg->reason)) {",
           "    if (select->winner < 0) {",
           "select_test", "select of readiness"),
    Mutant("the losers of a select stay linked", "core/select.c",
           "        self->result = leg->result;\n        end_legs(select, -ECANCELED);\n",
           "        self->result = leg->result;\n",
           "select_test", "select"),
    Mutant("a select returns while the kernel has a leg of it", "core/select.c",
           "    if (--select->open == 0) {",
           "    --select->open;\n"
           "    if (!select->waiter.done && (select->open == 0 || select->winner >= 0)) {",
           "select_test", "select of readiness"),
    Mutant("a select that has won does not take its join", "core/select.c",
           "    if (won >= 0 && ops_of(&cases[won])->taken != NULL) {",
           "    if (false) {",
           "select_test", "select"),

    # Locks
    Mutant("a grant is lost when a cancel comes after it", "core/wait.c",
           "    if (!waiter->done && waiter->reason == 0) { /* Q3, and the first reason counts */"
           "\n",
           "    if (waiter->done) {\n        waiter->result = reason;\n"
           "    } else if (waiter->reason == 0) {\n",
           "lock_test", "mutex"),
    Mutant("an unlock frees the mutex that it has handed over", "sync/mutex.c",
           "    mutex->owner = oldest->waiter.task; /* M2 */\n",
           "    mutex->owner = NULL;\n",
           "lock_test", "mutex"),
    Mutant("who gives up a lock stays in line", "sync/mutex.c",
           "    rti_waiters_remove(&((struct rt_mutex *)waiter->object)->waiters, "
           "rti_queued_of(waiter));\n",
           "",
           "lock_test", "mutex"),
    Mutant("a reader barges past a writer that waits", "sync/rwlock.c",
           "if (RTI_UNLIKELY(lock->writer != NULL || !rti_waiters_is_empty(&lock->waiters))) {",
           "if (RTI_UNLIKELY(lock->writer != NULL)) {",
           "lock_test", "rwlock"),
    Mutant("a writer that gives up does not let the readers behind it in", "sync/rwlock.c",
           "    rti_waiter_finish(waiter, reason);\n    grant(lock); /* R2 */\n",
           "    rti_waiter_finish(waiter, reason);\n",
           "lock_test", "rwlock"),
    Mutant("small requests eat up what a large one waits for", "sync/semaphore.c",
           "units - 1 >= semaphore->units || /* so also for 0, which wraps around */\n"
           "                     !rti_waiters_is_empty(&semaphore->waiters))) { /* P2 */",
           "units - 1 >= semaphore->units)) {",
           "lock_test", "semaphore"),
    Mutant("who gives up a semaphore does not let others have what it left", "sync/semaphore.c",
           "    rti_waiter_finish(waiter, reason);\n    give(semaphore); /* P1 */\n",
           "    rti_waiter_finish(waiter, reason);\n",
           "lock_test", "semaphore"),
    Mutant("a closed semaphore still gives", "sync/semaphore.c",
           "    if (RTI_UNLIKELY(semaphore->closed != 0)) {\n        return; /* P3 */\n    }\n",
           "",
           "lock_test", "semaphore that is closed"),
    Mutant("a condition lets go without its mutex", "sync/condition.c",
           "    (void)reason; /* the waiter has it */\n"
           "    rti_waiters_remove(&((struct rt_condition *)waiter->object)->waiters, self);\n"
           "    back_to_mutex(self);\n",
           "    rti_waiters_remove(&((struct rt_condition *)waiter->object)->waiters, self);\n"
           "    rti_waiter_finish(waiter, reason);\n",
           "sync_test", "condition"),
    Mutant("a cancel ends the way back from a condition to its mutex", "sync/mutex.c",
           "    waiter->mode = RTI_WAIT_EXEMPT;\n",
           "",
           "sync_test", "condition"),
    Mutant("an event that is set wakes nobody", "sync/event.c",
           "    rti_line_let_all_go(&event->waiters, 0);\n",
           "",
           "sync_test", "event"),
    Mutant("the last who leaves a gate does not say so", "sync/gate.c",
           "        rti_line_let_all_go(&gate->waiters, 0);\n",
           "",
           "sync_test", "gate"),
    Mutant("two run what is to be run once", "sync/once.c",
           "    once->runner = oldest != NULL ? oldest->waiter.task : NULL;\n",
           "    once->runner = NULL;\n",
           "sync_test", "once"),

    # Channels and oneshots
    Mutant("a receiver that has given up stays in line, and gets an item", "sync/channel.c",
           "    rti_waiters_remove(&((struct rt_chan *)waiter->object)->receivers, "
           "rti_queued_of(waiter));\n",
           "",
           "channel_test", "empty channel"),
    Mutant("a sender that has given up stays in line", "sync/channel.c",
           "    rti_waiters_remove(&((struct rt_chan *)waiter->object)->senders, "
           "rti_queued_of(waiter));\n",
           "",
           "channel_test", "full channel"),
    Mutant("a channel with room again does not let a sender in", "sync/channel.c",
           "    if (!rti_waiters_is_empty(&chan->senders)) {\n"
           "        let_sender_in(chan);\n    }\n",
           "",
           "channel_test", "full channel"),
    Mutant("an item passes a receiver that waits", "sync/channel.c",
           "chan->item_bytes != NUMBER_BYTES ||\n"
           "                     !rti_waiters_is_empty(&chan->receivers))) {",
           "chan->item_bytes != NUMBER_BYTES)) {",
           "channel_test", "empty channel"),
    Mutant("a receive passes a sender that waits", "sync/channel.c",
           "chan->item_bytes != NUMBER_BYTES ||\n"
           "                     !rti_waiters_is_empty(&chan->senders))) {",
           "chan->item_bytes != NUMBER_BYTES)) {",
           "channel_test", "full channel"),
    Mutant("a close leaves receivers waiting", "sync/channel.c",
           "    send_all_away(&chan->receivers); /* H1: it is empty then */\n",
           "",
           "channel_test", "close"),
    Mutant("an item that is handed over is not copied", "sync/channel.c",
           "    copy(rti_placed_of(receiver)->item, item, chan->item_bytes);\n",
           "    (void)item;\n",
           "select_test", "select of channels"),
    Mutant("a receiver of a oneshot that has given up is still sent to", "sync/oneshot.c",
           "    ((struct rt_oneshot *)waiter->object)->waiter = NULL;\n",
           "",
           "oneshot_test", "oneshot"),
    Mutant("the close of a oneshot wakes nobody", "sync/oneshot.c",
           "    if (receiver != NULL) {\n"
           "        rti_waiter_finish(&receiver->waiter, -EPIPE);\n    }\n",
           "    (void)receiver;\n",
           "oneshot_test", "oneshot"),

    # Between threads
    Mutant("the bits above are set before the task's", "cross/wake_map.c",
           "    if ((__atomic_fetch_or(wakes, bit, __ATOMIC_ACQ_REL) & bit) != 0) {\n"
           "        return false;\n    }\n",
           "    __atomic_fetch_or(&map->level[word / 64], 1ull << (word % 64), __ATOMIC_ACQ_REL);\n"
           "    __atomic_fetch_or(&map->top[word / 64 / 64], 1ull << (word / 64 % 64),\n"
           "                      __ATOMIC_ACQ_REL);\n"
           "    return (__atomic_fetch_or(wakes, bit, __ATOMIC_ACQ_REL) & bit) == 0;\n",
           "wake_test", "wakes from threads"),
    Mutant("the doorbell is rung before the bit is set", "cross/wake_map.c",
           "    if (!rti_wake_map_set(&target->wake_map, task)) {\n        return;\n    }\n",
           "    rti_mesh_ring_control(NULL, target);\n"
           "    rti_wake_map_set(&target->wake_map, task);\n    return;\n",
           "wake_test", "wakes from threads"),
    Mutant("the owner takes one bit of a word and drops the others", "cross/wake_map.c",
           "        rti_task_wake_by_waker(task);\n        bits &= bits - 1;",
           "        rti_task_wake_by_waker(task);\n        bits = 0;",
           "wake_test", "wakes from threads"),
    Mutant("who goes to sleep overwrites a ring", "cross/doorbell.c",
           "            !__atomic_compare_exchange_n(&doorbell->words[i].bits, &nothing,"
           " RTI_DOORBELL_SLEEPS,\n"
           "                                         false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {",
           "            (__atomic_store_n(&doorbell->words[i].bits, RTI_DOORBELL_SLEEPS,\n"
           "                              __ATOMIC_RELEASE), false)) {",
           "wake_test", "doorbell"),
    Mutant("what is taken back is forgotten", "cross/doorbell.c",
           "        doorbell->pending[i] = rti_doorbell_take(doorbell, i);",
           "        (void)rti_doorbell_take(doorbell, i);",
           "wake_test", "doorbell of two"),

    Mutant("a source is rested after the last look", "cross/spsc.c",
           "    const uint32_t word = __atomic_fetch_or(&channel->word, ANY_WAITS, "
           "__ATOMIC_ACQ_REL);\n\n    if (rti_ring_readable(&channel->ring, 1) > 0) {",
           "    const uint32_t readable = rti_ring_readable(&channel->ring, 1);\n"
           "    const uint32_t word = __atomic_fetch_or(&channel->word, ANY_WAITS, "
           "__ATOMIC_ACQ_REL);\n\n    if (readable > 0) {",
           "mesh_test", "mesh"),
    Mutant("a source rests and nobody is told to ring", "cross/spsc.c",
           "word = __atomic_fetch_or(&channel->word, ANY_WAITS, __ATOMIC_ACQ_REL);",
           "word = __atomic_load_n(&channel->word, __ATOMIC_ACQUIRE);",
           "mesh_test", "mesh"),
    Mutant("what is published rings no inlet", "cross/spsc.c",
           "        const uint32_t old = clear_and_wake(channel, CONSUMER_WAITS | ANY_WAITS,\n",
           "        const uint32_t old = clear_and_wake(channel, CONSUMER_WAITS,\n",
           "mesh_test", "mesh"),
    Mutant("the end of a source rings no inlet", "cross/spsc.c",
           "RECEIVER_GONE, CONSUMER_WAITS | ANY_WAITS,\n",
           "RECEIVER_GONE, CONSUMER_WAITS,\n",
           "mesh_test", "mesh"),
    Mutant("a receiver from any does not say that it sleeps", "cross/channel_mesh.c",
           "    if (!rti_doorbell_try_sleep(&inlet->bell)) { /* H1 */",
           "    if (rti_doorbell_is_rung(&inlet->bell)) { /* H1 */",
           "mesh_test", "mesh"),
    Mutant("who finds the list empty does not ring", "cross/home.c",
           "    return newest == NULL;",
           "    return newest != NULL && newest->next != NULL;",
           "mesh_test", "home"),
    Mutant("the home is rung before the batch is on its list", "cross/home.c",
           "        if (push(&target->home, batch)) { /* O1 */\n"
           "            rti_mesh_ring_control(shard, target);\n        }\n",
           "        rti_mesh_ring_control(shard, target);\n"
           "        (void)push(&target->home, batch);\n",
           "mesh_test", "home"),
    Mutant("what comes while a home takes its list is dropped", "cross/home.c",
           "    newest = __atomic_exchange_n(&home->returned, NULL, __ATOMIC_ACQUIRE);",
           "    newest = __atomic_load_n(&home->returned, __ATOMIC_ACQUIRE);\n"
           "    __atomic_store_n(&home->returned, NULL, __ATOMIC_RELEASE);",
           "mesh_test", "home"),
    Mutant("a batch is put onto the list by a store", "cross/home.c",
           "    } while (!__atomic_compare_exchange_n(&home->returned, &newest, batch->first, "
           "true,\n                                          __ATOMIC_RELEASE, __ATOMIC_RELAXED));",
           "        __atomic_store_n(&home->returned, batch->first, __ATOMIC_RELEASE);\n"
           "    } while (false);",
           "mesh_test", "home"),

    # The scheduler. Its own assertions find more: an average that is never raised, a parent that
    # never sleeps, a place that is not kept when another leaves.
    Mutant("a queue that slept has its time back", "core/sched.c",
           "    if (ahead(level->average, entity->vruntime) > 0 || "
           "entity->period != level->period) { /* S2 */\n",
           "    if (false) {\n",
           SCHED, "R3 ahead"),
    Mutant("a queue wakes beside the one that waits longest", "core/sched.c",
           "    if (ahead(level->average, entity->vruntime) > 0 || "
           "entity->period != level->period) { /* S2 */\n"
           "        entity->vruntime = level->average;\n",
           "    if (ahead(level->average, entity->vruntime) > 0 || "
           "entity->period != level->period) { /* S2 */\n"
           "        entity->vruntime = level->average;\n"
           "        for (uint32_t i = 0; i < level->count; i++) {\n"
           "            if (ahead(entity->vruntime, level->runnable[i]->vruntime) > 0) {\n"
           "                entity->vruntime = level->runnable[i]->vruntime;\n"
           "            }\n"
           "        }\n",
           SCHED, "R3 ahead"),
    Mutant("a sleep forgives a debt", "core/sched.c",
           "    count_out(level, entity);\n"
           "    raise_average(level);\n"
           "    if (entity->parent",
           "    count_out(level, entity);\n"
           "    raise_average(level);\n"
           "    if (ahead(entity->vruntime, level->average) > 0) {\n"
           "        entity->vruntime = level->average;\n"
           "    }\n"
           "    if (entity->parent",
           SCHED, "R3 ahead"),
    Mutant("the average falls when one leaves in debt", "core/sched.c",
           "    if (level->sum <= 0 || level->sum < (wide)level->weight) {\n"
           "        return;\n"
           "    }\n",
           "    if (level->weight == 0) {\n"
           "        return;\n"
           "    }\n"
           "    if (level->sum < 0) {\n"
           "        const int64_t down = (int64_t)(level->sum / (wide)level->weight);\n"
           "        level->average += (uint64_t)down;\n"
           "        level->sum -= (wide)down * level->weight;\n"
           "        return;\n"
           "    }\n",
           SCHED, "R4 late"),
    Mutant("a queue that has had too much is chosen", "core/sched.c",
           "is_owed(level, entity) && (best == NULL",
           "(best == NULL",
           SCHED, "R3 ahead"),
    Mutant("deadlines are ignored", "core/sched.c",
           " : ahead(b->deadline, a->deadline) > 0;",
           " : false;",
           SCHED, "R2 behind"),
    Mutant("a queue keeps its deadline when it wakes", "core/sched.c",
           "    begin_slice(sched, entity);\n"
           "    entity->due",
           "    entity->due",
           SCHED, "R2 behind"),
    Mutant("a goal makes rich", "core/sched.c",
           "is_owed(level, entity) && (best == NULL",
           "(is_owed(level, entity) || entity->goal != 0) &&\n"
           "            (best == NULL",
           SCHED, "R3 ahead"),
    Mutant("goals are ignored", "core/sched.c",
           "    if (urgent_a != urgent_b) {\n"
           "        return urgent_a;\n"
           "    }\n",
           "",
           SCHED, "R4 late"),
    Mutant("a child in debt makes its parent urgent", "core/sched.c",
           "child->goal != 0 && is_owed(level, child) &&",
           "child->goal != 0 &&",
           SCHED, "R4 late"),
    Mutant("of two goals the earlier deadline goes first", "core/sched.c",
           "return urgent_a ? ahead(due_b, due_a) > 0 : ",
           "return ",
           SCHED, "R5 a goal"),
    Mutant("a charge is not divided by shares", "core/sched.c",
           "    const uint64_t step = virtual_of(entity, ticks);",
           "    const uint64_t step = ticks;",
           SCHED, "R3 ahead"),
    Mutant("a parent is not charged", "core/sched.c",
           "        charge(sched, entity->parent, ticks);",
           "        (void)sched;",
           SCHED, "R3 ahead"),
    Mutant("a parent sleeps with the first of its children", "core/sched.c",
           "    if (entity->parent != NULL && level->count == 0) {",
           "    if (entity->parent != NULL && entity->parent->place != 0) {",
           SCHED, "R1: the core"),
    Mutant("new shares forgive a debt", "core/sched.c",
           "    entity->vruntime = level->average + "
           "(uint64_t)(int64_t)((wide)owes * entity->shares / shares);\n",
           "    entity->vruntime = level->average;\n"
           "    (void)owes;\n",
           SCHED, "R3 ahead"),
    Mutant("new shares make more or less of a debt", "core/sched.c",
           "    entity->vruntime = level->average + "
           "(uint64_t)(int64_t)((wide)owes * entity->shares / shares);\n",
           "    (void)owes;\n",
           SCHED, "R3 ahead"),

    # Disk queues
    Mutant("a queue that had no requests has credit", "io/disk_queue.c",
           "    return later(level->now, queue->finish); /* Q1 */",
           "    (void)level;\n    return queue->finish;",
           DISK, "R3 shares"),
    Mutant("the virtual time of a device stands still", "io/disk_queue.c",
           "    level->now = start_of(level, queue);\n    queue->finish = level->now +",
           "    queue->finish = start_of(level, queue) +",
           DISK, "R3 shares"),
    Mutant("a disk's cost is not divided by shares", "io/disk_queue.c",
           "((request->cost << SCALE) + queue->shares - 1) / queue->shares;",
           "(request->cost << SCALE);",
           DISK, "R3 shares"),
    Mutant("a parent of disk queues is not charged", "io/disk_queue.c",
           "    if (queue->parent != NULL) {\n        charge(",
           "    if (queue->parent != NULL && request->bytes == 0) {\n        charge(",
           DISK, "R4 limit"),
    Mutant("a parent of disk queues is given for nothing", "io/disk_queue.c",
           "    level->finish_max = later(level->finish_max, queue->finish);\n"
           "    rti_disk_limit_charge",
           "    queue->finish = queue->members > 0 ? level->now : queue->finish;\n"
           "    level->finish_max = later(level->finish_max, queue->finish);\n"
           "    rti_disk_limit_charge",
           DISK, "R3 shares"),
    Mutant("a request that is taken back is paid for", "io/disk_queue.c",
           "    rti_list_remove(&request->link);\n    request->state = RTI_DISK_IDLE;\n",
           "    rti_list_remove(&request->link);\n    request->state = RTI_DISK_IDLE;\n"
           "    request->queue->finish += (request->cost << SCALE) / request->queue->shares;\n"
           "    level_of(disk, request->queue)->finish_max =\n"
           "        later(level_of(disk, request->queue)->finish_max, request->queue->finish);\n",
           DISK, "R3 shares"),
    Mutant("a disk queue keeps its tag when it gets more shares", "io/disk_queue.c",
           "        queue->finish = level->now + "
           "(queue->finish - level->now) * queue->shares / shares;\n",
           "",
           DISK, "R3 shares"),
    Mutant("of a queue's requests the youngest goes first", "io/disk_queue.c",
           "RTI_CONTAINER_OF(rti_list_first(&queue->requests), struct",
           "RTI_CONTAINER_OF(queue->requests.prev, struct",
           DISK, "R5 order"),
    Mutant("a disk's limit is not looked at", "io/disk_queue.c",
           "        if (opens_at(queue) > now ||\n",
           "        if (opens_at(queue) > now + RT_SECONDS(1) ||\n",
           DISK, "assertion failed: limit->level >= 0"),
    Mutant("the wake for a limit forgets the parent's", "io/disk_queue.c",
           "        opens = opens > from ? opens : from;\n",
           "        (void)from;\n",
           DISK, "R1 hangs"),
    Mutant("who is alone on a device is held back", "io/disk_queue.c",
           "request->cost, is_alone(disk, queue, now))) {",
           "request->cost, now < 0)) {",
           DISK, "R1 delay"),
    Mutant("a limit opens before it is paid for", "io/disk_limit.c",
           "((-limit->level + limit->rate - 1) / limit->rate);",
           "(-limit->level / limit->rate);",
           DISK, "R4"),
    Mutant("a limit saves up for ever", "io/disk_limit.c",
           "    limit->level = limit->level < most ? limit->level : most; /* L1 */\n",
           "    (void)most;\n",
           DISK, "R4 limit"),
    Mutant("who comes late for a limit loses", "io/disk_limit.c",
           "    limit->level = limit->level < most ? limit->level : most; /* L1 */\n",
           "    limit->level = limit->level < 0 ? limit->level : most - most;\n",
           DISK, "R4 wake"),
    Mutant("a full device is given more", "io/disk_share.c",
           "        if (!may && in_flight - spare >= capacity) { /* H2 */",
           "        if (!may && in_flight - spare >= capacity * 2) { /* H2 */",
           DISK, "R2 excess"),
    Mutant("a shard with nothing in flight is refused", "io/disk_share.c",
           "    return part->used == 0 || (uwide)",
           "    return (uwide)",
           DISK_SHARE, "H3 refused"),
    Mutant("a shard below its part is refused", "io/disk_share.c",
           "    return part->used == 0 || (uwide)part->used * weight < "
           "(uwide)capacity * part->weight;",
           "    (void)weight;\n    return part->used == 0 && capacity > 0;",
           DISK_SHARE, "H3 refused"),
    Mutant("what a shard holds and does not use makes the device full for it", "io/disk_share.c",
           "        if (!may && in_flight - spare >= capacity) { /* H2 */",
           "        if (!may && in_flight >= capacity) { /* H2 */",
           DISK_SHARE, "H2 refused though there is room"),
    Mutant("a shard reuses what it holds though it has more than its part", "io/disk_share.c",
           "        if (!may && in_flight - spare >= capacity) { /* H2 */",
           "        if (!may && spare < cost && in_flight - spare >= capacity) { /* H2 */",
           DISK_SHARE, "H2 took what is not there"),
    Mutant("a shard takes a quantum of a device that is full", "io/disk_share.c",
           "        more = more < left ? more : left;\n",
           "        (void)left;\n",
           DISK_SHARE, "H2 took more than it needs"),
    Mutant("a shard changes a capacity that it has not seen", "io/disk_share.c",
           "    return __atomic_compare_exchange_n(&share->capacity, &seen, capacity, false, "
           "__ATOMIC_RELAXED,\n                                       __ATOMIC_RELAXED);",
           "    (void)seen;\n    __atomic_store_n(&share->capacity, capacity, __ATOMIC_RELAXED);\n"
           "    return true;",
           DISK_SHARE, "error: "),
    Mutant("the slow half of a window does not count", "io/disk_depth.c",
           "kind->late > kind->samples / 2) {",
           "kind->late == kind->samples) {",
           DISK_DEPTH, "error: "),
    Mutant("the kind that came last decides", "io/disk_depth.c",
           "very_late > kind->samples / 2 || left == 1 ? 1 : 3;\n        }",
           "very_late > kind->samples / 2 || left == 1 ? 1 : 3;\n"
           "        } else if (kind->samples > 0) {\n            left = 4;\n        }",
           DISK_DEPTH, "error: "),
    Mutant("a capacity that was exceeded falls", "io/disk_depth.c",
           "    if (depth->beside > capacity + capacity / 4 || capacity <= least) {",
           "    if (capacity <= least) {",
           DISK_DEPTH, "error: "),
    Mutant("a capacity that nobody used falls", "io/disk_depth.c",
           "    if (depth->fullest < capacity / 2) {",
           "    if (depth->fullest == 0) {",
           DISK_DEPTH, "error: "),
    Mutant("what was too much is not cut", "io/disk_depth.c",
           "                   : larger(depth->fullest / 4 * left, least);",
           "                   : larger(capacity / 4 * left, least);",
           DISK_DEPTH, "error: "),
    Mutant("a turn ends and nothing is given back", "io/disk_share.c",
           "    if (spare != 0) {",
           "    if (spare > part->held) {",
           DISK, "H1 in flight"),

    # Slices
    Mutant("a slice goes on when a queue with a goal has woken", "core/slice.c",
           "        executor->cut = true;\n",
           "",
           "sim/taskq_test", "check failed: pair->late"),
    Mutant("a slice is as long as the quota beside a goal", "core/slice.c",
           "            least = queue->latency;\n",
           "",
           "sim/taskq_test", "check failed: quick.late_max"),
    Mutant("a queue is not charged for what it used before another one wakes", "core/slice.c",
           "        rti_slice_settle(executor); /* what the active one has used counts */\n",
           "        executor->charged_at = rti_sys_ticks();\n",
           "sim/taskq_test", "check failed: stats_of(batch).run"),
    Mutant("the kernel's time is charged to each in full", "core/slice.c",
           "(uint64_t)(int64_t)((double)ticks * queue->kernel_work / (double)work)",
           "work > 0 ? (uint64_t)ticks : 0",
           "sim/taskq_life_test", "check failed: stats_of(worker).run"),
    Mutant("a queue that slept has waited", "core/slice.c",
           "        executor->seen = executor->charged_at; /* what wakes now",
           "        /* what wakes now",
           "sim/taskq_life_test", "check failed: stats_of(queues[i]).wait"),
    Mutant("the callback of a queue that sleeps is asked", "core/slice.c",
           "        if (rti_sched_is_runnable(&queue->entity)) {\n            sample_if_due",
           "        {\n            sample_if_due",
           "sim/taskq_life_test", "check failed: sampled.calls == 0"),
    Mutant("a callback's answer is taken as it is", "core/slice.c",
           "    return shares < RT_SHARES_MAX ? shares : RT_SHARES_MAX;",
           "    return shares;",
           "sim/taskq_life_test", "check failed: stats_of(queues[0]).shares"),
    Mutant("a queue with tasks is destroyed", "core/taskq.c",
           "    if (rti_taskq_is_used(queue)) {",
           "    if (queue->entity.children.members > 0) {",
           "sim/taskq_life_test", "check failed: rt_taskq_destroy(child)"),
    Mutant("calls that are far apart look once in 16", "core/slice.c",
           "        countdown->length = 1;\n",
           "",
           "sim/preempt_test", "check failed: calls_until_due(2000)"),
    Mutant("the quota is twice as long", "core/slice.c",
           "at - executor->turn_begin >= executor->quota_ticks ||",
           "at - executor->turn_begin >= 2 * executor->quota_ticks ||",
           "sim/preempt_test", "check failed: quick.late_max"),
    # Services, by seeds
    Mutant("a stop does not wait for the calls inside", "shard/service.c",
           "    if (rti_gate_close_as(&part->gate, &drain_kind, deadline) < 0) {\n",
           "    part->gate.closed = 1;\n    if (part == NULL && deadline > 0) {\n",
           RACE, "assertion failed: part->gate.closed"),
    Mutant("an instance goes before the other parts have closed", "shard/service.c",
           "            await_done(&service->parts[i], RTI_SERVICE_CLOSE);\n",
           "            (void)i;\n",
           RACE, "assertion failed: part->gate.closed"),
    Mutant("a stop does not wait for the calls that it has cancelled", "shard/service.c",
           "        rti_service_cancel_calls(part);\n"
           "        (void)rti_gate_close_as(&part->gate, &drain_kind, RT_NEVER);\n",
           "        rti_service_cancel_calls(part);\n",
           RACE, "assertion failed: part->gate.closed"),
    Mutant("a keeper takes any wake for an order", "shard/service.c",
           "    while ((order = __atomic_load_n(&part->order, __ATOMIC_ACQUIRE)) == done) {\n",
           "    if ((order = __atomic_load_n(&part->order, __ATOMIC_ACQUIRE)) == done) {\n",
           RACE, "assertion failed: part->gate.closed"),
    Mutant("the last first task is not told that a start is over", "shard/service.c",
           "    if (is_awaited) {\n", "    if (is_awaited && service == NULL) {\n",
           RACE, "check failed: level != RT_LOG_ERROR"),
    Mutant("a service starts behind the last first task", "shard/service.c",
           "    if (services->is_closed) {\n", "    if (services == NULL) {\n",
           "sim/service_end_test", "check failed: rt_service_start(&service"),
    Mutant("who hurries a service takes the wake of its end for a wake of the hurry's",
           "shard/service.c",
           "            *hurried = service;\n",
           "            (void)rt_park(RT_NEVER);\n",
           "sim/service_end_test", "'shard-0' has"),
    Mutant("the end does not hurry what is being made", "shard/service.c",
           "        rti_scope_cancel(part->creating);\n", "        (void)part;\n",
           "sim/service_end_test", "'shard-0' has"),
    Mutant("a stop does not ask who depends on it", "shard/service.c",
           "    } else if (service->dependents > 0) {\n", "    } else if (service == NULL) {\n",
           RACE, "check failed: object->name != BASE"),
    Mutant("the lowest shard is destroyed first", "shard/service.c",
           "    for (uint32_t i = service->shard_count; i-- > 0;) {\n",
           "    for (uint32_t i = 0; i < service->shard_count; i++) {\n",
           RACE, "check failed: shard == book->destroyed - 1"),
    Mutant("who was refused is told that it ran", "shard/service_call.c",
           "        *error = -ESHUTDOWN;\n", "        *error = 0;\n",
           RACE, "check failed: r != 0 || (message.starts == 1"),
    Mutant("a call that suspends is not inside", "shard/service_call.c",
           "    enter(inside);\n",
           "    struct inside *self = inside;\n\n    rti_list_init(&self->link);\n",
           RACE, "rt_gate_leave()"),
    Mutant("a stop ends the task of a call that is a part of it", "shard/service_call.c",
           "    struct inside self = { .part = part, .scope = &scope };\n",
           "    struct inside self = { .part = part };\n",
           "sim/service_inside_test", "check failed: rt_service_call(service, 1"),
    Mutant("a gate opens when all instances are made only", "shard/service.c",
           "    part->gate = (struct rt_gate)RT_GATE_INIT;\n", "",
           RACE, "check failed"),

    # Foreign threads, and hosts
    Mutant("the end of a submission looks for who sleeps before it says that it is over",
           "cross/submit.c",
           "    if (__atomic_exchange_n(done, DONE, __ATOMIC_ACQ_REL) == AWAITED) {\n",
           "    const uint32_t old = __atomic_load_n(done, __ATOMIC_RELAXED);\n"
           "    __atomic_store_n(done, DONE, __ATOMIC_RELEASE);\n"
           "    if (old == AWAITED) {\n",
           "unit/cross/closing_test", "all threads wait, and nothing is due"),
    Mutant("a turn that its host ends does not tell the others that the shard sleeps",
           "core/executor.c",
           "    if (limit == 0 || !others_let_sleep(executor)) {",
           "    if (limit == 0 || (!executor->hosted && !others_let_sleep(executor))) {",
           "sim/loop_test", "error: Failure!"),
    Mutant("a host sleeps though the enter before has failed", "core/executor.c",
           "    if (rti_uring_pending(&reactor->ring) == 0 && rti_uring_ready",
           "    if (rti_uring_ready",
           "sim/loop_test", "error: Failure!"),
    Mutant("what a host's turn has to submit waits for the next turn", "core/executor.c",
           "    rti_reactor_poll(reactor); /* which the kernel may refuse, or do a part of */\n"
           "    if (rti_uring_pending(&reactor->ring) == 0 && ",
           "    if (",
           "sim/loop_test", "error: Failure!"),
    Mutant("a host's turn counts as one that waited for completions", "core/executor.c",
           "        leave_to_host(executor, limit);\n",
           "        leave_to_host(executor, limit);\n        executor->idled = true;\n",
           "sim/loop_test", "error: Failure!"),

    # Devices that are polled
    Mutant("a shard sleeps while a device is polled", "core/executor.c",
           "    if (rti_polled_is_busy(executor->reactor.polled)) {",
           "    if (rti_polled_is_busy(executor->reactor.polled) && !idle) {",
           IOPOLL, "all threads wait, and nothing is due"),
    Mutant("a queue is charged for polling alone", "core/executor.c",
           "    rti_polled_enter(executor->reactor.polled);\n    if (idle) {\n"
           "        rti_watched_wakes(&executor->watched);\n        rti_slice_slept(executor);\n",
           "    rti_polled_enter(executor->reactor.polled);\n    if (idle) {\n"
           "        rti_watched_wakes(&executor->watched);\n",
           IOPOLL, "check failed: charged_to(queue)"),
    Mutant("the kernel is asked to cancel what it polls for", "core/op.c",
           "    if (op->state == RTI_OP_POLLED) {\n        return; /* P4 */\n",
           "    if (op->state == RTI_OP_POLLED) {\n        op->state = RTI_OP_IN_FLIGHT;\n",
           IOPOLL, "check failed: counters().cancels == 0"),
    Mutant("a task hears that its device cannot be polled", "io/device.c",
           "(*result != -EOPNOTSUPP && *result != -EAGAIN)) {", "*result != -EAGAIN) {",
           REFUSED, "check failed: join(tasks[i]) == BLOCK"),
    Mutant("a transfer that was to end begins again", "io/device.c",
           "    if (ticket->op->waiter.reason != 0) {\n        *result = -ECANCELED;",
           "    if (ticket == NULL) {\n        *result = -ECANCELED;",
           REFUSED, "check failed: join(tasks[0]) == -ETIME"),
    Mutant("a file whose device refuses asks it again", "io/file_polled.c",
           "    file->polls = false;\n    executor", "    executor",
           REFUSED, "check failed"),
    Mutant("who waits for room on the polled ring waits for ever", "core/polled.c",
           "    while (has_room(polled) && (node =", "    while (ready == UINT32_MAX && (node =",
           IOPOLL, "all threads wait, and nothing is due"),
)


def key_of(test: str) -> str:
    return test if "/" in test else f"explore/{test}"


class Failure(Exception):
    """A command went wrong that must not; the text says which."""


class Build:
    """How the sources and the tests of a build folder were compiled and linked."""

    def __init__(self, folder: str) -> None:
        with open(os.path.join(folder, "tests/explore.json"), encoding="utf-8") as file:
            self.link = json.load(file)
        with open(os.path.join(folder, "compile_commands.json"), encoding="utf-8") as file:
            self.commands = json.load(file)
        self.runtime = os.path.join(self.link["source"], "runtime")

    def read(self, source: str) -> str:
        with open(os.path.join(self.runtime, source), encoding="utf-8") as file:
            return file.read()

    def users(self, source: str) -> List[str]:
        """The source itself, or those that include the header."""
        if source.endswith(".c"):
            return [source]
        paths = glob.glob(os.path.join(self.runtime, "*/*.c"))
        sources = sorted(os.path.relpath(path, self.runtime) for path in paths)
        return [user for user in sources if include(source) in self.read(user)]

    def compile(self, source: str, path: str, out: str, pointed: bool) -> None:
        """Compiles `path` as `source` was."""
        target = "rt_test_pointed" if pointed else "rt_testing"
        name = os.path.join(self.runtime, source)
        for entry in self.commands:
            words = entry.get("arguments") or shlex.split(entry["command"])
            if entry["file"] == name and any(f"/{target}.dir/" in word for word in words):
                break
        else:
            raise Failure(f"{source}: not compiled for {target}")
        command: List[str] = []
        skip = False
        for word in words:
            if skip or word in ("-MD", "-c"):
                skip = False
            elif word in ("-MT", "-MF", "-o"):
                skip = True
            elif word != name:
                command.append(word)
        # A mutant may leave something unused behind: no error, also where warnings are.
        must_work([*command, "-Wno-error", "-c", path, "-o", out], entry["directory"])

    def is_pointed(self, test: str, source: str) -> bool:
        return any(f"rt_test_pointed.dir/" in word and word.endswith(f"/{source}.o")
                   for word in self.link["tests"][key_of(test)])

    def link_test(self, test: str, objects: Dict[str, str], out: str) -> None:
        """Links the test with `objects` (by source) in the place of those that it has."""
        others = [word for word in self.link["tests"][key_of(test)]
                  if not any("rt_test_pointed.dir/" in word and word.endswith(f"/{source}.o")
                             for source in objects)]
        must_work([self.link["compiler"], "-o", out, *objects.values(), *others,
                   *self.link["libraries"]], self.runtime)


def must_work(command: Sequence[str], folder: str) -> None:
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=SECONDS_MAX, check=False)
    if done.returncode != 0:
        raise Failure(f"{' '.join(command)}\n{done.stdout}")


def run_program(path: str, program: str) -> Tuple[int, str]:
    environment = {**os.environ, "RT_EXPLORE": program} if program else dict(os.environ)
    for name in ("RT_CHOICES", "RT_SEED", "RT_SEEDS"): # each mistake has its fixed number of seeds
        environment.pop(name, None)
    done = subprocess.run([path], env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", timeout=SECONDS_MAX, check=False)
    return done.returncode, done.stdout


def include(header: str) -> str:
    return f'#include "{header}"\n'


def compile_text(build: Build, source: str, text: str, test: str, folder: str) -> Dict[str, str]:
    """The objects of `source`, with this text: by the sources that they are in the place of."""
    objects = {}
    for user in build.users(source):
        path = os.path.join(folder, os.path.basename(user))
        with open(path, "w", encoding="utf-8") as file:
            file.write(text if user == source else build.read(user).replace(include(source), text))
        build.compile(user, path, f"{path}.o", build.is_pointed(test, user))
        objects[user] = f"{path}.o"
    return objects


def check_unchanged(build: Build, test: str) -> str:
    """The test with all that its mutants will change, as it is; what is wrong, or ''."""
    with tempfile.TemporaryDirectory() as folder:
        sources = sorted({mutant.source for mutant in MUTANTS if mutant.test == test})
        objects: Dict[str, str] = {}
        for source in sources:
            objects.update(compile_text(build, source, build.read(source), test, folder))
        path = os.path.join(folder, "test")
        build.link_test(test, objects, path)
        status, output = run_program(path, "")
    return "" if status == 0 else f"fails without a mistake:\n{output}"


def check_mutant(build: Build, mutant: Mutant) -> Tuple[bool, str]:
    text = build.read(mutant.source)
    count = text.count(mutant.text)
    if count != 1:
        return False, (f"its text stands {count} times in runtime/{mutant.source}: "
                       f"write it anew in tests/explore/mutants.py")
    with tempfile.TemporaryDirectory() as folder:
        changed = compile_text(build, mutant.source, text.replace(mutant.text, mutant.instead),
                               mutant.test, folder)
        path = os.path.join(folder, "test")
        build.link_test(mutant.test, changed, path)
        status, output = run_program(path, mutant.program)
    if "/" in mutant.test and status != 0 and f": {mutant.program}" in output:
        return True, verdict(output)
    for line in output.splitlines():
        if line.startswith(f"explore: '{mutant.program}'") and status != 0:
            return "never met" in line or "fails in run" in line, verdict(output)
    return False, f"NOT FOUND by '{mutant.program}' of {mutant.test}:\n{output[-2000:]}"


def verdict(output: str) -> str:
    """The line that says what was wrong, and after how many runs."""
    if "; made smaller: " in output:
        return output.partition("RT_SEED=")[2].partition("\n")[0]
    runs = output.partition("fails in run ")[2].partition(":")[0]
    marks = ("check failed: ", "shardrt: ", "sim: all ", "explore: the run ends by ", "never met: ")
    for mark in marks:
        for line in output.splitlines():
            if mark in line:
                return f"run {runs}: {line.partition(mark)[2]}"
    return f"run {runs}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", required=True, help="a build folder, such as build/dev")
    parser.add_argument("--only", default="", help="mutants whose name contains this")
    parser.add_argument("--list", action="store_true", help="print their names")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    mutants = [mutant for mutant in MUTANTS if options.only in mutant.name]
    if not mutants:
        parser.error(f"no mutant has '{options.only}' in its name")
    if options.list:
        print("\n".join(mutant.name for mutant in mutants))
        return 0
    build = Build(options.build)
    bad = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        tests = sorted({mutant.test for mutant in mutants})
        for test, wrong in zip(tests, pool.map(lambda test: check_unchanged(build, test), tests)):
            print(f"{test}: {wrong or 'passes'}", flush=True)
            bad += wrong != ""
        results = pool.map(lambda mutant: check_mutant(build, mutant), mutants)
        for mutant, (good, text) in zip(mutants, results):
            print(f"{mutant.name}: {text}", flush=True)
            bad += not good
    print(f"{len(mutants)} mutants, {bad} not as they must be")
    return 1 if bad else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(str(failure))
