/* SPDX-License-Identifier: MIT */
/*
 * Peer: libuv. Work reaches another thread's loop through a list under a lock
 * and uv_async_send(), as libuv's guide has it: libuv itself has no such queue.
 */
#include <stdlib.h>
#include <uv.h>

#include "peer.h"
#include "uv_files.h"

#define NS_PER_MS 1000000

/* Says what failed when libuv's result is below 0. */
static void must(const char *what, int result)
{
    if (result < 0) {
        peer_fail("%s: %s", what, uv_strerror(result));
    }
}

static void closed(uv_handle_t *unused)
{
    (void)unused;
}

static void tick(uv_timer_t *unused)
{
    (void)unused;
    peer_fail("timer_arm: a timer that lies far ahead has fired");
}

/* The unit: a timer armed and disarmed, with others armed meanwhile. */
static void timer_arm(struct peer_run *run)
{
    static uv_timer_t others[PEER_OTHERS];
    uint64_t unmeasured = run->units / 10 + 1;
    uv_timer_t timer;
    uv_loop_t loop;

    must("uv_loop_init", uv_loop_init(&loop));
    must("uv_timer_init", uv_timer_init(&loop, &timer));
    for (unsigned i = 0; i < PEER_OTHERS; i++) {
        must("uv_timer_init", uv_timer_init(&loop, &others[i]));
        must("uv_timer_start", uv_timer_start(&others[i], tick, PEER_OTHERS_NS / NS_PER_MS + i, 0));
    }
    for (uint64_t i = 0; i < run->units + unmeasured; i++) {
        if (i == unmeasured) {
            peer_begin(run);
        }
        uv_update_time(&loop); /* as a deadline "10 s from now" reads the clock */
        must("uv_timer_start", uv_timer_start(&timer, tick, PEER_FAR_NS / NS_PER_MS, 0));
        must("uv_timer_stop", uv_timer_stop(&timer));
    }
    peer_end(run, run->units);
    uv_close((uv_handle_t *)&timer, closed);
    for (unsigned i = 0; i < PEER_OTHERS; i++) {
        uv_close((uv_handle_t *)&others[i], closed);
    }
    must("uv_run", uv_run(&loop, UV_RUN_DEFAULT));
    must("uv_loop_close", uv_loop_close(&loop));
}

/* sleep_many: timers that are armed again when they have fired. libuv counts in milliseconds. */
static struct {
    uint64_t random;
    uint64_t slept;
    uint64_t before;
    bool over;
} many;

static void sleep_on(uv_timer_t *timer)
{
    many.slept++;
    if (!many.over) {
        uv_update_time(timer->loop); /* as a deadline reads the clock */
        must("uv_timer_start",
             uv_timer_start(timer, sleep_on, (uint64_t)peer_sleep_ns(&many.random) / NS_PER_MS, 0));
    }
}

static void end_window(uv_timer_t *timer)
{
    peer_cpu_end(timer->data, many.slept - many.before);
    many.over = true;
}

static void begin_window(uv_timer_t *timer)
{
    peer_cpu_begin(timer->data);
    many.before = many.slept;
    must("uv_timer_start", uv_timer_start(timer, end_window, PEER_WINDOW_NS / NS_PER_MS, 0));
}

static void sleep_many(struct peer_run *run)
{
    uv_timer_t *timers = peer_memory(PEER_SLEEPERS, sizeof(uv_timer_t));
    uv_timer_t window;
    uv_loop_t loop;

    many.random = 1;
    many.slept = 0;
    many.over = false;
    must("uv_loop_init", uv_loop_init(&loop));
    must("uv_timer_init", uv_timer_init(&loop, &window));
    window.data = run;
    for (unsigned i = 0; i < PEER_SLEEPERS; i++) {
        must("uv_timer_init", uv_timer_init(&loop, &timers[i]));
        must("uv_timer_start",
             uv_timer_start(&timers[i], sleep_on, (uint64_t)peer_sleep_ns(&many.random) / NS_PER_MS,
                            0));
    }
    must("uv_timer_start", uv_timer_start(&window, begin_window, PEER_WARM_UP_NS / NS_PER_MS, 0));
    must("uv_run", uv_run(&loop, UV_RUN_DEFAULT)); /* until no timer is armed */
    uv_close((uv_handle_t *)&window, closed);
    for (unsigned i = 0; i < PEER_SLEEPERS; i++) {
        uv_close((uv_handle_t *)&timers[i], closed);
    }
    must("uv_run", uv_run(&loop, UV_RUN_DEFAULT));
    must("uv_loop_close", uv_loop_close(&loop));
    free(timers);
}

/* A function to run on the other loop; it comes back with its result. */
struct call {
    int (*fn)(void *);
    void *arg;
    int result;
    struct call *next;
};

/* A loop, and how others reach it. */
struct side {
    uv_loop_t loop;
    uv_async_t async;
    uv_mutex_t lock;
    struct call *first, **last; /* under `lock` */
    bool stop;                  /* the loop's own */
} __attribute__((aligned(128)));

static struct side sides[2]; /* 0 asks, 1 serves */

static void side_open(struct side *side, uv_async_cb fn)
{
    must("uv_loop_init", uv_loop_init(&side->loop));
    must("uv_async_init", uv_async_init(&side->loop, &side->async, fn));
    must("uv_mutex_init", uv_mutex_init(&side->lock));
    side->async.data = side;
    side->first = NULL;
    side->last = &side->first;
    side->stop = false;
}

static void side_close(struct side *side)
{
    uv_close((uv_handle_t *)&side->async, closed);
    must("uv_run", uv_run(&side->loop, UV_RUN_DEFAULT));
    must("uv_loop_close", uv_loop_close(&side->loop));
    uv_mutex_destroy(&side->lock);
}

static void side_send(struct side *side, struct call *call)
{
    call->next = NULL;
    uv_mutex_lock(&side->lock);
    *side->last = call;
    side->last = &call->next;
    uv_mutex_unlock(&side->lock);
    must("uv_async_send", uv_async_send(&side->async));
}

static struct call *side_take(struct side *side)
{
    struct call *calls;

    uv_mutex_lock(&side->lock);
    calls = side->first;
    side->first = NULL;
    side->last = &side->first;
    uv_mutex_unlock(&side->lock);
    return calls;
}

/* On side 1: run what was sent, and send it back when it wants that. */
static void serve_calls(uv_async_t *async)
{
    struct call *next;

    for (struct call *call = side_take(async->data); call != NULL; call = next) {
        next = call->next; /* before it goes back */
        call->result = call->fn(call->arg);
        if (!sides[1].stop) {
            side_send(&sides[0], call);
        }
    }
}

/* Called on side 1, as the last. */
static int stop_serving(void *unused)
{
    (void)unused;
    sides[1].stop = true;
    uv_stop(&sides[1].loop);
    return 0;
}

static int add_one(void *arg)
{
    return (int)(intptr_t)arg + 1;
}

/* What side 0 knows of its calls. */
static struct calls {
    struct call call[PEER_IN_FLIGHT];
    uint64_t begun, ended, total, unmeasured;
    struct peer_run *run;
} calls;

static void begin_call(struct call *call)
{
    *call = (struct call){ .fn = add_one, .arg = (void *)(intptr_t)(calls.begun & INT16_MAX) };
    calls.begun++;
    side_send(&sides[1], call);
}

/* On side 0: look at what came back, and begin another call for each. */
static void end_calls(uv_async_t *async)
{
    struct call *next;

    for (struct call *call = side_take(async->data); call != NULL; call = next) {
        next = call->next;
        if (call->result != (int)(intptr_t)call->arg + 1) {
            peer_fail("a call has a wrong result");
        }
        calls.ended++;
        if (calls.ended == calls.unmeasured) {
            peer_begin(calls.run);
        } else if (calls.ended == calls.total) {
            peer_end(calls.run, calls.total - calls.unmeasured);
        }
        if (calls.begun < calls.total) {
            begin_call(call);
        }
    }
}

static void *spin_until_stopped(void *unused)
{
    while (!sides[1].stop) {
        (void)uv_run(&sides[1].loop, UV_RUN_NOWAIT);
    }
    return unused;
}

/* The unit: a call that came back, with so many in flight. Both loops turn without sleeping. */
static void run_calls(struct peer_run *run, unsigned in_flight)
{
    struct call stop = { .fn = stop_serving };
    pthread_t other;

    calls.begun = 0;
    calls.ended = 0;
    calls.unmeasured = run->units / 10 + 1;
    calls.total = calls.unmeasured + run->units;
    calls.run = run;
    side_open(&sides[0], end_calls);
    side_open(&sides[1], serve_calls);
    other = peer_thread(run->cpus[1], spin_until_stopped, NULL);
    for (unsigned i = 0; i < in_flight && calls.begun < calls.total; i++) {
        begin_call(&calls.call[i]);
    }
    while (calls.ended < calls.total) {
        (void)uv_run(&sides[0].loop, UV_RUN_NOWAIT);
    }
    side_send(&sides[1], &stop);
    peer_join(other);
    side_close(&sides[0]);
    side_close(&sides[1]);
}

static void call1(struct peer_run *run)
{
    run_calls(run, 1);
}

static void call64(struct peer_run *run)
{
    run_calls(run, PEER_IN_FLIGHT);
}

static void *sleep_until_stopped(void *unused)
{
    (void)uv_run(&sides[1].loop, UV_RUN_DEFAULT);
    return unused;
}

static int note_arrival(void *arg)
{
    __atomic_store_n((int64_t *)arg, peer_now(), __ATOMIC_RELEASE);
    return 0;
}

static void serve_wakes(uv_async_t *async)
{
    struct call *call = side_take(async->data);

    if (call != NULL) {
        (void)call->fn(call->arg); /* the last thing that touches the call */
    }
}

static void send_wake(void *call)
{
    side_send(&sides[1], call);
}

static void wake(struct peer_run *run)
{
    static int64_t arrived __attribute__((aligned(128)));
    struct call note = { .fn = note_arrival, .arg = &arrived };
    struct call stop = { .fn = stop_serving };
    pthread_t other;

    side_open(&sides[1], serve_wakes);
    other = peer_thread(run->cpus[1], sleep_until_stopped, NULL);
    peer_wakes(run, &arrived, send_wake, &note);
    side_send(&sides[1], &stop);
    peer_join(other);
    side_close(&sides[1]);
}

/* A function that the loop runs for a thread that has none, which waits by a semaphore. */
struct submission {
    struct call call; /* first, so that one is the other */
    uv_sem_t done;
};

static void serve_submissions(uv_async_t *async)
{
    struct call *next;

    for (struct call *call = side_take(async->data); call != NULL; call = next) {
        next = call->next; /* before it goes back */
        call->result = call->fn(call->arg);
        if (!sides[1].stop) {
            uv_sem_post(&((struct submission *)call)->done);
        }
    }
}

static void submit_all(struct submission *submissions, uint64_t batch)
{
    for (uint64_t k = 0; k < batch; k++) {
        submissions[k].call = (struct call){ .fn = add_one, .arg = (void *)(intptr_t)k };
        side_send(&sides[1], &submissions[k].call);
    }
    for (uint64_t k = 0; k < batch; k++) {
        uv_sem_wait(&submissions[k].done);
        if (submissions[k].call.result != (int)k + 1) {
            peer_fail("a function has a wrong result");
        }
    }
}

/* The unit: a function that was run, so many sent, then all waited for. */
static void run_submissions(struct peer_run *run, uint64_t batch)
{
    struct submission submissions[PEER_IN_FLIGHT];
    struct call stop = { .fn = stop_serving };
    const uint64_t batches = (run->units + batch - 1) / batch;
    const uint64_t untimed = batches / 10 + 1;
    pthread_t other;

    side_open(&sides[1], serve_submissions);
    for (uint64_t k = 0; k < batch; k++) {
        must("uv_sem_init", uv_sem_init(&submissions[k].done, 0));
    }
    other = peer_thread(run->cpus[1], sleep_until_stopped, NULL);
    for (uint64_t i = 0; i < untimed + batches; i++) {
        if (i == untimed) {
            peer_begin(run);
        }
        submit_all(submissions, batch);
    }
    peer_end(run, batches * batch);
    side_send(&sides[1], &stop);
    peer_join(other);
    for (uint64_t k = 0; k < batch; k++) {
        uv_sem_destroy(&submissions[k].done);
    }
    side_close(&sides[1]);
}

static void submit1(struct peer_run *run)
{
    run_submissions(run, 1);
}

static void submit64(struct peer_run *run)
{
    run_submissions(run, PEER_IN_FLIGHT);
}

/* A connection of the echo server. What was read is written before more is read. */
struct session {
    uv_tcp_t tcp;
    char bytes[4096];
};

static void give_room(uv_handle_t *handle, size_t wanted, uv_buf_t *out)
{
    struct session *session = (struct session *)handle;

    (void)wanted;
    *out = uv_buf_init(session->bytes, sizeof(session->bytes));
}

static void session_closed(uv_handle_t *handle)
{
    free(handle);
}

static void came(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    uv_buf_t rest = uv_buf_init(buf->base, n > 0 ? (unsigned)n : 0);

    if (n < 0) {
        uv_close((uv_handle_t *)stream, session_closed);
    } else if (n > 0 && uv_try_write(stream, &rest, 1) != n) {
        peer_fail("tcp_echo: a socket does not take %zd bytes", n);
    }
}

static void accept_one(uv_stream_t *listener, int status)
{
    struct session *session = peer_memory(1, sizeof(*session));

    must("uv_listen", status);
    must("uv_tcp_init", uv_tcp_init(listener->loop, &session->tcp));
    must("uv_accept", uv_accept(listener, (uv_stream_t *)&session->tcp));
    must("uv_tcp_nodelay", uv_tcp_nodelay(&session->tcp, 1));
    must("uv_read_start", uv_read_start((uv_stream_t *)&session->tcp, give_room, came));
}

static void serve(int fd)
{
    uv_tcp_t listener;
    uv_loop_t loop;

    must("uv_loop_init", uv_loop_init(&loop));
    must("uv_tcp_init", uv_tcp_init(&loop, &listener));
    must("uv_tcp_open", uv_tcp_open(&listener, fd));
    must("uv_listen", uv_listen((uv_stream_t *)&listener, SOMAXCONN, accept_one));
    must("uv_run", uv_run(&loop, UV_RUN_DEFAULT));
}

static const struct peer_row rows[] = {
    { .name = "timer_arm", .run = timer_arm },
    { .name = "sleep_many", .run = sleep_many },
    { .name = "xcore_call1", .run = call1, .pair = true },
    { .name = "xcore_call64", .run = call64, .pair = true },
    { .name = "xcore_wake", .run = wake, .pair = true },
    { .name = "foreign_submit", .run = submit1, .pair = true },
    { .name = "foreign_submit64", .run = submit64, .pair = true },
    { .name = "tcp_echo", .serve = serve, .pair = true },
    { .name = "name_open", .run = uv_name_open },
    { .name = "name_create", .run = uv_name_create },
    { .name = "name_rename", .run = uv_name_rename },
    { .name = "file_stat", .run = uv_file_stat },
    { .name = "file_load", .run = uv_file_load },
    { .name = "blocking", .run = uv_blocking },
    { .name = "list_1000", .run = uv_list_1000 },
};

int main(int argc, char **argv)
{
    static char version[32];

    snprintf(version, sizeof(version), "libuv %s", uv_version_string());
    return peer_main(argc, argv, version, rows, sizeof(rows) / sizeof(rows[0]));
}
