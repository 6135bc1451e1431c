/* SPDX-License-Identifier: MIT */
/*
 * Power cuts: a log with group commit loses nothing that it has acknowledged.
 *
 * The log is the example's (docs/examples/append_log.c), as its readers see it. Some tasks append
 * records; before a random operation on the disk the power fails. What the simulated disk holds
 * then is any subset of what was not synced (tests/support/sim_disk.c). In the next run the log is
 * read: each record that was acknowledged before the cut must be there, whole and once.
 *
 * What a process has read that was started again, after a kill, must not be lost to a later cut.
 *
 * The same without the sync of the data, and without that of the directory, must lose something:
 * else the disk would be kinder than the log deserves.
 *
 * RT_SEED=<seed> replays one seed, RT_SEEDS=<n> runs that many.
 */
#include "support/harness.h"
#include "support/rand.h"
#include "support/sim.h"

#include <rt/rt.h>

/* What the example calls, and a test may leave out. */
static bool no_datasync;
static bool no_directory_sync;

static int datasync(struct rt_file *file)
{
    return no_datasync ? 0 : rt_file_datasync(file, RT_NEVER);
}

static int directory_sync(struct rt_file *file)
{
    return no_directory_sync ? 0 : rt_file_sync(file, RT_NEVER);
}

#define rt_file_datasync(file, deadline) datasync(file)
#define rt_file_sync(file, deadline)     directory_sync(file)
#define SEGMENT_BYTES                    ((uint64_t)3000)
#define main                             append_log_main
int append_log_main(int argc, char **argv);
#include "../../docs/examples/append_log.c" // NOLINT(bugprone-suspicious-include)
#undef main

#define SEEDS       10000
#define TASKS_MAX   5
#define RECORDS_MAX 12 /* of a task */
#define RECORD_ROOM 900

/* What was acknowledged, of each task: records 0 to n - 1. */
struct acks {
    unsigned of[TASKS_MAX];
};

struct scene {
    struct rand_state rand;
    unsigned tasks;
    unsigned next_task;
    struct log log;
    struct acks acks;
    struct acks before_cut;
    bool cut;
    uint64_t syncs;
    uint32_t found[TASKS_MAX]; /* a bit for each record */
    unsigned wrong;            /* that nobody appended, or that are there twice */
};

static unsigned char record_byte(unsigned task, unsigned number, size_t at)
{
    return (unsigned char)(task * 101 + number * 31 + at * 7);
}

/* Its length follows from its number, so that a reader knows it. */
static size_t fill_record(unsigned char *buf, unsigned task, unsigned number)
{
    const size_t count = 2 + (task * 977 + number * 463) % (RECORD_ROOM - 2);

    buf[0] = (unsigned char)task;
    buf[1] = (unsigned char)number;
    for (size_t i = 2; i < count; i++) {
        buf[i] = record_byte(task, number, i);
    }
    return count;
}

static int writer(void *arg)
{
    struct scene *scene = arg;
    const unsigned task = scene->next_task++;
    const unsigned records = (unsigned)rand_below(&scene->rand, RECORDS_MAX + 1);
    unsigned char buf[RECORD_ROOM];

    for (unsigned i = 0; i < records; i++) {
        const size_t count = fill_record(buf, task, i);

        if (log_append(&scene->log, buf, count) < 0) {
            return 0; /* an error of the disk: nothing more is acknowledged */
        }
        scene->acks.of[task]++;
        if (rand_chance(&scene->rand, 300)) {
            rt_yield();
        }
    }
    return 0;
}

static void find_record(void *arg, const void *bytes, size_t count)
{
    struct scene *scene = arg;
    const unsigned char *found = bytes;
    unsigned char expected[RECORD_ROOM];

    if (count < 2 || found[0] >= TASKS_MAX || found[1] >= RECORDS_MAX ||
        (scene->found[found[0]] >> found[1] & 1) != 0 ||
        fill_record(expected, found[0], found[1]) != count || memcmp(expected, found, count) != 0) {
        scene->wrong++;
        return;
    }
    scene->found[found[0]] |= 1u << found[1];
}

static int append_run(void *arg)
{
    struct scene *scene = arg;
    struct rt_group group = RT_GROUP_INIT;

    if (log_open(&scene->log, ".", find_record, scene) < 0) {
        return 0;
    }
    for (unsigned i = 0; i < scene->tasks; i++) {
        T_CHECK(rt_group_spawn(&group, writer, scene) == 0);
    }
    T_CHECK(rt_group_leave(&group, RT_NEVER) == 0);
    scene->syncs += scene->log.syncs;
    log_close(&scene->log);
    return 0;
}

static int read_run(void *arg)
{
    struct scene *scene = arg;
    struct log log;

    T_CHECK(log_open(&log, ".", find_record, scene) == 0);
    log_close(&log);
    return 0;
}

static void power_fails(void *arg)
{
    struct scene *scene = arg;

    scene->cut = true;
    scene->before_cut = scene->acks;
}

static struct sim_config disk_config(uint64_t seed)
{
    struct sim_config config = { .seed = seed, .disk = true, .delay_max = RT_MICROSECONDS(100) };

    if (seed % 3 == 0) { /* and a disk that fails now and then, and gives short counts */
        config.faults.error = 10;
        config.faults.short_count = 50;
    }
    return config;
}

/* Append, cut, read. How many acknowledged records are gone. */
static unsigned lose(struct scene *scene, uint64_t seed)
{
    struct sim_config config = disk_config(seed);
    unsigned lost = 0;

    *scene = (struct scene){ 0 };
    rand_init(&scene->rand, seed * 2654435761u + 5);
    scene->tasks = 1 + (unsigned)rand_below(&scene->rand, TASKS_MAX);
    sim_begin(&config);
    sim_disk_cut_before(1 + rand_below(&scene->rand, 60), power_fails, scene);
    T_CHECK(rt_run(NULL, append_run, scene) == 0);
    if (!scene->cut) { /* all is done: the power fails now */
        sim_disk_cut();
        power_fails(scene);
    }
    T_CHECK(sim_end(NULL) == 0);

    memset(scene->found, 0, sizeof(scene->found));
    scene->wrong = 0;
    sim_begin(&(struct sim_config){ .seed = seed, .disk = true });
    sim_disk_restore();
    T_CHECK(rt_run(NULL, read_run, scene) == 0);
    T_CHECK(sim_end(NULL) == 0);
    T_CHECK(scene->wrong == 0);
    for (unsigned i = 0; i < TASKS_MAX; i++) {
        const uint32_t acknowledged = (1u << scene->before_cut.of[i]) - 1;

        lost += (unsigned)__builtin_popcount(acknowledged & ~scene->found[i]);
    }
    return lost;
}

static void nothing_acknowledged_is_lost(void **state)
{
    const unsigned count = rt_test_seed_count(SEEDS);
    uint64_t acknowledged = 0;
    uint64_t syncs = 0;
    struct scene scene;
    unsigned failed = 0;

    (void)state;
    for (unsigned i = 0; i < count && failed < 3; i++) {
        const unsigned lost = lose(&scene, rt_test_seed(i));

        if (lost > 0 || t_failures() > 0) {
            fprintf(stderr, "power_cut: %u records lost; replay with RT_SEED=%llu\n", lost,
                    (unsigned long long)rt_test_seed(i));
            failed++;
        }
        for (unsigned task = 0; task < TASKS_MAX; task++) {
            acknowledged += scene.before_cut.of[task];
        }
        syncs += scene.syncs;
    }
    printf("power_cut: %u cuts, %llu records acknowledged before, %llu commits\n", count,
           (unsigned long long)acknowledged, (unsigned long long)syncs);
    if (count >= 1000) {
        assert_true(acknowledged > 3 * (uint64_t)count);
    }
    assert_int_equal(failed, 0);
}

/* How many of some seeds lose something. */
static unsigned seeds_that_lose(void)
{
    struct scene scene;
    unsigned losing = 0;

    for (uint64_t seed = 1; seed <= 300; seed++) {
        losing += lose(&scene, seed) > 0;
    }
    assert_int_equal(t_failures(), 0); /* what is there is right all the same */
    return losing;
}

/* Append without the last syncs, as if killed before; read; cut; read again. How many records the
 * second reading has not found any more. */
static unsigned forget(struct scene *scene, uint64_t seed)
{
    const struct sim_config config = { .seed = seed, .disk = true };
    uint32_t seen[TASKS_MAX];
    unsigned lost = 0;

    *scene = (struct scene){ 0 };
    rand_init(&scene->rand, seed * 40503u + 11);
    scene->tasks = 1 + (unsigned)rand_below(&scene->rand, TASKS_MAX);
    sim_begin(&config);
    no_datasync = true;
    T_CHECK(rt_run(NULL, append_run, scene) == 0);
    no_datasync = false;
    T_CHECK(rt_run(NULL, read_run, scene) == 0);
    sim_disk_cut();
    T_CHECK(sim_end(NULL) == 0);
    memcpy(seen, scene->found, sizeof(seen));
    memset(scene->found, 0, sizeof(scene->found));

    sim_begin(&config);
    sim_disk_restore();
    T_CHECK(rt_run(NULL, read_run, scene) == 0);
    T_CHECK(sim_end(NULL) == 0);
    T_CHECK(scene->wrong == 0);
    for (unsigned i = 0; i < TASKS_MAX; i++) {
        lost += (unsigned)__builtin_popcount(seen[i] & ~scene->found[i]);
    }
    return lost;
}

static void what_was_read_once_is_not_lost(void **state)
{
    struct scene scene;
    unsigned lost = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        lost += forget(&scene, seed);
    }
    assert_int_equal(lost, 0);
    assert_int_equal(t_failures(), 0);
}

static void without_the_sync_of_the_data_records_are_lost(void **state)
{
    (void)state;
    no_datasync = true;
    assert_true(seeds_that_lose() > 10);
    no_datasync = false;
}

static void without_the_sync_of_the_directory_records_are_lost(void **state)
{
    (void)state;
    no_directory_sync = true;
    assert_true(seeds_that_lose() > 10);
    no_directory_sync = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_acknowledged_is_lost),
        cmocka_unit_test(what_was_read_once_is_not_lost),
        cmocka_unit_test(without_the_sync_of_the_data_records_are_lost),
        cmocka_unit_test(without_the_sync_of_the_directory_records_are_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
