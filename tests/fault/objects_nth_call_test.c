/* SPDX-License-Identifier: MIT */
/*
 * As nth_call_test, of what is built upon tasks: futures, scopes, selects, task-locals, channels,
 * locks.
 *
 * The scenario is run again and again, and the nth call of the seam to the system
 * fails, until a run has fewer than n calls. Each run must end, with or without an
 * error, and leave no block of the heap, mapping or descriptor behind. And once
 * all is warm, none of these takes memory.
 */
#include "support/fault_checks.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "rt/condition.h"
#include "rt/event.h"
#include "rt/gate.h"
#include "rt/mutex.h"
#include "rt/once.h"
#include "rt/rt.h"
#include "rt/rwlock.h"
#include "rt/semaphore.h"

#define FUTURES 300 /* a second block of the table of tasks */
#define ITEMS   20

static char path[] = "/tmp/shardrt-objects-XXXXXX";
static int local_key;

static rt_time soon(void)
{
    return rt_in(RT_SECONDS(5));
}

/* Futures */

struct napper {
    struct rt_future future;
    unsigned left;
    bool dropped;
};

static int nap_some_times(struct rt_future *future)
{
    struct napper *self = (struct napper *)future;

    for (; self->left > 0; self->left--) {
        const int r = rt_poll_sleep(future, rt_in(RT_MICROSECONDS(10)));

        if (r != 0) {
            return r;
        }
    }
    return 0;
}

static void note_drop(struct rt_future *future)
{
    ((struct napper *)future)->dropped = true;
}

static int use_futures(void)
{
    static struct napper nappers[FUTURES];
    struct rt_group group = RT_GROUP_INIT;
    unsigned spawned = 0;
    int r = 0;

    while (r == 0 && spawned < FUTURES) {
        nappers[spawned] = (struct napper){ RT_FUTURE_INIT(nap_some_times, note_drop), 2, false };
        r = rt_group_spawn_future(&group, &nappers[spawned].future);
        spawned += r == 0;
    }
    T_CHECK(rt_group_leave(&group, RT_NEVER) == 0);
    for (unsigned i = 0; i < spawned; i++) {
        T_CHECK(nappers[i].dropped && nappers[i].left == 0);
    }
    return r;
}

/* Task-locals */

static int look_at_local(void *arg)
{
    T_CHECK(rt_local_get(local_key) == arg);
    return rt_local_set(local_key, NULL);
}

static int use_locals(void)
{
    static char value;
    struct rt_task *task;
    int result = 0;
    int r = rt_local_set(local_key, &value);

    T_CHECK(rt_local_get(local_key) == (r == 0 ? &value : NULL));
    if (r == 0) {
        r = rt_spawn(&task, look_at_local, &value);
    }
    if (r == 0) {
        T_CHECK(rt_join(task, &result, RT_NEVER) == 0);
        T_CHECK(result == 0 || result == -ENOMEM);
        T_CHECK(rt_local_get(local_key) == &value);
    }
    return r < 0 ? r : result;
}

/* Channels, and a oneshot in the end */

struct pipe {
    struct rt_chan *chan;
    struct rt_oneshot done;
};

static int send_items(void *arg)
{
    struct pipe *pipe = arg;
    int r = 0;

    for (uint64_t i = 0; r == 0 && i < ITEMS; i++) {
        r = rt_chan_send(pipe->chan, &i, soon());
    }
    rt_chan_close(pipe->chan);
    rt_oneshot_send(&pipe->done, pipe);
    return r;
}

static void receive_items(struct pipe *pipe)
{
    uint64_t item = 0;
    uint64_t next = 0;
    void *value;

    for (;;) {
        struct rt_case cases[] = { rt_case_at(soon()), rt_case_chan_recv(pipe->chan, &item) };

        T_CHECK(rt_select(cases, 2, RT_NEVER) == 1);
        if (cases[1].result != 0) {
            T_CHECK(cases[1].result == -EPIPE);
            break;
        }
        T_CHECK(item == next++);
    }
    T_CHECK(next == ITEMS);
    T_CHECK(rt_oneshot_recv(&pipe->done, &value, soon()) == 0 && value == pipe);
}

static int use_channels(void)
{
    struct pipe pipe = { NULL, RT_ONESHOT_INIT };
    struct rt_task *task;
    int r = rt_chan_create(&pipe.chan, sizeof(uint64_t), 2);

    if (r < 0) {
        return r;
    }
    r = rt_spawn(&task, send_items, &pipe);
    if (r == 0) {
        receive_items(&pipe);
        T_CHECK(rt_join(task, NULL, RT_NEVER) == 0);
    }
    rt_chan_destroy(pipe.chan);
    return r;
}

/* I/O by futures, in a scope; readiness */

struct reader {
    struct rt_future future;
    struct rt_file *file;
    char buf[4];
};

static int read_file(struct rt_future *future)
{
    struct reader *self = (struct reader *)future;

    return rt_poll_file_read_at(future, self->file, self->buf, sizeof(self->buf), 0, RT_NEVER);
}

static int read_in_scope(struct rt_file *file)
{
    struct reader reader = { RT_FUTURE_INIT(read_file, NULL), file, { 0 } };
    struct rt_scope scope;
    int r;

    rt_scope_enter(&scope, soon());
    r = rt_await(&reader.future, RT_NEVER);
    T_CHECK(r == 4 && memcmp(reader.buf, "data", 4) == 0);
    return rt_scope_leave(&scope);
}

struct buffer_reader {
    struct rt_future future;
    struct rt_file *file;
    struct rt_buffer *buffer;
};

static int read_buffer(struct rt_future *future)
{
    struct buffer_reader *self = (struct buffer_reader *)future;

    return rt_poll_file_read_buffer(future, self->file, self->buffer, 0, 4, 0, RT_NEVER);
}

static int read_by_buffer(struct rt_file *file)
{
    struct buffer_reader reader = { .future = RT_FUTURE_INIT(read_buffer, NULL), .file = file };
    int r = rt_buffer_get(&reader.buffer, 4);

    if (r < 0) {
        return r;
    }
    r = rt_await(&reader.future, RT_NEVER);
    T_CHECK(r == -ENOMEM || (r == 4 && memcmp(rt_buffer_data(reader.buffer), "data", 4) == 0));
    rt_buffer_put(reader.buffer);
    return r < 0 ? r : 0;
}

static int use_file(void)
{
    struct rt_file *file;
    int r = rt_file_open(&file, path, O_RDWR, 0, RT_NEVER);

    if (r == 0) {
        r = read_in_scope(file);
        r = r == 0 ? read_by_buffer(file) : r;
        T_CHECK(rt_file_close(file) == 0);
    }
    return r;
}

static int share_file(struct rt_file *file)
{
    struct rt_file_share share;
    struct rt_file *second;
    int r = rt_file_share(file, &share);

    if (r < 0) {
        return r;
    }
    r = rt_file_adopt(&second, &share);
    if (r < 0) {
        rt_file_share_drop(&share);
        return r;
    }
    r = rt_file_try_lock(second, RT_FILE_LOCK_EXCLUSIVE, 0, 0);
    if (r == 0) {
        r = rt_file_set_life(second, RT_FILE_LIFE_SHORT);
    }
    if (r == 0) {
        r = (int)rt_file_copy_range(file, 0, second, 10, 4, RT_NEVER);
    }
    T_CHECK(rt_file_close(second) == 0);
    return r;
}

/* Often enough that the ring is asked for a place, without which they work as well. */
static void read_often(struct rt_file *file)
{
    for (int i = 0; i < 10; i++) {
        char byte = '?';
        const ssize_t n = rt_file_read_at(file, &byte, 1, 0, RT_NEVER);

        T_CHECK(n == -ENOMEM || (n == 1 && byte == 'd')); /* for the library's buffer */
    }
}

/* Through the library's buffer, over the end of the file. */
static int use_direct_file(void)
{
    struct rt_file_options options = RT_FILE_OPTIONS_INIT;
    struct rt_file *file;
    int r;

    options.flags = O_RDWR | O_DIRECT;
    options.buffered_ok = 1;
    options.polled = 1; /* where that fails the file works without */
    r = rt_file_open_with(&file, path, &options, RT_NEVER);
    if (r == 0) {
        r = (int)rt_file_write_at(file, "a more", 6, 3, RT_NEVER);
        if (r >= 0) {
            read_often(file);
            r = share_file(file);
        }
        T_CHECK(rt_file_close(file) == 0);
    }
    return r < 0 ? r : 0;
}

/* A call that fails is how the case has ended. */
static int select_one(struct rt_case *cases, rt_time deadline, int expected)
{
    const int r = rt_select(cases, 2, deadline);

    T_CHECK(r == expected || (r == 0 && cases[0].result < 0));
    return r == 0 && cases[0].result < 0 ? cases[0].result : 0;
}

static int select_readiness(int fd)
{
    const uint64_t one = 1;
    struct rt_case cases[] = { rt_case_fd(fd, POLLIN), rt_case_at(RT_NEVER) };
    int r = select_one(cases, rt_in(RT_MICROSECONDS(10)), -ETIME);

    if (r < 0) {
        return r;
    }
    T_CHECK(write(fd, &one, sizeof(one)) == (ssize_t)sizeof(one));
    r = select_one(cases, soon(), 0);
    T_CHECK(r < 0 || cases[0].result == POLLIN);
    if (r == 0) {
        r = rt_fd_wait(fd, POLLIN, RT_NEVER);
        T_CHECK(r < 0 || r == POLLIN);
    }
    return r < 0 ? r : 0;
}

static int use_readiness(void)
{
    const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int r = -errno;

    T_CHECK(fd >= 0);
    if (fd >= 0) {
        r = select_readiness(fd);
        close(fd);
    }
    return r;
}

static int scenario(void *arg)
{
    int r = use_futures();

    (void)arg;
    if (r == 0) {
        r = use_locals();
    }
    if (r == 0) {
        r = use_channels();
    }
    if (r == 0) {
        r = use_file();
    }
    if (r == 0) {
        r = use_direct_file();
    }
    return r == 0 ? use_readiness() : r;
}

static int run(rt_task_fn first)
{
    struct rt_config config = RT_CONFIG_INIT;

    config.log = hear_nothing;
    return rt_run(&config, first, NULL);
}

static int run_scenario(void *arg)
{
    (void)arg;
    return run(scenario);
}

static void any_call_may_fail_once(void **state)
{
    const struct fault_runs runs = fail_each_call(run_scenario, NULL);

    (void)state;
    assert_true(runs.calls >= 50 && runs.failed > 10);
}

/* Steady state takes nothing from the heap */

static int send_one(void *arg)
{
    const uint64_t item = 7;

    return rt_chan_send(arg, &item, RT_NEVER);
}

struct locks {
    struct rt_mutex mutex;
    struct rt_rwlock rwlock;
    struct rt_condition condition;
    struct rt_semaphore semaphore;
    struct rt_event event;
    struct rt_gate gate;
    struct rt_once once;
};

static int do_once(void *arg)
{
    (void)arg;
    return 7;
}

/* Every wait of it is one, for the other task holds all. */
static int want_all(void *arg)
{
    struct locks *locks = arg;

    T_CHECK(rt_mutex_lock(&locks->mutex, RT_NEVER) == 0);
    T_CHECK(rt_condition_wait(&locks->condition, &locks->mutex, RT_NEVER) == 0);
    rt_mutex_unlock(&locks->mutex);
    T_CHECK(rt_rwlock_read_lock(&locks->rwlock, RT_NEVER) == 0);
    rt_rwlock_read_unlock(&locks->rwlock);
    T_CHECK(rt_semaphore_take(&locks->semaphore, 2, RT_NEVER) == 0);
    T_CHECK(rt_event_wait(&locks->event, RT_NEVER) == 0);
    T_CHECK(rt_once_run(&locks->once, do_once, NULL, RT_NEVER) == 7);
    T_CHECK(rt_gate_close(&locks->gate, RT_NEVER) == 0);
    return 0;
}

/* A debug build wakes tasks for nothing, but none goes on by that. */
static void use_locks(void)
{
    struct locks locks = { RT_MUTEX_INIT, RT_RWLOCK_INIT, RT_CONDITION_INIT, RT_SEMAPHORE_INIT(1),
                           RT_EVENT_INIT, RT_GATE_INIT,   RT_ONCE_INIT };
    struct rt_task *task;

    T_CHECK(rt_mutex_lock(&locks.mutex, 0) == 0 && rt_rwlock_write_lock(&locks.rwlock, 0) == 0);
    T_CHECK(rt_gate_enter(&locks.gate) == 0);
    T_CHECK(rt_spawn(&task, want_all, &locks) == 0);
    rt_yield();
    rt_mutex_unlock(&locks.mutex);
    rt_yield();
    rt_condition_signal(&locks.condition);
    rt_yield();
    rt_rwlock_write_unlock(&locks.rwlock);
    rt_yield();
    rt_semaphore_put(&locks.semaphore, 1);
    rt_yield();
    rt_event_set(&locks.event);
    rt_yield();
    rt_gate_leave(&locks.gate);
    T_CHECK(rt_join(task, NULL, RT_NEVER) == 0);
}

static void use_all_once(struct rt_chan *chan, struct rt_file *file)
{
    struct napper napper = { RT_FUTURE_INIT(nap_some_times, note_drop), 1, false };
    struct rt_oneshot oneshot = RT_ONESHOT_INIT;
    uint64_t item = 0;
    void *value;
    struct rt_task *task;
    int result;

    T_CHECK(rt_spawn_future(&task, &napper.future) == 0);
    T_CHECK(rt_join(task, &result, RT_NEVER) == 0 && result == 0 && napper.dropped);
    T_CHECK(rt_spawn(&task, send_one, chan) == 0);
    {
        struct rt_case cases[] = { rt_case_chan_recv(chan, &item), rt_case_join(task, &result),
                                   rt_case_at(soon()) };

        T_CHECK(rt_select(cases, 3, RT_NEVER) == 0 && item == 7);
    }
    T_CHECK(rt_join(task, NULL, RT_NEVER) == 0);
    rt_oneshot_send(&oneshot, chan);
    T_CHECK(rt_oneshot_recv(&oneshot, &value, RT_NEVER) == 0 && value == chan);
    T_CHECK(read_in_scope(file) == 0);
    T_CHECK(rt_local_set(local_key, &item) == 0 && rt_local_get(local_key) == &item);
}

static int steady(void *arg)
{
    struct rt_file *file;
    struct rt_chan *chan;
    uint64_t before = 0;

    (void)arg;
    T_CHECK(rt_chan_create(&chan, sizeof(uint64_t), 1) == 0);
    T_CHECK(rt_file_open(&file, path, O_RDWR, 0, RT_NEVER) == 0);
    for (unsigned round = 0; round < 50; round++) {
        use_all_once(chan, file);
        use_locks();
        if (round == 5) { /* warm now */
            before = fault_allocations();
        }
    }
    T_CHECK(fault_allocations() == before);
    T_CHECK(rt_file_close(file) == 0);
    rt_chan_destroy(chan);
    return 0;
}

static void steady_state_takes_nothing_from_the_heap(void **state)
{
    (void)state;
    assert_int_equal(run(steady), 0);
    assert_int_equal(t_failures(), 0);
}

static bool make_file(void)
{
    const int fd = mkstemp(path);
    const bool made = fd >= 0 && write(fd, "data", 4) == 4;

    if (fd >= 0) {
        close(fd);
    }
    return made;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_call_may_fail_once),
        cmocka_unit_test(steady_state_takes_nothing_from_the_heap),
    };
    int failed;

    if (!make_file()) {
        perror(path);
        return 1;
    }
    local_key = rt_local_create();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
