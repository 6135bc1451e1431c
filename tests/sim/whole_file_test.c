/* SPDX-License-Identifier: MIT */
/*
 * Whole files on the simulated kernel: what is there after a failure, a cancel and a power cut.
 *
 * A file is replaced by one version after the other, on a disk that may fail. Before a random
 * operation the power fails; what the disk holds then is any subset of what was not synced
 * (tests/support/sim_disk.c). The next run loads the file: it must be, whole, the last version
 * that was acknowledged, or one whose replacement had begun since. The same without the sync of
 * the content, and without that of the directory, must break this: else the disk would be kinder
 * than the code deserves. For that the source is part of this test.
 *
 * Then without a cut: each step fails, and tasks are cancelled at random moments. The file must be
 * what the call's answer says, and nothing else may be left.
 *
 * RT_SEED=<seed> replays one seed, RT_SEEDS=<n> runs that many.
 */
#include "support/harness.h"
#include "support/rand.h"
#include "support/sim.h"

#include <liburing.h>
#include <rt/rt.h>

static bool no_datasync;
static bool no_directory_sync;

static int datasync(struct rt_file *file, rt_time deadline)
{
    return no_datasync ? 0 : rt_file_datasync(file, deadline);
}

static int directory_sync(struct rt_directory *directory, rt_time deadline)
{
    return no_directory_sync ? 0 : rt_directory_sync(directory, deadline);
}

#define rt_file_datasync(file, deadline)       datasync(file, deadline)
#define rt_directory_sync(directory, deadline) directory_sync(directory, deadline)
#include "io/whole_file.c" // NOLINT(bugprone-suspicious-include): with the calls above

#define CUTS         5000
#define CANCELS      1000
#define VERSIONS     5
#define STORED       VERSIONS /* what "made" holds, which is stored once */
#define VERSION_ROOM 3000
#define LARGE_BYTES  40000

/* A version's length and bytes follow from its number. */
static size_t fill_version(unsigned char *buf, unsigned version)
{
    const size_t count = (version * 1237 + 700) % VERSION_ROOM;

    for (size_t i = 0; i < count; i++) {
        buf[i] = (unsigned char)(version * 59 + i * 7 + 1);
    }
    return count;
}

static bool is_version(const void *bytes, size_t count, unsigned version)
{
    unsigned char expected[VERSION_ROOM];

    return fill_version(expected, version) == count && memcmp(bytes, expected, count) == 0;
}

static void put_version(const char *path, unsigned version)
{
    unsigned char buf[VERSION_ROOM];
    const size_t count = fill_version(buf, version);

    sim_file_put(path, buf, count);
}

/* What readers see now. */
static bool holds(const char *path, unsigned version)
{
    size_t count;
    const void *bytes = sim_file_get(path, &count);

    return bytes != NULL && is_version(bytes, count, version);
}

static int replace_by(unsigned version, rt_time deadline)
{
    unsigned char buf[VERSION_ROOM];
    const size_t count = fill_version(buf, version);

    return rt_file_replace("data", buf, count, 0644, deadline);
}

static int store_made(void)
{
    unsigned char buf[VERSION_ROOM];
    const size_t count = fill_version(buf, STORED);

    return rt_file_store("made", buf, count, 0644, RT_NEVER);
}

/* Power cuts */

struct scene {
    uint32_t may;           /* a bit for each version that the file may be after a cut now */
    uint32_t may_after_cut; /* the same, of the moment of the cut */
    unsigned current;       /* what readers see */
    bool has_stored;        /* it was acknowledged */
    bool had_stored;        /* before the cut */
    bool cut;
    bool is_whole; /* what was found is allowed */
};

static int replace_run(void *arg)
{
    struct scene *scene = arg;

    for (unsigned version = 1; version < VERSIONS; version++) {
        int r;

        scene->may |= 1u << version;
        r = replace_by(version, RT_NEVER);
        if (r == 0) {
            T_CHECK(holds("data", version));
            scene->may = 1u << version;
            scene->current = version;
        } else if (holds("data", version)) { /* only the last sync has failed */
            scene->current = version;
        } else {
            T_CHECK(holds("data", scene->current));
            scene->may &= ~(1u << version);
        }
        if (version == 2) {
            scene->has_stored = store_made() == 0;
        }
    }
    return 0;
}

static bool is_allowed(const struct scene *scene)
{
    size_t count;
    void *bytes;
    bool found = false;
    int r = rt_file_load("data", VERSION_ROOM, &bytes, &count, RT_NEVER);

    if (r < 0) {
        return false;
    }
    for (unsigned version = 0; version < VERSIONS; version++) {
        found |= (scene->may_after_cut >> version & 1) != 0 && is_version(bytes, count, version);
    }
    rt_file_unload(bytes);
    r = rt_file_load("made", VERSION_ROOM, &bytes, &count, RT_NEVER);
    if (r < 0) {
        return found && r == -ENOENT && !scene->had_stored;
    }
    found = found && is_version(bytes, count, STORED);
    rt_file_unload(bytes);
    return found;
}

static int load_run(void *arg)
{
    struct scene *scene = arg;

    scene->is_whole = is_allowed(scene);
    return 0;
}

static void power_fails(void *arg)
{
    struct scene *scene = arg;

    scene->cut = true;
    scene->may_after_cut = scene->may;
    scene->had_stored = scene->has_stored;
}

static struct sim_config disk_config(uint64_t seed)
{
    struct sim_config config = { .seed = seed, .disk = true, .delay_max = RT_MICROSECONDS(100) };

    if (seed % 3 == 0) { /* and a disk that fails now and then, and gives short counts */
        config.faults.error = 20;
        config.faults.short_count = 100;
    }
    return config;
}

/* Replace, cut, load. Whether what is found is whole, and of a version that may be there. */
static bool is_whole_after_cut(uint64_t seed)
{
    struct sim_config config = disk_config(seed);
    struct scene scene = { .may = 1 };
    struct rand_state rand;

    rand_init(&rand, seed * 2654435761u + 11);
    sim_begin(&config);
    put_version("data", 0);
    sim_disk_cut_before(1 + rand_below(&rand, 36), power_fails, &scene);
    T_CHECK(rt_run(NULL, replace_run, &scene) == 0);
    if (!scene.cut) { /* all is done: the power fails now */
        sim_disk_cut();
        power_fails(&scene);
    }
    T_CHECK(sim_end(NULL) == 0);

    sim_begin(&(struct sim_config){ .seed = seed, .disk = true });
    sim_disk_restore();
    T_CHECK(rt_run(NULL, load_run, &scene) == 0);
    T_CHECK(sim_end(NULL) == 0);
    return scene.is_whole;
}

static void a_power_cut_leaves_the_old_content_or_the_new_one(void **state)
{
    const unsigned count = rt_test_seed_count(CUTS);

    (void)state;
    for (unsigned i = 0; i < count; i++) {
        if (!is_whole_after_cut(rt_test_seed(i)) || t_failures() > 0) {
            fail_msg("replay with RT_SEED=%llu", (unsigned long long)rt_test_seed(i));
        }
    }
}

static unsigned seeds_that_break(void)
{
    unsigned broken = 0;

    for (uint64_t seed = 1; seed <= 300; seed++) {
        broken += !is_whole_after_cut(seed);
    }
    assert_int_equal(t_failures(), 0); /* who does not lose power sees nothing of it */
    return broken;
}

static void without_the_sync_of_the_content_it_is_not_whole(void **state)
{
    (void)state;
    no_datasync = true;
    assert_true(seeds_that_break() > 10);
    no_datasync = false;
}

static void without_the_sync_of_the_directory_what_was_acknowledged_is_lost(void **state)
{
    (void)state;
    no_directory_sync = true;
    assert_true(seeds_that_break() > 10);
    no_directory_sync = false;
}

/* Failures */

static void run(rt_task_fn first, const struct sim_config *kernel)
{
    sim_begin(kernel);
    put_version("data", 0);
    T_CHECK(rt_run(NULL, first, NULL) == 0);
    T_CHECK(sim_end(NULL) == 0);
    assert_int_equal(t_failures(), 0);
}

static const int steps[] = { IORING_OP_OPENAT, IORING_OP_WRITE, IORING_OP_FSYNC, IORING_OP_CLOSE,
                             IORING_OP_RENAMEAT };

static int fail_each_step(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        sim_fail_next(steps[i], -EIO);
        T_CHECK(replace_by(1, RT_NEVER) == -EIO);
        T_CHECK(holds("data", 0) && sim_file_count() == 1);
        sim_fail_next(steps[i], -EIO);
        T_CHECK(store_made() == -EIO);
        T_CHECK(sim_file_count() == 1);
    }
    T_CHECK(replace_by(1, RT_NEVER) == 0 && holds("data", 1) && sim_file_count() == 1);
    return 0;
}

static void a_step_that_fails_leaves_the_file_and_nothing_else(void **state)
{
    (void)state;
    run(fail_each_step, &(struct sim_config){ .seed = 1 });
}

static int misuse_paths(void *arg)
{
    (void)arg;
    T_CHECK(rt_file_replace("data/", "x", 1, 0644, RT_NEVER) == -EINVAL);
    T_CHECK(rt_file_store("", "x", 1, 0644, RT_NEVER) == -EINVAL);
    T_CHECK(rt_file_store("data", "x", 1, 0644, RT_NEVER) == -EEXIST);
    T_CHECK(holds("data", 0) && sim_file_count() == 1);
    T_CHECK(rt_file_replace("data", NULL, 0, 0644, RT_NEVER) == 0);
    T_CHECK(sim_file_count() == 1 && replace_by(3, 0) == -ETIME && sim_file_count() == 1);
    return 0;
}

static void a_path_that_cannot_be_is_refused(void **state)
{
    (void)state;
    run(misuse_paths, &(struct sim_config){ .seed = 1 });
}

/* Cancel and deadline */

static int replace_result;

static int replace_once(void *deadline)
{
    replace_result = replace_by(1, *(rt_time *)deadline);
    return 0;
}

static int cancel_somewhere(void *arg)
{
    struct rand_state rand;
    struct rt_task *task;
    rt_time moment;
    rt_time deadline;

    (void)arg;
    rand_init(&rand, sim_seed() * 31 + 1);
    moment = rt_in((rt_time)rand_below(&rand, 600000));
    deadline = sim_seed() % 2 == 0 ? moment : RT_NEVER;
    T_CHECK(rt_spawn(&task, replace_once, &deadline) == 0);
    if (deadline == RT_NEVER) {
        T_CHECK(rt_sleep_until(moment) == 0);
        rt_cancel(task);
    }
    T_CHECK(rt_join(task, NULL, RT_NEVER) == 0);
    T_CHECK(replace_result == 0 || replace_result == (deadline == RT_NEVER ? -ECANCELED : -ETIME));
    T_CHECK(holds("data", replace_result == 0 ? 1 : 0) && sim_file_count() == 1);
    return 0;
}

static void a_call_that_is_ended_leaves_the_file_and_nothing_else(void **state)
{
    const unsigned count = rt_test_seed_count(CANCELS);
    unsigned ended = 0;

    (void)state;
    for (unsigned i = 0; i < count; i++) {
        run(cancel_somewhere,
            &(struct sim_config){ .seed = rt_test_seed(i), .delay_max = RT_MICROSECONDS(100) });
        ended += replace_result != 0;
    }
    assert_true(count < CANCELS || (ended > count / 10 && ended < count - count / 10));
}

/* Loading */

static void load_one(const unsigned char *expected, size_t size)
{
    size_t count = 0;
    void *bytes = NULL;

    sim_file_put("data", expected, size);
    sim_short_next(IORING_OP_READ, 100);
    T_CHECK(rt_file_load("data", size, &bytes, &count, RT_NEVER) == 0);
    T_CHECK(count == size && memcmp(bytes, expected, size) == 0 && ((char *)bytes)[size] == 0);
    rt_file_unload(bytes);
    T_CHECK(rt_file_load("data", size - 1, &bytes, &count, RT_NEVER) == -EFBIG);
    T_CHECK(rt_file_load("data", SIZE_MAX, &bytes, &count, RT_NEVER) == 0);
    T_CHECK(count == size && memcmp(bytes, expected, size) == 0);
    rt_file_unload(bytes);
}

/* Also around the 16 KiB from which on a file is asked for its size. */
static int load_sizes(void *arg)
{
    static const size_t sizes[] = { 16383, 16384, 16385, 32768, LARGE_BYTES };
    static unsigned char large[LARGE_BYTES];
    size_t count = 0;
    void *bytes = NULL;

    (void)arg;
    for (unsigned version = 0; version < VERSIONS; version++) {
        unsigned char expected[VERSION_ROOM];

        load_one(expected, fill_version(expected, version));
    }
    for (size_t i = 0; i < sizeof(large); i++) {
        large[i] = (unsigned char)(i * 7 + i / 251);
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        load_one(large, sizes[i]);
    }
    sim_file_put("data", NULL, 0);
    T_CHECK(rt_file_load("data", 0, &bytes, &count, RT_NEVER) == 0 && count == 0);
    rt_file_unload(bytes);
    rt_file_unload(NULL);
    return 0;
}

static void a_file_is_loaded_up_to_the_limit(void **state)
{
    (void)state;
    run(load_sizes, &(struct sim_config){ .seed = 1 });
}

static int load_failing(void *arg)
{
    static const unsigned char large[LARGE_BYTES];
    size_t count = 77;
    void *bytes = NULL;

    (void)arg;
    sim_file_put("large", large, sizeof(large));
    sim_fail_next(IORING_OP_STATX, -EIO);
    T_CHECK(rt_file_load("large", LARGE_BYTES, &bytes, &count, RT_NEVER) == -EIO);
    sim_fail_next(IORING_OP_READ, -EIO);
    T_CHECK(rt_file_load("data", VERSION_ROOM, &bytes, &count, RT_NEVER) == -EIO);
    T_CHECK(rt_file_load("none", VERSION_ROOM, &bytes, &count, RT_NEVER) == -ENOENT);
    sim_hold(IORING_OP_READ, SIM_QUEUED);
    T_CHECK(rt_file_load("data", VERSION_ROOM, &bytes, &count, rt_in(RT_SECONDS(1))) == -ETIME);
    sim_unhold();
    T_CHECK(bytes == NULL && count == 77);
    return 0;
}

static void a_load_that_fails_gives_no_memory(void **state)
{
    (void)state;
    run(load_failing, &(struct sim_config){ .seed = 1 });
}

static void *grown;
static size_t grown_bytes;

static int load_growing(void *limit)
{
    return rt_file_load("data", *(size_t *)limit, &grown, &grown_bytes, RT_NEVER);
}

/* The file becomes longer while its first read is under way. */
static int grow_meanwhile(void *arg)
{
    static unsigned char bytes[9 * VERSION_ROOM];
    size_t limits[] = { sizeof(bytes), sizeof(bytes) - 1 };

    (void)arg;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (unsigned char)(i * 11);
    }
    for (unsigned i = 0; i < 2; i++) {
        struct rt_task *task;
        int r;

        put_version("data", 1);
        sim_hold(IORING_OP_READ, SIM_RUNNING);
        T_CHECK(rt_spawn(&task, load_growing, &limits[i]) == 0);
        while (sim_held(IORING_OP_READ) == 0) {
            T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(1))) == 0);
        }
        sim_file_put("data", bytes, sizeof(bytes));
        sim_unhold();
        T_CHECK(sim_release(IORING_OP_READ, 1, SIM_NATURAL) == 1);
        T_CHECK(rt_join(task, &r, RT_NEVER) == 0);
        T_CHECK(r == (i == 0 ? 0 : -EFBIG));
        if (r == 0) {
            T_CHECK(grown_bytes == sizeof(bytes) && memcmp(grown, bytes, sizeof(bytes)) == 0);
            rt_file_unload(grown);
        }
    }
    return 0;
}

static void a_file_that_grows_meanwhile_is_loaded_whole_or_refused(void **state)
{
    (void)state;
    run(grow_meanwhile, &(struct sim_config){ .seed = 1 });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_power_cut_leaves_the_old_content_or_the_new_one),
        cmocka_unit_test(without_the_sync_of_the_content_it_is_not_whole),
        cmocka_unit_test(without_the_sync_of_the_directory_what_was_acknowledged_is_lost),
        cmocka_unit_test(a_step_that_fails_leaves_the_file_and_nothing_else),
        cmocka_unit_test(a_path_that_cannot_be_is_refused),
        cmocka_unit_test(a_call_that_is_ended_leaves_the_file_and_nothing_else),
        cmocka_unit_test(a_file_is_loaded_up_to_the_limit),
        cmocka_unit_test(a_load_that_fails_gives_no_memory),
        cmocka_unit_test(a_file_that_grows_meanwhile_is_loaded_whole_or_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
