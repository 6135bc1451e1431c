/* SPDX-License-Identifier: MIT */
/*
 * Chaos: random programs on a kernel full of trouble, one per seed.
 *
 * Each program has tasks that read and write a file, that send and receive a
 * stream of known bytes, that sleep, park and join, all with random deadlines,
 * on a ring of random size, on kernels old and new, with and without their
 * features; and one that cancels others at random moments. The kernel delays,
 * reorders, shortens, fails, overflows and interrupts. Whatever happens:
 *
 *   - bytes that were read are those of the file, bytes received are those sent, none lost;
 *   - nobody hangs (the sim would report a deadlock) and no count is left over;
 *   - a call that returned has given its buffer back (the sim poisons it, ASan sees it).
 *
 * RT_SEED=<seed> replays one seed, RT_SEEDS=<n> runs that many.
 */
#include "support/harness.h"
#include "support/rand.h"
#include "support/sim.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <string.h>

#include "rt/rt.h"

#define SEEDS        10000
#define FILE_BYTES   4096
#define WORKERS_MAX  6
#define STEPS_MAX    6
#define STREAM_LIMIT 600
#define CONNECTIONS  2
#define BESIDE       0x5a

/* One direction of one connection. The sender owns `sent`, the receiver `received`. */
struct stream_check {
    uint64_t sent;
    uint64_t received;
    bool broken;   /* an error ended one side: what was sent last may be lost */
    bool finished; /* the sender has shut down, after everything was taken by the kernel */
};

struct program {
    struct rand_state rand;
    struct rt_tcp_listener *listener;
    char address[RT_TCP_ADDRESS_BYTES];
    struct stream_check streams[CONNECTIONS];
    unsigned next_stream;
    struct rt_task *workers[WORKERS_MAX];
    unsigned worker_count;
    struct rt_waker parked;
    bool have_parked;
};

static unsigned char file_byte(uint64_t offset)
{
    return (unsigned char)(offset * 31 + (offset >> 8));
}

static unsigned char stream_byte(uint64_t position)
{
    return (unsigned char)(position * 7 + (position >> 7));
}

/* Never, soon, later, or only a try. */
static rt_time some_deadline(struct program *program)
{
    switch (rand_below(&program->rand, 4)) {
    case 0:
        return 0;
    case 1:
        return rt_in((rt_time)rand_below(&program->rand, 100000));
    case 2:
        return rt_in((rt_time)rand_below(&program->rand, 3000000));
    default:
        return RT_NEVER;
    }
}

/* Files: each worker writes what is there already, so every read can be checked. */

/* Bytes of the file in the middle of a buffer, and nothing beside them is touched. */
static void use_buffer(struct program *program, struct rt_file *file, size_t bytes, uint64_t offset)
{
    struct rt_buffer *buffer = NULL;
    unsigned char *data;
    ssize_t n;

    T_CHECK(rt_buffer_get(&buffer, 1) == 0);
    data = rt_buffer_data(buffer);
    memset(data, BESIDE, 3 * bytes);
    if (rand_chance(&program->rand, 500)) {
        n = rt_file_read_buffer(file, buffer, bytes, bytes, offset, some_deadline(program));
    } else {
        bytes = bytes < FILE_BYTES - offset ? bytes : FILE_BYTES - offset;
        for (size_t i = 0; i < bytes; i++) {
            data[bytes + i] = file_byte(offset + i);
        }
        n = rt_file_write_buffer(file, buffer, bytes, bytes, offset, some_deadline(program));
    }
    T_CHECK(n <= (ssize_t)bytes && offset + (uint64_t)(n > 0 ? n : 0) <= FILE_BYTES);
    for (ssize_t i = 0; i < n; i++) {
        T_CHECK(data[bytes + (size_t)i] == file_byte(offset + (uint64_t)i));
    }
    for (size_t i = 0; i < bytes; i++) {
        T_CHECK(data[i] == BESIDE && data[2 * bytes + i] == BESIDE);
    }
    rt_buffer_put(buffer);
}

static void use_file(struct program *program, struct rt_file *file)
{
    unsigned char buf[256];
    const uint64_t offset = rand_below(&program->rand, FILE_BYTES);
    const size_t bytes = 1 + rand_below(&program->rand, sizeof(buf));
    struct rt_file_stat stat;
    ssize_t n;

    switch (rand_below(&program->rand, 7)) {
    case 0:
    case 1:
        n = rt_file_read_at(file, buf, bytes, offset, some_deadline(program));
        T_CHECK(n <= (ssize_t)bytes && offset + (uint64_t)(n > 0 ? n : 0) <= FILE_BYTES);
        for (ssize_t i = 0; i < n; i++) {
            T_CHECK(buf[i] == file_byte(offset + (uint64_t)i));
        }
        break;
    case 2:
        for (size_t i = 0; i < bytes; i++) {
            buf[i] = file_byte(offset + i);
        }
        n = rt_file_write_at(file, buf, bytes < FILE_BYTES - offset ? bytes : FILE_BYTES - offset,
                             offset, some_deadline(program));
        T_CHECK(n <= (ssize_t)bytes);
        break;
    case 3:
        if (rt_file_stat(file, &stat, some_deadline(program)) == 0) {
            T_CHECK(stat.size_bytes == FILE_BYTES);
        }
        break;
    case 4:
        (void)rt_nop(some_deadline(program));
        break;
    case 5:
        use_buffer(program, file, bytes, offset);
        break;
    default:
        (void)(rand_chance(&program->rand, 500) ? rt_file_sync(file, some_deadline(program))
                                                : rt_file_datasync(file, some_deadline(program)));
        break;
    }
}

static int file_worker(void *arg)
{
    struct program *program = arg;
    const unsigned steps = (unsigned)rand_below(&program->rand, STEPS_MAX);
    struct rt_file *file;
    int r = rt_file_open(&file, "data", O_RDWR, 0, some_deadline(program));

    if (r < 0) {
        return r;
    }
    for (unsigned i = 0; i < steps; i++) {
        use_file(program, file);
    }
    (void)rt_file_close(file);
    return 0;
}

/* Streams */

static int receive_all(struct program *program, struct rt_tcp_stream *stream,
                       struct stream_check *check)
{
    unsigned char buf[64];
    ssize_t n;

    while ((n = rt_tcp_recv(stream, buf, 1 + rand_below(&program->rand, sizeof(buf)),
                            some_deadline(program))) != 0) {
        if (n == -ETIME) {
            rt_yield();
            continue; /* no byte was lost: go on */
        }
        if (n < 0) {
            check->broken = true;
            return (int)n;
        }
        for (ssize_t i = 0; i < n; i++) {
            T_CHECK(buf[i] == stream_byte(check->received));
            check->received++;
        }
        T_CHECK(check->received <= check->sent + sizeof(buf)); /* `sent` lags by one call */
    }
    T_CHECK(check->broken || !check->finished || check->received == check->sent);
    return 0;
}

/* The receiver's end has no idea which connection it got: the first byte sent is its number. */
static int server_session(struct program *program, struct rt_tcp_stream *stream)
{
    unsigned char number;
    ssize_t n;

    do {
        n = rt_tcp_recv(stream, &number, 1, some_deadline(program));
    } while (n == -ETIME);
    if (n != 1) {
        return n < 0 ? (int)n : 0;
    }
    T_CHECK(number < CONNECTIONS);
    return number < CONNECTIONS ? receive_all(program, stream, &program->streams[number]) : 0;
}

static int server_worker(void *arg)
{
    struct program *program = arg;
    struct rt_tcp_stream *stream;
    int r = rt_tcp_accept(program->listener, &stream, rt_in(RT_MILLISECONDS(5)));

    if (r < 0) {
        return r;
    }
    r = server_session(program, stream);
    rt_tcp_close(stream);
    return r;
}

static void send_all(struct program *program, struct rt_tcp_stream *stream,
                     struct stream_check *check)
{
    const uint64_t total = rand_below(&program->rand, STREAM_LIMIT);
    unsigned char buf[64];

    while (check->sent < total) {
        const size_t bytes = 1 + rand_below(&program->rand, sizeof(buf));
        size_t done = 0;
        ssize_t n;

        for (size_t i = 0; i < bytes; i++) {
            buf[i] = stream_byte(check->sent + i);
        }
        if (rand_chance(&program->rand, 500)) {
            n = rt_tcp_send(stream, buf, bytes, some_deadline(program));
            done = n > 0 ? (size_t)n : 0;
        } else {
            n = rt_tcp_send_all(stream, buf, bytes, &done, some_deadline(program));
        }
        check->sent += done;
        if (n < 0 && n != -ETIME) {
            check->broken = true;
            return;
        }
        rt_yield();
    }
    check->finished = rt_tcp_shutdown_send(stream) == 0;
}

static int client_worker(void *arg)
{
    struct program *program = arg;
    const unsigned number = program->next_stream++;
    const unsigned char byte = (unsigned char)number;
    struct rt_tcp_stream *stream;
    ssize_t n = number < CONNECTIONS
                    ? rt_tcp_connect(&stream, program->address, NULL, some_deadline(program))
                    : -EAGAIN;

    if (n < 0) {
        return (int)n;
    }
    do {
        n = rt_tcp_send(stream, &byte, 1, some_deadline(program));
    } while (n == -ETIME);
    if (n == 1) {
        send_all(program, stream, &program->streams[number]);
    }
    rt_tcp_close(stream);
    return 0;
}

/* Waits without the kernel */

static int child(void *arg)
{
    struct program *program = arg;

    return rt_sleep_until(some_deadline(program) == RT_NEVER ? rt_in(1000)
                                                             : rt_in(RT_MICROSECONDS(50)));
}

static int wait_worker(void *arg)
{
    struct program *program = arg;
    struct rt_group group = RT_GROUP_INIT;
    struct rt_task *task;
    int r;

    for (unsigned i = 0; i < 2; i++) {
        T_CHECK(rt_group_spawn(&group, child, program) == 0);
    }
    program->parked = rt_waker_self();
    program->have_parked = true;
    (void)rt_park(rt_in(RT_MICROSECONDS(200)));
    r = rt_spawn(&task, child, program);
    if (r == 0 && rt_join(task, NULL, some_deadline(program)) < 0) {
        rt_cancel(task);
        rt_detach(task);
    }
    (void)rt_group_wait(&group, some_deadline(program));
    (void)rt_group_leave(&group, some_deadline(program));
    T_CHECK(rt_group_live(&group) == 0);
    return r;
}

/* The program */

static void cancel_some(struct program *program)
{
    const unsigned rounds = (unsigned)rand_below(&program->rand, 4);

    for (unsigned i = 0; i < rounds; i++) {
        (void)rt_sleep_until(rt_in((rt_time)rand_below(&program->rand, 400000)));
        rt_cancel(program->workers[rand_below(&program->rand, program->worker_count)]);
        if (program->have_parked && rand_chance(&program->rand, 500)) {
            rt_wake(program->parked); /* possibly stale: allowed */
        }
    }
}

static int first(void *arg)
{
    static const rt_task_fn kinds[] = { file_worker, server_worker, client_worker, wait_worker };
    struct program *program = arg;
    bool serving = false;
    int r = rt_tcp_listen(&program->listener, "127.0.0.1:0", NULL);

    T_CHECK(r == 0 && rt_tcp_listener_address(program->listener, program->address,
                                              sizeof(program->address)) == 0);
    for (unsigned i = 0; i < 2 + rand_below(&program->rand, WORKERS_MAX - 1); i++) {
        rt_task_fn fn = kinds[rand_below(&program->rand, 4)];

        if (fn == server_worker) {
            fn = serving ? client_worker : server_worker; /* one accepts at a time */
            serving = true;
        }
        T_CHECK(rt_spawn(&program->workers[i], fn, program) == 0);
        program->worker_count = i + 1;
        if (i + 1 == WORKERS_MAX) {
            break;
        }
    }
    cancel_some(program);
    /* Some workers wait for others that may never come: they are cancelled after a while. */
    for (unsigned i = 0; i < program->worker_count; i++) {
        if (rt_join(program->workers[i], NULL, rt_in(RT_MILLISECONDS(20))) < 0) {
            rt_cancel(program->workers[i]);
            T_CHECK(rt_join(program->workers[i], NULL, RT_NEVER) == 0);
        }
    }
    rt_tcp_listener_close(program->listener);
    return 0;
}

static void put_file(void)
{
    unsigned char bytes[FILE_BYTES];

    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = file_byte(i);
    }
    sim_file_put("data", bytes, sizeof(bytes));
}

/* What all programs met together: the test is worth something only if they met everything. */
static struct {
    uint64_t sqes, cancels, faults, overflows, cancels_lost, bytes_received;
} met;

static void count_what_was_met(const struct program *program)
{
    const struct sim_stats *stats = sim_stats();

    met.sqes += stats->sqes;
    met.cancels += stats->by_opcode[IORING_OP_ASYNC_CANCEL];
    met.faults += stats->faults;
    met.overflows += stats->overflows;
    met.cancels_lost += stats->cancels_lost;
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        met.bytes_received += program->streams[i].received;
    }
}

static unsigned run_seed(uint64_t seed)
{
    static const uint32_t ring_sizes[] = { 1, 2, 4, 8, 256 };
    static const enum sim_kernel kernels[] = { SIM_KERNEL_6_18, SIM_KERNEL_6_18, SIM_KERNEL_6_6,
                                               SIM_KERNEL_6_1 };
    static const char *const disabled[] = { NULL, NULL, "defer_taskrun", "all" };
    struct sim_config kernel = sim_config_chaos(seed);
    struct rt_config config = RT_CONFIG_INIT;
    struct program program = { .next_stream = 0 };
    unsigned failures;

    rand_init(&program.rand, seed * 2654435761u + 17);
    config.ring_entries = ring_sizes[rand_below(&program.rand, 5)];
    config.cq_entries = config.ring_entries; /* so that it overflows */
    config.disable = disabled[rand_below(&program.rand, 4)];
    kernel.kernel = kernels[rand_below(&program.rand, 4)];
    kernel.poison = true;
    sim_begin(&kernel);
    put_file();
    T_CHECK(rt_run(&config, first, &program) == 0);
    count_what_was_met(&program);
    T_CHECK(sim_end(NULL) == 0);
    failures = t_failures();
    if (failures > 0) {
        fprintf(stderr, "chaos: %u checks failed; replay with RT_SEED=%llu\n", failures,
                (unsigned long long)seed);
    }
    return failures;
}

static void random_programs_survive_a_kernel_full_of_trouble(void **state)
{
    const unsigned count = rt_test_seed_count(SEEDS);
    unsigned failed = 0;

    (void)state;
    for (unsigned i = 0; i < count && failed < 3; i++) {
        failed += run_seed(rt_test_seed(i)) > 0;
    }
    printf("chaos: %u seeds, %llu entries, %llu cancels (%llu lost), %llu faults, %llu overflows, "
           "%llu bytes\n",
           count, (unsigned long long)met.sqes, (unsigned long long)met.cancels,
           (unsigned long long)met.cancels_lost, (unsigned long long)met.faults,
           (unsigned long long)met.overflows, (unsigned long long)met.bytes_received);
    if (count >= 1000) {
        assert_true(met.cancels > count && met.cancels_lost > 0 && met.faults > count);
        assert_true(met.overflows > 0 && met.bytes_received > count);
    }
    assert_int_equal(failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_programs_survive_a_kernel_full_of_trouble),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
