/* SPDX-License-Identifier: MIT */
/*
 * Files for which a device is to be polled that cannot be, or that fails: no task hears of it.
 *
 * First each promise by itself, with requests that fail or are refused on purpose; then, with many
 * seeds, tasks write and read under faults, deadlines and cancels, and at some moment the device
 * begins to refuse. Each call must have done what its result says, and none says -EOPNOTSUPP.
 */
#include "polled_file.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>

#include "support/rand.h"

/* ---- faults of a transfer ---- */

static int fail_some(void *arg)
{
    struct rt_file *file = open_data();
    const uint64_t before = counters().submitted;
    char *bytes = transfer_of(0, file, 0)->bytes;

    (void)arg;
    sim_fail_next(IORING_OP_READ, -EIO);
    T_CHECK(rt_file_read_at(file, bytes, BLOCK, 0, RT_NEVER) == -EIO);
    sim_fail_next(IORING_OP_READ, -EINTR);
    T_CHECK(rt_file_read_at(file, bytes, BLOCK, 0, RT_NEVER) == -EINTR);
    sim_short_next(IORING_OP_READV, BLOCK);
    T_CHECK(rt_file_readv_at(
                file,
                (struct iovec[]){ { bytes, BLOCK }, { transfer_of(1, file, 0)->bytes, BLOCK } }, 2,
                0, RT_NEVER) == BLOCK);
    T_CHECK(has_read(&transfers[0], '0') && counters().submitted - before == 3);
    sim_fail_next(IORING_OP_READ, -EAGAIN); /* the poll queue was full, say */
    T_CHECK(rt_file_read_at(file, bytes, BLOCK, BLOCK, RT_NEVER) == BLOCK);
    T_CHECK(has_read(&transfers[0], '1') && counters().submitted - before == 5);
    T_CHECK(is_polled(file) && counters().polls_refused == 0 && log_lines == 0);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void errors_and_short_counts_are_the_callers_but_not_a_want_of_room(void **state)
{
    (void)state;
    run(fail_some);
}

/* ---- the way back ---- */

static int use_refused(void *arg)
{
    struct rt_file *file = open_data();
    struct rt_file *other;

    (void)arg;
    sim_file_refuse_polls("data");
    read_side_by_side(file, BLOCKS);
    T_CHECK(!is_polled(file) && counters().polls_refused == 1);
    T_CHECK(counters().polled_transfers == 0);
    T_CHECK(log_lines == 1 && strstr(log_text, "poll_queues") != NULL);
    put_data("other");
    sim_file_refuse_polls("other");
    other = open_polled("other");
    T_CHECK(is_polled(other)); /* not known to be the same, but for the log */
    read_side_by_side(other, 1);
    T_CHECK(!is_polled(other) && counters().polls_refused == 2 && log_lines == 1);
    T_CHECK(rt_file_close(other) == 0);
    put_data("third");
    other = open_polled("third");
    read_side_by_side(other, BLOCKS);
    T_CHECK(is_polled(other) && counters().polled_transfers == BLOCKS);
    T_CHECK(rt_file_close(other) == 0);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void a_device_that_refuses_is_told_once_and_no_transfer_is_lost(void **state)
{
    (void)state;
    run(use_refused);
}

static int refuse_in_the_middle(void *arg)
{
    struct rt_file *file = open_data();
    struct rt_task *tasks[BLOCKS];
    struct rt_stats before;

    (void)arg;
    for (unsigned i = 0; i < BLOCKS; i++) {
        tasks[i] = spawn(transfer_of(i, file, i % 3 == 0 ? 'w' : 0));
        if (i == BLOCKS / 2) {
            T_CHECK(rt_sleep_until(rt_in(US(5))) == 0);
            T_CHECK(counters().ops_in_flight > BLOCKS / 4);
            sim_file_refuse_polls("data");
        }
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        T_CHECK(join(tasks[i]) == BLOCK);
        T_CHECK(i % 3 == 0 || has_read_its_block(&transfers[i]));
    }
    before = counters();
    T_CHECK(before.polls_refused == 1 && before.polled_transfers >= BLOCKS / 4 && log_lines == 1);
    for (unsigned i = 0; i < BLOCKS; i += 3) {
        T_CHECK(join(spawn(transfer_of(i, file, 0))) == BLOCK && has_read(&transfers[i], 'w'));
    }
    T_CHECK(counters().polled_transfers == before.polled_transfers);
    T_CHECK(counters().sleeps > before.sleeps); /* the ordinary way */
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void a_device_may_begin_to_refuse_with_many_in_flight(void **state)
{
    (void)state;
    run(refuse_in_the_middle);
}

static int end_and_refuse(void *arg)
{
    struct rt_file *file = open_data();
    struct rt_task *tasks[2];

    (void)arg;
    sim_hold(IORING_OP_WRITE, SIM_DONE);
    transfer_of(0, file, 'w')->deadline = rt_in(US(50));
    tasks[0] = spawn(&transfers[0]);
    tasks[1] = spawn(transfer_of(1, file, 'w'));
    rt_yield();
    rt_cancel(tasks[1]);
    T_CHECK(rt_sleep_until(rt_in(US(100))) == 0);
    sim_unhold();
    T_CHECK(sim_release(IORING_OP_WRITE, 2, -EOPNOTSUPP) == 2);
    T_CHECK(join(tasks[0]) == -ETIME && join(tasks[1]) == -ECANCELED);
    T_CHECK(memcmp(sim_file_get("data", &(size_t){ 0 }), contents, SIZE) == 0);
    T_CHECK(!is_polled(file));
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void a_transfer_that_was_to_end_does_not_begin_again(void **state)
{
    (void)state;
    run(end_and_refuse);
}

static int cancel_after_the_way_back(void *arg)
{
    struct rt_file *file = open_data();
    struct rt_task *task;

    (void)arg;
    sim_hold(IORING_OP_READ, SIM_QUEUED);
    task = spawn(transfer_of(0, file, 0));
    T_CHECK(rt_sleep_until(rt_in(US(10))) == 0);
    T_CHECK(sim_release(IORING_OP_READ, 1, -EOPNOTSUPP) == 1);
    T_CHECK(rt_sleep_until(rt_in(US(10))) == 0);
    T_CHECK(sim_held(IORING_OP_READ) == 1 && !is_polled(file)); /* it is there again */
    rt_cancel(task); /* in the ordinary ring that ends it */
    T_CHECK(join(task) == -ECANCELED);
    sim_unhold();
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void in_the_ordinary_ring_it_can_be_cancelled_as_any_other(void **state)
{
    (void)state;
    run(cancel_after_the_way_back);
}

struct reading {
    struct rt_future future;
    struct transfer *transfer;
};

static int poll_read(struct rt_future *future)
{
    const struct reading *this = (struct reading *)future;

    return rt_poll_file_read_at(future, this->transfer->file, this->transfer->bytes, BLOCK,
                                (uint64_t)this->transfer->block * BLOCK, RT_NEVER);
}

static int read_by_futures(void *arg)
{
    struct reading readings[BLOCKS];
    struct rt_task *tasks[BLOCKS];
    struct rt_file *file = open_data();

    (void)arg;
    for (unsigned i = 0; i < BLOCKS; i++) {
        readings[i] = (struct reading){ RT_FUTURE_INIT(poll_read, NULL), transfer_of(i, file, 0) };
        T_CHECK(rt_spawn_future(&tasks[i], &readings[i].future) == 0);
        if (i == BLOCKS / 2) {
            T_CHECK(rt_sleep_until(rt_in(US(5))) == 0);
            sim_file_refuse_polls("data");
        }
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        T_CHECK(join(tasks[i]) == BLOCK && has_read_its_block(&transfers[i]));
    }
    T_CHECK(counters().polled_transfers > 0 && counters().polls_refused == 1);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void futures_are_polled_for_too_and_go_back(void **state)
{
    (void)state;
    run(read_by_futures);
}

/* ---- there is no ring ---- */

static const char *cause; /* that the log has to name */

static int use_without(void *arg)
{
    struct rt_file *file = open_data();
    struct rt_file *other = open_polled("data");

    (void)arg;
    T_CHECK(sim_ring_count() == 1 && !is_polled(file) && !is_polled(other));
    T_CHECK(counters().polls_refused == 2 && log_lines == 1 && strstr(log_text, cause) != NULL);
    read_side_by_side(file, BLOCKS);
    T_CHECK(counters().polled_transfers == 0 && log_lines == 1);
    T_CHECK(rt_file_close(other) == 0);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void without_a_ring_files_work_and_the_log_says_why(void **state)
{
    struct rt_config config = config_of_runs();

    (void)state;
    cause = "EINVAL";
    run_on(&(struct sim_config){ .seed = 1, .no_iopoll = true }, use_without);
    cause = "RLIMIT_MEMLOCK";
    run_on(&(struct sim_config){ .seed = 1, .rings_max = 1 }, use_without);
    cause = "RT_DISABLE";
    config = config_of_runs();
    config.disable = "iopoll";
    assert_int_equal(run_sim(&(struct sim_config){ .seed = 1 }, &config, use_without, NULL), 0);
}

static int open_without_direct_io(void *arg)
{
    struct rt_file_options options = RT_FILE_OPTIONS_INIT;
    struct rt_file *file = NULL;

    (void)arg;
    options.flags = O_RDWR;
    options.polled = 1;
    T_CHECK(rt_file_open_with(&file, "data", &options, RT_NEVER) == -EINVAL && file == NULL);
    T_CHECK(log_lines == 1 && strstr(log_text, "O_DIRECT") != NULL);
    options.flags |= O_DIRECT;
    options.buffered_ok = 1;
    T_CHECK(rt_file_open_with(&file, "data", &options, RT_NEVER) == 0);
    T_CHECK(!is_polled(file) && counters().polls_refused == 1 && sim_ring_count() == 1);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void what_goes_through_the_page_cache_is_not_polled_for(void **state)
{
    (void)state;
    run_on(&(struct sim_config){ .seed = 1, .no_o_direct = true }, open_without_direct_io);
}

/* ---- by chance ---- */

#define TASKS  6u
#define ROUNDS 20u

static struct {
    struct rt_file *file;
    char model[SIZE];
    unsigned next;
    bool begins_to_refuse;
    unsigned errors; /* over all seeds, so that none of the outcomes was missed */
    unsigned late;
    unsigned refused;
    unsigned polled;
} chance;

/* Task t has block n if n % TASKS == t: of several blocks in a row it writes only its own. */
static void do_one(struct rand_state *rand, unsigned task)
{
    struct transfer *transfer = transfer_of(task, chance.file, 0);
    char *model;
    int n;

    transfer->block = (unsigned)rand_below(rand, BLOCKS / TASKS) * TASKS + task;
    transfer->deadline = rand_chance(rand, 200) ? rt_in((rt_time)rand_below(rand, US(300)))
                                                : RT_NEVER;
    model = chance.model + (size_t)transfer->block * BLOCK;
    if (rand_chance(rand, 500)) {
        transfer->fill = (char)('A' + rand_below(rand, 26));
        memset(transfer->bytes, transfer->fill, BLOCK);
    }
    n = make_transfer(transfer);
    T_CHECK(n == BLOCK || n < 0);
    T_CHECK(n != -EOPNOTSUPP);
    if (n > 0 && transfer->fill != 0) {
        memset(model, transfer->fill, BLOCK);
    } else if (n > 0) {
        T_CHECK(memcmp(transfer->bytes, model, BLOCK) == 0);
    }
    chance.late += n == -ETIME;
    chance.errors += n < 0 && n != -ETIME;
}

static int do_some(void *arg)
{
    const unsigned task = chance.next++;
    struct rand_state rand;

    (void)arg;
    rand_init(&rand, sim_seed() * TASKS + task);
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (chance.begins_to_refuse && task == 0 && i == ROUNDS / 2) {
            sim_file_refuse_polls("data");
        }
        do_one(&rand, task);
    }
    return 0;
}

static int live_with_faults(void *arg)
{
    struct rt_file_options options = RT_FILE_OPTIONS_INIT;
    struct rt_group tasks = RT_GROUP_INIT;
    struct rt_stats stats;
    int r;

    (void)arg;
    options.flags = O_RDWR | O_DIRECT;
    options.polled = 1;
    put_data("data");
    memcpy(chance.model, contents, SIZE);
    chance.next = 0;
    do {
        r = rt_file_open_with(&chance.file, "data", &options, RT_NEVER);
    } while (r < 0);
    for (unsigned i = 0; i < TASKS; i++) {
        T_CHECK(rt_group_spawn(&tasks, do_some, NULL) == 0);
    }
    do {
        r = rt_group_leave(&tasks, RT_NEVER);
    } while (r < 0);
    stats = counters();
    chance.refused += (unsigned)stats.polls_refused;
    chance.polled += (unsigned)stats.polled_transfers;
    T_CHECK(stats.polls_refused == log_lines && stats.stale == 0);
    T_CHECK(memcmp(sim_file_get("data", &(size_t){ 0 }), chance.model, SIZE) == 0);
    (void)rt_file_close(chance.file);
    return 0;
}

static void under_faults_by_chance_each_call_did_what_its_count_says(void **state)
{
    static const struct sim_error errors[] = { { IORING_OP_READ, 60, -EIO },
                                               { IORING_OP_WRITE, 60, -ENOSPC },
                                               { IORING_OP_READ, 60, -EAGAIN } };
    struct rt_config config;

    (void)state;
    memset(&chance, 0, sizeof(chance));
    for (unsigned i = 0; i < rt_test_seed_count(60); i++) {
        struct sim_config sim_config = sim_config_chaos(rt_test_seed(i));

        sim_config.faults.errors = errors;
        sim_config.faults.error_count = sizeof(errors) / sizeof(errors[0]);
        sim_config.faults.short_count = 0; /* of one block there is none */
        chance.begins_to_refuse = rt_test_seed(i) % 2 == 0;
        config = config_of_runs();
        config.disk_models = rt_test_seed(i) % 3 == 0 ? "learn" : NULL;
        assert_int_equal(run_sim(&sim_config, &config, live_with_faults, NULL), 0);
    }
    if (rt_test_seed_count(60) == 60) { /* with one seed there may be none */
        assert_true(chance.errors > 0 && chance.late > 0);
        assert_true(chance.refused > 0 && chance.refused < 60 && chance.polled > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_and_short_counts_are_the_callers_but_not_a_want_of_room),
        cmocka_unit_test(a_device_that_refuses_is_told_once_and_no_transfer_is_lost),
        cmocka_unit_test(a_device_may_begin_to_refuse_with_many_in_flight),
        cmocka_unit_test(a_transfer_that_was_to_end_does_not_begin_again),
        cmocka_unit_test(in_the_ordinary_ring_it_can_be_cancelled_as_any_other),
        cmocka_unit_test(without_a_ring_files_work_and_the_log_says_why),
        cmocka_unit_test(what_goes_through_the_page_cache_is_not_polled_for),
        cmocka_unit_test(futures_are_polled_for_too_and_go_back),
        cmocka_unit_test(under_faults_by_chance_each_call_did_what_its_count_says),
    };

    (void)unsetenv("RT_DISABLE"); /* it would take the feature away */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
