/* SPDX-License-Identifier: MIT */
/*
 * Direct files and the disk's line: who is given to the device when, and what ends a wait there.
 *
 * The simulated device takes 100 to 200 us for each request, however many there are. What may be in
 * flight at first is 65 requests of 64 KiB, so that of 200 some wait. What is chosen is proved in
 * unit/io/disk_property_test.c; here it is that files, tasks and turns ask as they should.
 */
#include "support/first.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rt/rt.h"
#include "support/rand.h"
#include "support/shards.h"

#define PART  (64u << 10)
#define SMALL 4096u
#define US(n) RT_MICROSECONDS(n)

/* With RTI_DISK_CAPACITY_FIRST: a request of 64 KiB counts as 80. */
#define IN_FLIGHT 65

#define MANY 200

static const struct sim_config device = { .seed = 1, .delay_min = US(100), .delay_max = US(200) };

static char part[PART] __attribute__((aligned(4096)));
static struct rt_file *file;

static void run_on(const struct sim_config *sim_config, rt_task_fn first)
{
    struct rt_config config = RT_CONFIG_INIT;

    config.disk_models = "learn";
    assert_int_equal(run_sim(sim_config, &config, first, NULL), 0);
}

static void open_data(void)
{
    static char bytes[PART];

    sim_file_put("data", bytes, sizeof(bytes));
    T_CHECK(rt_file_open(&file, "data", O_RDWR | O_DIRECT, 0, RT_NEVER) == 0);
}

static struct rt_taskq *make_queue(uint32_t shares, uint64_t requests_per_second)
{
    struct rt_taskq_options options = RT_TASKQ_OPTIONS_INIT;
    struct rt_taskq *queue = NULL;

    options.shares = shares;
    options.disk_requests_per_second = requests_per_second;
    T_CHECK(rt_taskq_create(&queue, &options) == 0);
    return queue;
}

static struct rt_task *start(struct rt_taskq *queue, rt_task_fn fn, void *arg)
{
    struct rt_task *task = NULL;

    T_CHECK(rt_spawn_in(&task, queue, fn, arg) == 0);
    return task;
}

static int join(struct rt_task *task)
{
    int result = INT32_MIN;

    T_CHECK(rt_join(task, &result, RT_NEVER) == 0);
    return result;
}

/* One request. Reads all go to the same memory, which nobody looks at. */

struct request {
    rt_time deadline;
    rt_time ended;
    unsigned *ends; /* counts those that have ended; NULL: nobody asks */
    unsigned place; /* among them */
    uint32_t bytes;
};

static int request(void *arg)
{
    struct request *this = arg;
    const int r = (int)rt_file_read_at(file, part, this->bytes, 0, this->deadline);

    this->ended = rt_now();
    this->place = this->ends != NULL ? (*this->ends)++ : 0;
    return r;
}

/* ---- shares ---- */

static struct request requests[2 * MANY];

/* Requests of queue `which` among those that ended at places `from` to `to`. */
static unsigned ended_between(unsigned which, unsigned from, unsigned to)
{
    unsigned count = 0;

    for (unsigned i = which; i < 2 * MANY; i += 2) {
        count += requests[i].place >= from && requests[i].place < to;
    }
    return count;
}

static int read_in_two_queues(void *arg)
{
    struct rt_taskq *queues[] = { make_queue(100, 0), make_queue(400, 0) };
    struct rt_task *tasks[2 * MANY];
    struct rt_taskq_stats stats;
    struct request first = { .bytes = SMALL, .deadline = RT_NEVER };
    unsigned ends = 0;

    (void)arg;
    open_data();
    T_CHECK(join(start(queues[0], request, &first)) == SMALL); /* so that none is alone */
    T_CHECK(join(start(queues[1], request, &first)) == SMALL);
    for (unsigned i = 0; i < 2 * MANY; i++) {
        requests[i] = (struct request){ .bytes = PART, .deadline = RT_NEVER, .ends = &ends };
        tasks[i] = start(queues[i % 2], request, &requests[i]);
    }
    for (unsigned i = 0; i < 2 * MANY; i++) {
        T_CHECK(join(tasks[i]) == PART);
    }
    T_CHECK(rt_file_close(file) == 0);
    rt_taskq_stats(queues[1], &stats, sizeof(stats));
    T_CHECK(stats.disk_requests == MANY + 1);
    T_CHECK(stats.disk_bytes == (uint64_t)MANY * PART + SMALL);
    T_CHECK(stats.disk_wait > 0 && stats.disk_time > MANY * US(80));
    T_CHECK(rt_taskq_destroy(queues[0]) == 0);
    T_CHECK(rt_taskq_destroy(queues[1]) == 0);
    return 0;
}

static void queues_get_of_a_disk_by_their_shares(void **state)
{
    unsigned few;

    (void)state;
    run_on(&device, read_in_two_queues);
    few = ended_between(0, IN_FLIGHT, IN_FLIGHT + 150);
    assert_in_range(few, 28, 32); /* a fifth, but for a request or two */
}

/* ---- alone ---- */

static int read_alone(void *arg)
{
    struct rt_task *tasks[MANY];
    const rt_time begin = rt_now();

    (void)arg;
    open_data();
    for (unsigned i = 0; i < MANY; i++) {
        requests[i] = (struct request){ .bytes = PART, .deadline = RT_NEVER };
        tasks[i] = start(rt_taskq_self(), request, &requests[i]);
    }
    for (unsigned i = 0; i < MANY; i++) {
        T_CHECK(join(tasks[i]) == PART);
        T_CHECK(requests[i].ended - begin < US(500)); /* together, not one after the other */
    }
    return rt_file_close(file);
}

static void who_is_alone_does_not_wait(void **state)
{
    (void)state;
    run_on(&device, read_alone);
}

/* ---- bursts ---- */

/* 1 + 2 + 4 + 8 are submitted before the last one runs. */
#define BURST   16
#define BATCHES 4

static struct rt_stats before_burst;
static uint64_t submitted_by[BURST]; /* what the kernel had when the task ran */
static uint64_t entered_by[BURST];

static int read_in_a_burst(void *arg)
{
    const size_t i = (size_t)((uint64_t *)arg - submitted_by);
    struct rt_stats stats;

    rt_stats_get(&stats, sizeof(stats));
    submitted_by[i] = stats.submitted - before_burst.submitted;
    entered_by[i] = stats.enters - before_burst.enters;
    return (int)rt_file_read_at(file, part, SMALL, 0, RT_NEVER);
}

static int read_in_bursts(void *arg)
{
    struct rt_task *tasks[BURST];

    (void)arg;
    open_data();
    rt_stats_get(&before_burst, sizeof(before_burst));
    for (unsigned i = 0; i < BURST; i++) {
        tasks[i] = start(rt_taskq_self(), read_in_a_burst, &submitted_by[i]);
    }
    for (unsigned i = 0; i < BURST; i++) {
        T_CHECK(join(tasks[i]) == SMALL);
    }
    return rt_file_close(file);
}

static void an_idle_disk_need_not_wait_until_all_have_asked(void **state)
{
    static const uint64_t expected[BURST] = { 0, 1, 1, 3, 3, 3, 3, 7, 7, 7, 7, 7, 7, 7, 7, 15 };

    (void)state;
    run_on(&device, read_in_bursts);
    for (unsigned i = 0; i < BURST; i++) {
        assert_int_equal(submitted_by[i], expected[i]);
    }
    assert_int_equal(entered_by[BURST - 1], BATCHES);
}

static int read_one_by_one(void *arg)
{
    struct rt_stats begin;
    struct rt_stats end;

    (void)arg;
    open_data();
    rt_stats_get(&begin, sizeof(begin));
    for (unsigned i = 0; i < BURST; i++) {
        T_CHECK(rt_file_read_at(file, part, SMALL, 0, RT_NEVER) == SMALL);
    }
    rt_stats_get(&end, sizeof(end));
    T_CHECK(end.enters - begin.enters == BURST); /* each submits and sleeps */
    return rt_file_close(file);
}

static void a_lone_request_goes_with_the_sleep(void **state)
{
    (void)state;
    run_on(&device, read_one_by_one);
}

/* ---- limits ---- */

static int read_with_a_limit(void *arg)
{
    struct rt_taskq *queue = make_queue(1000, 1000);
    struct rt_task *tasks[50];
    rt_time begin;

    (void)arg;
    open_data();
    begin = rt_now();
    for (unsigned i = 0; i < 50; i++) {
        requests[i] = (struct request){ .bytes = SMALL, .deadline = RT_NEVER };
        tasks[i] = start(queue, request, &requests[i]);
    }
    for (unsigned i = 0; i < 50; i++) {
        T_CHECK(join(tasks[i]) == SMALL);
        T_CHECK(requests[i].ended >= begin + (rt_time)i * RT_MILLISECONDS(1));
        T_CHECK(requests[i].ended < begin + (rt_time)i * RT_MILLISECONDS(1) + US(300));
    }
    T_CHECK(rt_taskq_set_disk_limits(queue, 0, 0) == 0);
    begin = rt_now();
    for (unsigned i = 0; i < 50; i++) {
        tasks[i] = start(queue, request, &requests[i]);
    }
    for (unsigned i = 0; i < 50; i++) {
        T_CHECK(join(tasks[i]) == SMALL && requests[i].ended < begin + RT_MILLISECONDS(1));
    }
    return rt_file_close(file);
}

static void a_limit_holds_and_the_shard_wakes_for_it(void **state)
{
    (void)state;
    run_on(&device, read_with_a_limit);
}

/* ---- parts ---- */

static int read_much(void *arg)
{
    static char much[4 * PART] __attribute__((aligned(4096)));
    struct rt_taskq *queue = make_queue(1000, 0);
    struct rt_taskq_stats stats;
    struct request small = { .bytes = SMALL, .deadline = RT_NEVER };

    (void)arg;
    sim_file_put("data", much, sizeof(much));
    T_CHECK(rt_file_open(&file, "data", O_RDWR | O_DIRECT, 0, RT_NEVER) == 0);
    T_CHECK(rt_file_read_at(file, much, sizeof(much), 0, RT_NEVER) == sizeof(much));
    rt_taskq_stats(rt_taskq_self(), &stats, sizeof(stats));
    T_CHECK(stats.disk_requests == 1);
    T_CHECK(join(start(queue, request, &small)) == SMALL);
    T_CHECK(rt_file_read_at(file, much, sizeof(much), 0, RT_NEVER) == sizeof(much));
    rt_taskq_stats(rt_taskq_self(), &stats, sizeof(stats));
    T_CHECK(stats.disk_requests == 1 + 4);
    T_CHECK(rt_file_read_at(file, much, sizeof(much), PART, RT_NEVER) == 3 * PART); /* the end */
    return rt_file_close(file);
}

static int read_much_ungoverned(void *arg)
{
    static char much[4 * PART] __attribute__((aligned(4096)));
    struct rt_taskq *queue = make_queue(1000, 0);
    struct rt_taskq_stats stats;
    struct request small = { .bytes = SMALL, .deadline = RT_NEVER };
    struct rt_task *tasks[MANY];

    (void)arg;
    sim_file_put("data", much, sizeof(much));
    T_CHECK(rt_file_open(&file, "data", O_RDWR | O_DIRECT, 0, RT_NEVER) == 0);
    T_CHECK(join(start(queue, request, &small)) == SMALL);
    T_CHECK(rt_file_read_at(file, much, sizeof(much), 0, RT_NEVER) == sizeof(much));
    rt_taskq_stats(rt_taskq_self(), &stats, sizeof(stats));
    T_CHECK(stats.disk_requests == 1); /* not in parts */
    sim_hold(IORING_OP_READ, SIM_RUNNING);
    for (unsigned i = 0; i < MANY; i++) {
        requests[i] = (struct request){ .bytes = PART, .deadline = RT_NEVER };
        tasks[i] = start(i % 2 != 0 ? queue : rt_taskq_self(), request, &requests[i]);
    }
    T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(1))) == 0);
    T_CHECK(sim_held(IORING_OP_READ) == MANY);
    sim_unhold();
    T_CHECK(sim_release(IORING_OP_READ, MANY, SIM_NATURAL) == MANY);
    for (unsigned i = 0; i < MANY; i++) {
        T_CHECK(join(tasks[i]) == PART);
    }
    return rt_file_close(file);
}

static void without_a_word_about_disks_nobody_waits(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    assert_int_equal(run_sim(&device, &config, read_much_ungoverned, NULL), 0);
}

static void much_goes_in_parts_while_others_use_the_disk(void **state)
{
    (void)state;
    run_on(&device, read_much);
}

/* ---- what ends a wait ---- */

struct reading {
    struct rt_future future;
    int result;
};

static int poll_read(struct rt_future *future)
{
    return rt_poll_file_read_at(future, file, part, SMALL, 0, RT_NEVER);
}

/* A queue that may begin one request in 100 s: what comes after that waits. */
static int end_waits(void *arg)
{
    struct rt_taskq *queue = make_queue(1000, 0);
    struct request first = { .bytes = SMALL, .deadline = RT_NEVER };
    struct request late = { .bytes = SMALL, .deadline = rt_in(RT_MILLISECONDS(5)) };
    struct request past = { .bytes = SMALL, .deadline = 0 };
    struct request other = { .bytes = SMALL, .deadline = RT_NEVER };
    struct rt_future future = { .poll = poll_read };
    struct rt_spawn_options in_queue = RT_SPAWN_OPTIONS_INIT;
    struct rt_task *task;

    (void)arg;
    open_data();
    T_CHECK(rt_taskq_set_disk_limits(queue, 40, 0) == 0);
    T_CHECK(join(start(queue, request, &first)) == SMALL); /* 4096 bytes at 40 a second */

    T_CHECK(join(start(queue, request, &late)) == -ETIME);
    T_CHECK(late.ended >= late.deadline && late.ended < late.deadline + RT_MILLISECONDS(1));
    T_CHECK(join(start(queue, request, &past)) == -ETIME);

    task = start(queue, request, &other);
    T_CHECK(rt_sleep_until(rt_in(US(500))) == 0);
    rt_cancel(task);
    T_CHECK(join(task) == -ECANCELED);

    in_queue.queue = queue;
    T_CHECK(rt_spawn_future_with(&task, &future, &in_queue) == 0);
    T_CHECK(rt_sleep_until(rt_in(US(500))) == 0);
    rt_cancel(task);
    T_CHECK(join(task) == -ECANCELED);
    T_CHECK(rt_file_close(file) == 0); /* nobody uses it */
    return rt_taskq_destroy(queue);    /* and nothing of it waits */
}

static void a_wait_for_the_disk_ends_by_deadline_and_cancel(void **state)
{
    (void)state;
    run_on(&device, end_waits);
}

/* ---- room ---- */

/* More futures begin at once than the ring has entries: those that were given to the disk and
 * have none yet wait for one, and can be cancelled there. */
static int fill_ring(void *arg)
{
    static struct rt_future futures[64];
    struct rt_task *tasks[64];
    unsigned cancelled = 0;

    (void)arg;
    open_data();
    for (unsigned i = 0; i < 64; i++) {
        futures[i] = (struct rt_future){ .poll = poll_read };
        T_CHECK(rt_spawn_future(&tasks[i], &futures[i]) == 0);
    }
    rt_yield(); /* all have been polled */
    for (unsigned i = 0; i < 64; i += 3) {
        rt_cancel(tasks[i]);
    }
    for (unsigned i = 0; i < 64; i++) {
        const int r = join(tasks[i]);

        T_CHECK(r == SMALL || (r == -ECANCELED && i % 3 == 0));
        cancelled += r == -ECANCELED;
    }
    T_CHECK(cancelled > 0);
    return rt_file_close(file);
}

static void a_request_without_an_entry_waits_for_one(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    config.ring_entries = 8;
    config.disk_models = "learn";
    assert_int_equal(run_sim(&device, &config, fill_ring, NULL), 0);
}

/* ---- a model ---- */

/* Requests of 100 us, of which four fit. */
static const char model[] = "[device 0:0]\n"
                            "read_request_ns = 100000\n"
                            "read_byte_ps = 0\n"
                            "capacity_ns = 400000\n";

static int fill_device(void *arg)
{
    struct rt_taskq *queues[] = { make_queue(100, 0), make_queue(100, 0) };
    struct request one = { .bytes = SMALL, .deadline = RT_NEVER };
    struct rt_task *tasks[20];

    (void)arg;
    open_data();
    T_CHECK(join(start(queues[0], request, &one)) == SMALL); /* so that none is alone */
    T_CHECK(join(start(queues[1], request, &one)) == SMALL);
    sim_hold(IORING_OP_READ, SIM_RUNNING);
    for (unsigned i = 0; i < 20; i++) {
        tasks[i] = start(queues[i % 2], request, &one);
    }
    T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(1))) == 0);
    T_CHECK(sim_held(IORING_OP_READ) == 4);
    T_CHECK(sim_release(IORING_OP_READ, 1, SIM_NATURAL) == 1);
    T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(1))) == 0);
    T_CHECK(sim_held(IORING_OP_READ) == 4); /* the next one went when that ended */
    sim_unhold();
    while (sim_held(IORING_OP_READ) > 0) {
        (void)sim_release(IORING_OP_READ, 1, SIM_NATURAL);
        T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(1))) == 0);
    }
    for (unsigned i = 0; i < 20; i++) {
        T_CHECK(join(tasks[i]) == SMALL);
    }
    return rt_file_close(file);
}

static void a_model_says_how_much_fits(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;
    char path[] = "/tmp/device_test.XXXXXX";
    const int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, model, sizeof(model) - 1), sizeof(model) - 1);
    assert_int_equal(close(fd), 0);
    config.disk_models = path;
    assert_int_equal(run_sim(&device, &config, fill_device, NULL), 0);
    assert_int_equal(unlink(path), 0);
}

/* ---- shards ---- */

#define WRITES 40

struct writing {
    struct rt_file *file;
    uint32_t bytes;
};

static int write_some(void *arg)
{
    const struct writing *this = arg;

    return (int)rt_file_write_at(this->file, part, this->bytes, 0, RT_NEVER);
}

static int write_by_chance(struct rt_file *to, struct rt_taskq *const queues[2])
{
    struct rt_task *tasks[WRITES];
    struct writing writings[WRITES];
    struct rand_state random;
    int made = 0;

    rand_init(&random, sim_seed() + rt_shard_index());
    while (made < WRITES) {
        writings[made] = (struct writing){ .file = to, .bytes = made % 3 != 0 ? SMALL : PART };
        if (rt_spawn_in(&tasks[made], queues[made % 2], write_some, &writings[made]) < 0) {
            break; /* at the limit of tasks */
        }
        made++;
    }
    for (int i = 0; i < made; i++) {
        if (rand_below(&random, 4) == 0) {
            rt_cancel(tasks[i]);
        }
        (void)join(tasks[i]);
    }
    return 0;
}

/* Each shard writes in two queues, one with a limit, and some writes are cancelled or fail by
 * chance. Where a shard ends, nothing of it may be left in the line; and where the last one does,
 * nothing in the count of what is in flight: the next run would be short of it. */
static int write_on_shard(void *arg)
{
    struct rt_taskq *queues[] = { make_queue(100, 0), make_queue(1000, 100000) };
    struct rt_file *to = NULL;
    int r;

    (void)arg;
    r = rt_file_open(&to, "written", O_CREAT | O_RDWR | O_DIRECT, 0644, RT_NEVER);
    if (r < 0) {
        return 0; /* by chance */
    }
    r = write_by_chance(to, queues);
    (void)rt_file_close(to);
    return r;
}

static void shards_share_a_disk_whatever_fails(void **state)
{
    (void)state;
    for (unsigned i = 0; i < rt_test_seed_count(SHARDS_SEEDS / 20); i++) {
        struct shards shards;

        shards_init(&shards, rt_test_seed(i), 1 + i % 3);
        shards.runtime.disk_models = i % 2 == 0 ? "learn" : NULL;
        shards_run(&shards, write_on_shard, NULL);
        assert_int_equal(shards.faults, 0);
        assert_int_equal(t_failures(), 0);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(queues_get_of_a_disk_by_their_shares),
        cmocka_unit_test(who_is_alone_does_not_wait),
        cmocka_unit_test(an_idle_disk_need_not_wait_until_all_have_asked),
        cmocka_unit_test(a_lone_request_goes_with_the_sleep),
        cmocka_unit_test(a_limit_holds_and_the_shard_wakes_for_it),
        cmocka_unit_test(much_goes_in_parts_while_others_use_the_disk),
        cmocka_unit_test(without_a_word_about_disks_nobody_waits),
        cmocka_unit_test(a_wait_for_the_disk_ends_by_deadline_and_cancel),
        cmocka_unit_test(a_request_without_an_entry_waits_for_one),
        cmocka_unit_test(a_model_says_how_much_fits),
        cmocka_unit_test(shards_share_a_disk_whatever_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
