/* SPDX-License-Identifier: MIT */
/*
 * Rwlocks: each promise of rt/rwlock.h, one at a time.
 *
 * Method: callers (sim/caller.h) lock, note how many hold the lock beside them,
 * let others run and unlock. The first task holds the lock meanwhile, and looks
 * at who came back with what. Random orders of these are in waits_test.
 */
#include "sim/caller.h"
#include "support/death.h"

#include "core/executor.h"

static unsigned readers;
static unsigned writers;
static unsigned most_readers; /* at a time */

static int read_it(void *lock, rt_time deadline)
{
    const int r = rt_rwlock_read_lock(lock, deadline);

    if (r == 0) {
        T_CHECK(writers == 0);
        readers++;
        most_readers = readers > most_readers ? readers : most_readers;
        caller_let_run();
        readers--;
        rt_rwlock_read_unlock(lock);
    }
    return r;
}

static int write_it(void *lock, rt_time deadline)
{
    const int r = rt_rwlock_write_lock(lock, deadline);

    if (r == 0) {
        T_CHECK(readers == 0 && writers == 0);
        writers++;
        caller_let_run();
        writers--;
        rt_rwlock_write_unlock(lock);
    }
    return r;
}

static void run(rt_task_fn first)
{
    readers = writers = most_readers = 0;
    caller_run(first);
}

static int lock_alone(void *arg)
{
    struct rt_rwlock lock = RT_RWLOCK_INIT;

    (void)arg;
    caller_watch_others();
    T_CHECK(rt_rwlock_write_lock(&lock, RT_NEVER) == 0);
    rt_rwlock_write_unlock(&lock);
    T_CHECK(rt_rwlock_read_lock(&lock, RT_NEVER) == 0);
    T_CHECK(rt_rwlock_read_lock(&lock, 0) == 0);
    T_CHECK(rt_rwlock_write_lock(&lock, 0) == -ETIME);
    rt_rwlock_read_unlock(&lock);
    rt_rwlock_read_unlock(&lock);
    T_CHECK(rt_rwlock_write_lock(&lock, 0) == 0);
    rt_rwlock_write_unlock(&lock);
    T_CHECK(!caller_others_ran);
    return 0;
}

static void what_nobody_holds_against_it_is_locked_without_a_suspension(void **state)
{
    (void)state;
    run(lock_alone);
}

static int mixed_line(void *arg)
{
    static int (*const calls[])(void *, rt_time) = { read_it, read_it, write_it, read_it,
                                                     write_it };
    struct rt_rwlock lock = RT_RWLOCK_INIT;
    struct caller callers[5];

    (void)arg;
    T_CHECK(rt_rwlock_write_lock(&lock, RT_NEVER) == 0);
    for (unsigned i = 0; i < 5; i++) {
        caller_start(&callers[i], calls[i], &lock, RT_NEVER);
    }
    rt_rwlock_write_unlock(&lock);
    T_CHECK(lock.readers == 2); /* handed over in the same step */
    T_CHECK(rt_rwlock_read_lock(&lock, 0) == -ETIME && rt_rwlock_write_lock(&lock, 0) == -ETIME);
    for (unsigned i = 0; i < 5; i++) {
        T_CHECK(caller_end(&callers[i]) == 0);
        T_CHECK(callers[i].place == i + 1);
    }
    T_CHECK(most_readers == 2);
    return 0;
}

static void the_line_is_served_in_order_and_readers_that_are_neighbours_together(void **state)
{
    (void)state;
    run(mixed_line);
}

static int come_behind_a_writer(void *arg)
{
    struct rt_rwlock lock = RT_RWLOCK_INIT;
    struct caller writer;
    struct caller reader;

    (void)arg;
    T_CHECK(rt_rwlock_read_lock(&lock, RT_NEVER) == 0);
    caller_start(&writer, write_it, &lock, RT_NEVER);
    caller_start(&reader, read_it, &lock, RT_NEVER);
    T_CHECK(caller_waits(&reader) && rt_rwlock_read_lock(&lock, 0) == -ETIME);
    T_CHECK(caller_waits(&reader)); /* that one gave up, and let nobody in */
    rt_rwlock_read_unlock(&lock);
    T_CHECK(caller_end(&writer) == 0 && writer.place == 1);
    T_CHECK(caller_end(&reader) == 0);
    return 0;
}

static void no_reader_passes_a_writer_that_waits(void **state)
{
    (void)state;
    run(come_behind_a_writer);
}

static int writers_give_up(void *arg)
{
    const rt_time deadline = rt_in(RT_SECONDS(1));
    struct rt_rwlock lock = RT_RWLOCK_INIT;
    struct caller in_time;
    struct caller cancelled;
    struct caller readers_behind[2];

    (void)arg;
    T_CHECK(rt_rwlock_read_lock(&lock, RT_NEVER) == 0);
    caller_start(&in_time, write_it, &lock, deadline);
    caller_start(&readers_behind[0], read_it, &lock, RT_NEVER);
    caller_start(&cancelled, write_it, &lock, RT_NEVER);
    caller_start(&readers_behind[1], read_it, &lock, RT_NEVER);
    T_CHECK(rt_sleep_until(deadline) == 0);
    T_CHECK(caller_end(&in_time) == -ETIME);
    T_CHECK(caller_end(&readers_behind[0]) == 0);
    T_CHECK(caller_waits(&readers_behind[1]) && caller_waits(&cancelled));
    rt_cancel(cancelled.task);
    T_CHECK(lock.readers == 2); /* in the same step */
    T_CHECK(caller_end(&cancelled) == -ECANCELED);
    T_CHECK(caller_end(&readers_behind[1]) == 0);
    rt_rwlock_read_unlock(&lock);
    return 0;
}

static void readers_behind_a_writer_that_gives_up_go_on(void **state)
{
    (void)state;
    run(writers_give_up);
}

static int cancel_after_the_grant(void *arg)
{
    struct rt_rwlock lock = RT_RWLOCK_INIT;
    struct caller writer;
    struct caller reader;

    (void)arg;
    T_CHECK(rt_rwlock_write_lock(&lock, RT_NEVER) == 0);
    caller_start(&reader, read_it, &lock, RT_NEVER);
    rt_rwlock_write_unlock(&lock);
    rt_cancel(reader.task);
    T_CHECK(caller_end(&reader) == 0);

    T_CHECK(rt_rwlock_read_lock(&lock, RT_NEVER) == 0);
    caller_start(&writer, write_it, &lock, rt_in(RT_SECONDS(1)));
    rt_rwlock_read_unlock(&lock);
    rti_waiter_expire(writer.task->waiter); /* as the loop does when it sees that time has come */
    rt_cancel(writer.task);
    T_CHECK(caller_end(&writer) == 0);
    return 0;
}

static void a_cancel_or_deadline_after_the_grant_takes_no_lock_away(void **state)
{
    (void)state;
    run(cancel_after_the_grant);
}

static int read_when_cancelled(void *lock, rt_time deadline)
{
    struct rt_rwlock free_one = RT_RWLOCK_INIT;

    rt_cancel_self();
    T_CHECK(rt_rwlock_write_lock(&free_one, RT_NEVER) == 0);
    rt_rwlock_write_unlock(&free_one);
    T_CHECK(rt_rwlock_write_lock(lock, deadline) == -ECANCELED);
    return rt_rwlock_read_lock(lock, deadline);
}

static int run_cancelled(void *arg)
{
    struct rt_rwlock lock = RT_RWLOCK_INIT;
    struct caller caller;

    (void)arg;
    T_CHECK(rt_rwlock_write_lock(&lock, RT_NEVER) == 0);
    caller_start(&caller, read_when_cancelled, &lock, RT_NEVER);
    T_CHECK(caller_end(&caller) == -ECANCELED);
    rt_rwlock_write_unlock(&lock);
    return 0;
}

static void a_cancelled_task_locks_only_what_it_need_not_wait_for(void **state)
{
    (void)state;
    run(run_cancelled);
}

/* Misuse */

static int lock_to_write(void *lock, rt_time deadline) /* and leave it so */
{
    return rt_rwlock_write_lock(lock, deadline);
}

static int end_reading_too_often(void *arg)
{
    struct rt_rwlock lock = RT_RWLOCK_INIT;

    (void)arg;
    rt_rwlock_read_unlock(&lock);
    return 0;
}

static int end_anothers_writing(void *arg)
{
    struct rt_rwlock lock = RT_RWLOCK_INIT;
    struct caller caller;

    (void)arg;
    caller_start(&caller, lock_to_write, &lock, RT_NEVER);
    rt_rwlock_write_unlock(&lock);
    return 0;
}

static void an_unlock_without_the_lock_aborts(void **state)
{
    (void)state;
    assert_misuse_in_task(end_reading_too_often, "rt_rwlock_read_unlock(): no task holds");
    assert_misuse_in_task(end_anothers_writing, "rt_rwlock_write_unlock(): the running task does");
}

static int read_what_one_writes(void *arg)
{
    struct rt_rwlock lock = RT_RWLOCK_INIT;

    (void)arg;
    return rt_rwlock_write_lock(&lock, RT_NEVER) + rt_rwlock_read_lock(&lock, RT_NEVER);
}

static int write_twice(void *arg)
{
    struct rt_rwlock lock = RT_RWLOCK_INIT;

    (void)arg;
    return rt_rwlock_write_lock(&lock, RT_NEVER) + rt_rwlock_write_lock(&lock, RT_NEVER);
}

static void a_second_lock_by_the_writer_aborts(void **state)
{
    (void)state;
    assert_misuse_in_task(read_what_one_writes, "rt_rwlock_read_lock(): the task holds the rwlock");
    assert_misuse_in_task(write_twice, "rt_rwlock_write_lock(): the task holds the rwlock already");
}

static int read_after_the_writer(void *arg)
{
    struct rt_rwlock lock = RT_RWLOCK_INIT;
    struct caller caller;

    (void)arg;
    caller_start(&caller, lock_to_write, &lock, RT_NEVER);
    return rt_rwlock_read_lock(&lock, RT_NEVER);
}

static void a_lock_of_what_an_ended_task_writes_aborts(void **state)
{
    (void)state;
    assert_misuse_in_task(read_after_the_writer, "the task that held the rwlock to write");
}

static int read_another_shards(void *arg)
{
    static struct rti_executor other;
    static struct rt_task writer = { .executor = &other };
    struct rt_rwlock lock = { .writer = &writer };

    (void)arg;
    return rt_rwlock_read_lock(&lock, RT_NEVER);
}

static void a_lock_that_a_task_of_another_shard_writes_aborts(void **state)
{
    (void)state;
    assert_misuse_in_task(read_another_shards, "rt_rwlock_read_lock(): the object belongs to");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_nobody_holds_against_it_is_locked_without_a_suspension),
        cmocka_unit_test(the_line_is_served_in_order_and_readers_that_are_neighbours_together),
        cmocka_unit_test(no_reader_passes_a_writer_that_waits),
        cmocka_unit_test(readers_behind_a_writer_that_gives_up_go_on),
        cmocka_unit_test(a_cancel_or_deadline_after_the_grant_takes_no_lock_away),
        cmocka_unit_test(a_cancelled_task_locks_only_what_it_need_not_wait_for),
        cmocka_unit_test(an_unlock_without_the_lock_aborts),
        cmocka_unit_test(a_second_lock_by_the_writer_aborts),
        cmocka_unit_test(a_lock_of_what_an_ended_task_writes_aborts),
        cmocka_unit_test(a_lock_that_a_task_of_another_shard_writes_aborts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
