/* SPDX-License-Identifier: MIT */
/*
 * The use of an object on the wrong shard aborts and names both shards; one case per call.
 *
 * Shard 0 makes every object and, where an object of itself belongs to nobody, has a task wait for
 * it. Then shard 1 makes the one call. Each case runs in a child, since it dies (support/death.h).
 */
#include "support/death.h"

#include <fcntl.h>

#include "rt/rt.h"

#define DATA_BYTES 4096

static char buf[DATA_BYTES];

static struct rt_task *task;
static struct rt_taskq *queue;
static struct rt_group group = RT_GROUP_INIT;
static struct rt_scope scope;
static struct rt_event event = RT_EVENT_INIT;
static struct rt_mutex mutex = RT_MUTEX_INIT;
static struct rt_rwlock read_held = RT_RWLOCK_INIT;
static struct rt_rwlock write_held = RT_RWLOCK_INIT;
static struct rt_semaphore semaphore = RT_SEMAPHORE_INIT(0);
static struct rt_condition condition = RT_CONDITION_INIT;
static struct rt_mutex condition_mutex = RT_MUTEX_INIT;
static struct rt_gate gate = RT_GATE_INIT;
static struct rt_once once = RT_ONCE_INIT;
static struct rt_oneshot oneshot = RT_ONESHOT_INIT;
static struct rt_chan *chan;
static struct rt_spsc *spsc;
static struct rt_buffer *buffer;
static struct rt_file *file;
static struct rt_reader *reader;
static struct rt_writer *writer;
static struct rt_directory *directory;
static struct rt_watch *watch;
static struct rt_tcp_listener *listener;
static struct rt_tcp_stream *stream;
static struct rt_future future;
static struct rt_call call;

/* ---- shard 0 ---- */

static int park(void *arg)
{
    (void)arg;
    return rt_park(RT_NEVER);
}

static int stand_in_scope(void *arg)
{
    (void)arg;
    rt_scope_enter(&scope, RT_NEVER);
    (void)rt_park(RT_NEVER);
    return rt_scope_leave(&scope);
}

static int wait_for_event(void *arg)
{
    (void)arg;
    return rt_event_wait(&event, RT_NEVER);
}

static int hold_locks(void *arg)
{
    (void)arg;
    T_CHECK(rt_mutex_lock(&mutex, RT_NEVER) == 0);
    T_CHECK(rt_rwlock_read_lock(&read_held, RT_NEVER) == 0);
    T_CHECK(rt_rwlock_write_lock(&write_held, RT_NEVER) == 0);
    return rt_park(RT_NEVER);
}

static int wait_to_write(void *arg)
{
    (void)arg;
    return rt_rwlock_write_lock(&read_held, RT_NEVER);
}

static int wait_for_semaphore(void *arg)
{
    (void)arg;
    return rt_semaphore_take(&semaphore, 2, RT_NEVER);
}

static int wait_for_condition(void *arg)
{
    (void)arg;
    T_CHECK(rt_mutex_lock(&condition_mutex, RT_NEVER) == 0);
    return rt_condition_wait(&condition, &condition_mutex, RT_NEVER);
}

static int close_gate(void *arg)
{
    (void)arg;
    return rt_gate_close(&gate, RT_NEVER);
}

static int run_once(void *arg)
{
    (void)arg;
    return rt_once_run(&once, park, NULL, RT_NEVER);
}

static int wait_for_oneshot(void *arg)
{
    void *value;

    (void)arg;
    return rt_oneshot_recv(&oneshot, &value, RT_NEVER);
}

static int poll_event(struct rt_future *self)
{
    return rt_poll_event(self, &event, RT_NEVER);
}

static void make_tasks(void)
{
    static const rt_task_fn waiting[] = {
        stand_in_scope,     wait_for_event, hold_locks, wait_to_write,    wait_for_semaphore,
        wait_for_condition, close_gate,     run_once,   wait_for_oneshot,
    };

    T_CHECK(rt_gate_enter(&gate) == 0);
    T_CHECK(rt_spawn(&task, park, NULL) == 0);
    T_CHECK(rt_group_spawn(&group, park, NULL) == 0);
    future = (struct rt_future)RT_FUTURE_INIT(poll_event, NULL);
    T_CHECK(rt_spawn_future(NULL, &future) == 0);
    for (size_t i = 0; i < sizeof(waiting) / sizeof(waiting[0]); i++) {
        T_CHECK(rt_spawn(NULL, waiting[i], NULL) == 0);
        rt_yield();
    }
}

static void make_objects(void)
{
    const struct rt_taskq_options options = RT_TASKQ_OPTIONS_INIT;

    T_CHECK(rt_taskq_create(&queue, &options) == 0);
    T_CHECK(rt_chan_create(&chan, 1, 1) == 0);
    T_CHECK(rt_spsc_create(&spsc, 1, 2) == 0);
    T_CHECK(rt_spsc_send(spsc, "x", 1, NULL, RT_NEVER) == 0);
    T_CHECK(rt_buffer_get(&buffer, DATA_BYTES) == 0);
    sim_file_put("data", buf, sizeof(buf));
    T_CHECK(rt_file_open(&file, "data", O_RDWR, 0, RT_NEVER) == 0);
    T_CHECK(rt_reader_open(&reader, file, NULL) == 0);
    T_CHECK(rt_writer_open(&writer, file, NULL) == 0);
    T_CHECK(rt_directory_open(&directory, NULL, ".", RT_NEVER) == 0);
    T_CHECK(rt_watch_open(&watch) == 0);
    T_CHECK(rt_tcp_listen(&listener, "127.0.0.1:7000", NULL) == 0);
    T_CHECK(rt_tcp_connect(&stream, "127.0.0.1:7000", NULL, RT_NEVER) == 0);
}

/* ---- shard 1: one of these each time ---- */

static void cancel(void)
{
    rt_cancel(task);
}

static void detach(void)
{
    rt_detach(task);
}

static void is_finished(void)
{
    (void)rt_is_finished(task);
}

static void join(void)
{
    T_CHECK(rt_join(task, NULL, 0) == 0);
}

static void spawn_in(void)
{
    T_CHECK(rt_spawn_in(NULL, queue, park, NULL) == 0);
}

static void taskq_shares(void)
{
    T_CHECK(rt_taskq_set_shares(queue, 7) == 0);
}

static void taskq_latency(void)
{
    T_CHECK(rt_taskq_set_latency(queue, 0) == 0);
}

static void taskq_destroy(void)
{
    T_CHECK(rt_taskq_destroy(queue) == 0);
}

static void group_spawn(void)
{
    T_CHECK(rt_group_spawn(&group, park, NULL) == 0);
}

static void group_wait(void)
{
    T_CHECK(rt_group_wait(&group, 0) == 0);
}

static void group_cancel(void)
{
    rt_group_cancel(&group);
}

static void group_leave(void)
{
    T_CHECK(rt_group_leave(&group, 0) == 0);
}

static void scope_cancel(void)
{
    rt_scope_cancel(&scope);
}

static void event_set(void)
{
    rt_event_set(&event);
}

static void event_reset(void)
{
    rt_event_reset(&event);
}

static void event_is_set(void)
{
    (void)rt_event_is_set(&event);
}

static void event_wait(void)
{
    T_CHECK(rt_event_wait(&event, RT_NEVER) == 0);
}

static void event_select(void)
{
    struct rt_case one = rt_case_event(&event);

    T_CHECK(rt_select(&one, 1, RT_NEVER) == 0);
}

static void mutex_lock(void)
{
    T_CHECK(rt_mutex_lock(&mutex, RT_NEVER) == 0);
}

static void mutex_unlock(void)
{
    rt_mutex_unlock(&mutex);
}

static void read_lock(void)
{
    T_CHECK(rt_rwlock_read_lock(&write_held, RT_NEVER) == 0);
}

static void write_lock(void)
{
    T_CHECK(rt_rwlock_write_lock(&write_held, RT_NEVER) == 0);
}

static void read_unlock(void)
{
    rt_rwlock_read_unlock(&read_held);
}

static void write_unlock(void)
{
    rt_rwlock_write_unlock(&write_held);
}

static void semaphore_take(void)
{
    T_CHECK(rt_semaphore_take(&semaphore, 1, RT_NEVER) == 0);
}

static void semaphore_put(void)
{
    rt_semaphore_put(&semaphore, 1);
}

static void semaphore_close(void)
{
    rt_semaphore_close(&semaphore);
}

static void condition_signal(void)
{
    rt_condition_signal(&condition);
}

static void condition_broadcast(void)
{
    rt_condition_broadcast(&condition);
}

static void gate_close(void)
{
    T_CHECK(rt_gate_close(&gate, RT_NEVER) == 0);
}

static void gate_leave(void)
{
    rt_gate_leave(&gate);
}

static void once_run(void)
{
    T_CHECK(rt_once_run(&once, park, NULL, RT_NEVER) == 0);
}

static void oneshot_send(void)
{
    rt_oneshot_send(&oneshot, NULL);
}

static void oneshot_recv(void)
{
    void *value;

    T_CHECK(rt_oneshot_recv(&oneshot, &value, RT_NEVER) == 0);
}

static void oneshot_close(void)
{
    rt_oneshot_close(&oneshot);
}

static void chan_send(void)
{
    T_CHECK(rt_chan_send(chan, buf, RT_NEVER) == 0);
}

static void chan_recv(void)
{
    T_CHECK(rt_chan_recv(chan, buf, RT_NEVER) == 0);
}

static void chan_close(void)
{
    rt_chan_close(chan);
}

static void spsc_send(void)
{
    T_CHECK(rt_spsc_send(spsc, buf, 1, NULL, RT_NEVER) == 0);
}

static void buffer_data(void)
{
    (void)rt_buffer_data(buffer);
}

static void buffer_put(void)
{
    rt_buffer_put(buffer);
}

static void file_read(void)
{
    T_CHECK(rt_file_read_at(file, buf, 1, 0, RT_NEVER) == 0);
}

static void file_write(void)
{
    T_CHECK(rt_file_write_at(file, buf, 1, 0, RT_NEVER) == 0);
}

static void file_sync(void)
{
    T_CHECK(rt_file_sync(file, RT_NEVER) == 0);
}

static void file_share(void)
{
    struct rt_file_share share;

    T_CHECK(rt_file_share(file, &share) == 0);
}

static void file_drop(void)
{
    T_CHECK(rt_file_drop(file) == 0);
}

static void file_close(void)
{
    T_CHECK(rt_file_close(file) == 0);
}

static void reader_open(void)
{
    T_CHECK(rt_reader_open(&reader, file, NULL) == 0);
}

static void reader_read(void)
{
    T_CHECK(rt_reader_read(reader, buf, 1, RT_NEVER) == 0);
}

static void reader_peek(void)
{
    const void *data;

    T_CHECK(rt_reader_peek(reader, &data, RT_NEVER) == 0);
}

static void reader_consume(void)
{
    rt_reader_consume(reader, 0);
}

static void reader_seek(void)
{
    T_CHECK(rt_reader_seek(reader, 0) == 0);
}

static void reader_position(void)
{
    (void)rt_reader_position(reader);
}

static void reader_close(void)
{
    rt_reader_close(reader);
}

static void writer_open(void)
{
    T_CHECK(rt_writer_open(&writer, file, NULL) == 0);
}

static void writer_write(void)
{
    T_CHECK(rt_writer_write(writer, buf, 1, NULL, RT_NEVER) == 0);
}

static void writer_flush(void)
{
    T_CHECK(rt_writer_flush(writer, RT_NEVER) == 0);
}

static void writer_sync(void)
{
    T_CHECK(rt_writer_sync(writer, RT_NEVER) == 0);
}

static void writer_position(void)
{
    (void)rt_writer_position(writer);
}

static void writer_close(void)
{
    T_CHECK(rt_writer_close(writer) == 0);
}

static void directory_read(void)
{
    const struct rt_directory_entry *entries;

    T_CHECK(rt_directory_read(directory, &entries, RT_NEVER) == 0);
}

static void directory_open_at(void)
{
    T_CHECK(rt_file_open_at(&file, directory, "data", O_RDONLY, 0, RT_NEVER) == 0);
}

static void directory_close(void)
{
    T_CHECK(rt_directory_close(directory) == 0);
}

static void watch_read(void)
{
    const struct rt_watch_event *events;

    T_CHECK(rt_watch_read(watch, &events, RT_NEVER) == 0);
}

static void watch_close(void)
{
    rt_watch_close(watch);
}

static void tcp_accept(void)
{
    T_CHECK(rt_tcp_accept(listener, &stream, RT_NEVER) == 0);
}

static void tcp_listener_close(void)
{
    rt_tcp_listener_close(listener);
}

static void tcp_recv(void)
{
    T_CHECK(rt_tcp_recv(stream, buf, 1, RT_NEVER) == 0);
}

static void tcp_send(void)
{
    T_CHECK(rt_tcp_send(stream, buf, 1, RT_NEVER) == 0);
}

static void tcp_close(void)
{
    rt_tcp_close(stream);
}

static void tcp_readable(void)
{
    (void)rt_case_readable(stream);
}

static void call_end(void)
{
    T_CHECK(rt_call_end(&call, NULL, RT_NEVER) == 0);
}

struct misuse {
    void (*use)(void);
    const char *call;
    const char *what; /* NULL: the object */
};

static const struct misuse misuses[] = {
    { cancel, "rt_cancel", NULL },
    { detach, "rt_detach", NULL },
    { is_finished, "rt_is_finished", NULL },
    { join, "rt_join", NULL },
    { spawn_in, "a spawn in a task queue", NULL },
    { taskq_shares, "rt_taskq_set_shares", NULL },
    { taskq_latency, "rt_taskq_set_latency", NULL },
    { taskq_destroy, "rt_taskq_destroy", NULL },
    { group_spawn, "rt_group_spawn", NULL },
    { group_wait, "rt_group_wait", NULL },
    { group_cancel, "rt_group_cancel", NULL },
    { group_leave, "rt_group_leave", NULL },
    { scope_cancel, "rt_scope_cancel", NULL },
    { event_set, "rt_event_set", NULL },
    { event_reset, "rt_event_reset", NULL },
    { event_is_set, "rt_event_is_set", NULL },
    { event_wait, "rt_event_wait", NULL },
    { event_select, "rt_select", NULL },
    { mutex_lock, "rt_mutex_lock", NULL },
    { mutex_unlock, "rt_mutex_unlock", NULL },
    { read_lock, "rt_rwlock_read_lock", NULL },
    { write_lock, "rt_rwlock_write_lock", NULL },
    { read_unlock, "rt_rwlock_read_unlock", NULL },
    { write_unlock, "rt_rwlock_write_unlock", NULL },
    { semaphore_take, "rt_semaphore_take", NULL },
    { semaphore_put, "rt_semaphore_put", NULL },
    { semaphore_close, "rt_semaphore_close", NULL },
    { condition_signal, "rt_condition_signal", NULL },
    { condition_broadcast, "rt_condition_broadcast", NULL },
    { gate_close, "rt_gate_close", NULL },
    { gate_leave, "rt_gate_leave", NULL },
    { once_run, "rt_once_run", NULL },
    { oneshot_send, "rt_oneshot_send", NULL },
    { oneshot_recv, "rt_oneshot_recv", NULL },
    { oneshot_close, "rt_oneshot_close", NULL },
    { chan_send, "rt_chan_send", NULL },
    { chan_recv, "rt_chan_recv", NULL },
    { chan_close, "rt_chan_close", NULL },
    { spsc_send, "rt_spsc_send", "this end of the channel" },
    { buffer_data, "rt_buffer_data", "the buffer" },
    { buffer_put, "rt_buffer_put", "the buffer" },
    { file_read, "rt_file_read_at", NULL },
    { file_write, "rt_file_write_at", NULL },
    { file_sync, "rt_file_sync", NULL },
    { file_share, "rt_file_share", NULL },
    { file_drop, "rt_file_drop", NULL },
    { file_close, "rt_file_close", NULL },
    { reader_open, "rt_reader_open", NULL },
    { reader_read, "rt_reader_read", NULL },
    { reader_peek, "rt_reader_peek", NULL },
    { reader_consume, "rt_reader_consume", NULL },
    { reader_seek, "rt_reader_seek", NULL },
    { reader_position, "rt_reader_position", NULL },
    { reader_close, "rt_reader_close", NULL },
    { writer_open, "rt_writer_open", NULL },
    { writer_write, "rt_writer_write", NULL },
    { writer_flush, "rt_writer_flush", NULL },
    { writer_sync, "rt_writer_sync", NULL },
    { writer_position, "rt_writer_position", NULL },
    { writer_close, "rt_writer_close", NULL },
    { directory_read, "rt_directory_read", NULL },
    { directory_open_at, "rt_file_open_at", NULL },
    { directory_close, "rt_directory_close", NULL },
    { watch_read, "rt_watch_read", NULL },
    { watch_close, "rt_watch_close", NULL },
    { tcp_accept, "rt_tcp_accept", NULL },
    { tcp_listener_close, "rt_tcp_listener_close", NULL },
    { tcp_recv, "rt_tcp_recv", NULL },
    { tcp_send, "rt_tcp_send", NULL },
    { tcp_close, "rt_tcp_close", NULL },
    { tcp_readable, "rt_case_readable", NULL },
    { call_end, "rt_call_end", "the call" },
};

static int use_there(void *arg)
{
    const struct misuse *misuse = arg;

    misuse->use();
    return 0;
}

/* The first task of both shards. */
static int make_and_lend(void *arg)
{
    if (rt_shard_index() == 1) {
        return 0;
    }
    make_objects();
    make_tasks();
    T_CHECK(rt_call_begin(&call, 1, use_there, arg, RT_NEVER) == 0);
    return rt_call_end(&call, NULL, RT_NEVER);
}

static int run_two_shards(void *arg)
{
    struct rt_config config = RT_CONFIG_INIT;

    config.shards = 2;
    config.place = RT_PLACE_UNBOUND;
    return rt_start(&config, make_and_lend, arg);
}

static void the_wrong_shard_and_the_right_one_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(misuses) / sizeof(misuses[0]); i++) {
        struct misuse misuse = misuses[i];
        char text[160];

        snprintf(text, sizeof(text),
                 "%s(): %s belongs to shard 0 'shard-0', and this is shard 1 'shard-1'",
                 misuse.call, misuse.what != NULL ? misuse.what : "the object");
        assert_misuse_in_run(run_two_shards, &misuse, text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_wrong_shard_and_the_right_one_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
