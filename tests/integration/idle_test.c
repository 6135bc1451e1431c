/* SPDX-License-Identifier: MIT */
/*
 * An executor with nothing to do sleeps in the kernel: it takes no CPU time and
 * does not wake by itself, whatever it has served before.
 *
 * A second thread reads what the kernel counts about the executor's thread. It
 * first waits until the counts stand still, then holds two readings half a
 * second apart against each other. Its own sleep is the span that is measured,
 * nothing is synchronised by it. Then it ends the executor's wait by a
 * connection, made with plain system calls.
 */
#include "support/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "rt/rt.h"

#define SPAN     RT_MILLISECONDS(500)
#define CPU_MAX  RT_MILLISECONDS(1)
#define ATTEMPTS 200 /* of 10 ms each, until the executor has gone to sleep */

struct reading {
    uint64_t cpu_ns;
    uint64_t voluntary_switches;
    char state; /* 'S': it sleeps */
};

/* Written by the executor's thread before the observer is started, and by the observer after. */
struct world {
    pid_t thread;
    struct sockaddr_in address;
    struct reading before;
    struct reading after;
    bool settled; /* the counts stood still before `before` was read */
};

static bool read_text(pid_t thread, const char *name, char *text, size_t bytes)
{
    char path[64];
    ssize_t n;
    int fd;

    snprintf(path, sizeof(path), "/proc/self/task/%d/%s", (int)thread, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    n = read(fd, text, bytes - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

static bool take_reading(pid_t thread, struct reading *out)
{
    static const char switches[] = "\nvoluntary_ctxt_switches:";
    static const char state[] = "\nState:\t";
    char text[4096];
    const char *found;

    if (!read_text(thread, "schedstat", text, sizeof(text))) {
        return false;
    }
    out->cpu_ns = strtoull(text, NULL, 10);
    if (!read_text(thread, "status", text, sizeof(text))) {
        return false;
    }
    found = strstr(text, state);
    out->state = found != NULL ? found[strlen(state)] : '?';
    found = strstr(text, switches);
    out->voluntary_switches = found != NULL ? strtoull(found + strlen(switches), NULL, 10) : 0;
    return found != NULL;
}

static void pass_time(rt_time span)
{
    const struct timespec time = { .tv_sec = span / RT_SECONDS(1),
                                   .tv_nsec = span % RT_SECONDS(1) };

    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
}

static void *observe(void *arg)
{
    struct world *world = arg;
    int fd;

    (void)take_reading(world->thread, &world->before);
    for (unsigned i = 0; i < ATTEMPTS && !world->settled; i++) {
        struct reading earlier = world->before;

        pass_time(RT_MILLISECONDS(10));
        (void)take_reading(world->thread, &world->before);
        world->settled = world->before.state == 'S' && earlier.state == 'S' &&
                         earlier.voluntary_switches == world->before.voluntary_switches &&
                         earlier.cpu_ns == world->before.cpu_ns;
    }
    pass_time(SPAN);
    (void)take_reading(world->thread, &world->after);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&world->address, sizeof(world->address)) < 0) {
        perror("the observer cannot connect");
        abort(); /* nobody else would wake the executor */
    }
    close(fd);
    return NULL;
}

/* Some work of each kind, so that timers, cancels and workers have been in use. */
static void serve_something(struct rt_tcp_listener *listener, const char *address)
{
    struct rt_tcp_stream *near;
    struct rt_tcp_stream *far;
    struct rt_file *file;
    char buf[8];

    T_CHECK(rt_tcp_connect(&near, address, NULL, RT_NEVER) == 0);
    T_CHECK(rt_tcp_accept(listener, &far, rt_in(RT_SECONDS(20))) == 0);
    for (unsigned i = 0; i < 100; i++) {
        T_CHECK(rt_tcp_send(near, "ping", 4, RT_NEVER) == 4);
        T_CHECK(rt_tcp_recv(far, buf, sizeof(buf), rt_in(RT_SECONDS(20))) == 4);
        T_CHECK(rt_tcp_recv(far, buf, sizeof(buf), rt_in(1000)) == -ETIME);
        T_CHECK(rt_sleep_until(rt_in(1000)) == 0);
    }
    rt_tcp_close(near);
    rt_tcp_close(far);
    T_CHECK(rt_file_open(&file, "/proc/self/status", O_RDONLY, 0, RT_NEVER) == 0);
    T_CHECK(rt_file_read_at(file, buf, sizeof(buf), 0, RT_NEVER) == sizeof(buf));
    T_CHECK(rt_file_close(file) == 0);
}

static int park(void *arg)
{
    (void)arg;
    return rt_park(RT_NEVER);
}

static int first(void *arg)
{
    struct world *world = arg;
    struct rt_tcp_listener *listener;
    struct rt_tcp_stream *stream;
    char address[RT_TCP_ADDRESS_BYTES];
    pthread_t observer;

    T_CHECK(rt_tcp_listen(&listener, "127.0.0.1:0", NULL) == 0);
    T_CHECK(rt_tcp_listener_address(listener, address, sizeof(address)) == 0);
    serve_something(listener, address);
    T_CHECK(rt_spawn(NULL, park, NULL) == 0); /* a task that waits for nothing in the kernel */
    world->thread = gettid();
    world->address = (struct sockaddr_in){ .sin_family = AF_INET,
                                           .sin_addr = { htonl(INADDR_LOOPBACK) } };
    world->address.sin_port = htons((uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10));
    T_CHECK(pthread_create(&observer, NULL, observe, world) == 0);
    T_CHECK(rt_tcp_accept(listener, &stream, RT_NEVER) == 0);
    T_CHECK(pthread_join(observer, NULL) == 0); /* it has nothing left to do but return */
    rt_tcp_close(stream);
    rt_tcp_listener_close(listener);
    return 0;
}

static const char *why_skipped;

struct idle {
    struct rt_config config;
    struct world world;
    int result;
};

static void *run_idle(void *arg)
{
    struct idle *idle = arg;

    idle->result = rt_run(&idle->config, first, &idle->world);
    return NULL;
}

/* In a thread of its own: a kernel worker that takes an old ring down wakes the thread that had it.
 */
static void check_idle(enum rt_spin_policy policy)
{
    struct idle idle = { .config = RT_CONFIG_INIT };
    const struct world *world = &idle.world;
    pthread_t thread;

    if (!take_reading(gettid(), &idle.world.before)) {
        why_skipped = "this kernel does not count per thread in /proc";
        skip();
    }
    idle.config.spin_policy = policy;
    assert_int_equal(pthread_create(&thread, NULL, run_idle, &idle), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    if (idle.result == -ENOSYS || idle.result == -EOPNOTSUPP || idle.result == -EPERM) {
        why_skipped = "no io_uring here";
        skip();
    }
    assert_int_equal(idle.result, 0);
    assert_int_equal(t_failures(), 0);
    assert_true(world->settled);
    print_message("idle for %lld ms: %" PRIu64 " ns of CPU time, %" PRIu64 " switches\n",
                  (long long)(SPAN / RT_MILLISECONDS(1)),
                  world->after.cpu_ns - world->before.cpu_ns,
                  world->after.voluntary_switches - world->before.voluntary_switches);
    assert_true(world->after.cpu_ns - world->before.cpu_ns < (uint64_t)CPU_MAX);
    assert_int_equal(world->after.voluntary_switches, world->before.voluntary_switches);
}

static void an_idle_executor_takes_no_cpu_time_and_does_not_wake(void **state)
{
    (void)state;
    check_idle(RT_SPIN_FIXED);
}

static void nor_does_one_that_looks_for_work_before_it_sleeps(void **state)
{
    (void)state;
    check_idle(RT_SPIN_ADAPTIVE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_executor_takes_no_cpu_time_and_does_not_wake),
        cmocka_unit_test(nor_does_one_that_looks_for_work_before_it_sleeps),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);

    if (why_skipped != NULL) {
        fprintf(stderr, "skipped: %s\n", why_skipped);
        return T_EXIT_SKIPPED;
    }
    return failed;
}
