/* SPDX-License-Identifier: MIT */
/*
 * Direct files at misaligned offsets, with a kernel that fails, gives short counts and cancels.
 *
 * One misaligned write is at most five requests: a stat, two reads, a write, a truncate. Each is
 * made to fail, and is held at each stage while its task is cancelled or its deadline passes.
 * Then, with many seeds, tasks that share blocks write and read under faults by chance. After each
 * call the file must be exactly what its result says: as before, but for the bytes it counts.
 */
#include "support/first.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <string.h>

#include "core/executor.h"
#include "os/uring_compat.h"
#include "rt/rt.h"
#include "support/rand.h"

#define MS(n)      RT_MILLISECONDS(n)
#define SIZE_BYTES 1300 /* of the file, at the start of a case */
#define MOST       8192

static char log_text[1024];

static void keep_line(void *arg, enum rt_log_level level, const char *text)
{
    (void)arg;
    (void)level;
    snprintf(log_text, sizeof(log_text), "%s", text);
}

static void run_kernel(const struct sim_config *sim_config, rt_task_fn first)
{
    struct rt_config config = RT_CONFIG_INIT;

    config.log = keep_line;
    log_text[0] = '\0';
    assert_int_equal(run_sim(sim_config, &config, first, NULL), 0);
}

static void run(rt_task_fn first)
{
    run_kernel(&(struct sim_config){ .seed = 1, .poison = true }, first);
}

/* What the file should hold. */
struct model {
    char bytes[MOST];
    size_t size;
};

static void model_init(struct model *model)
{
    memset(model, 0, sizeof(*model));
    model->size = SIZE_BYTES;
    for (unsigned i = 0; i < SIZE_BYTES; i++) {
        model->bytes[i] = (char)('A' + i % 23);
    }
    sim_file_put("data", model->bytes, model->size);
}

static void model_write(struct model *model, const char *bytes, size_t count, size_t offset)
{
    memcpy(model->bytes + offset, bytes, count);
    if (count > 0 && offset + count > model->size) {
        model->size = offset + count;
    }
}

static bool is_file(const struct model *model)
{
    size_t size = 0;
    const void *bytes = sim_file_get("data", &size);

    return bytes != NULL && size == model->size && memcmp(bytes, model->bytes, size) == 0;
}

static struct rt_file *open_data(int flags)
{
    struct rt_file *file = NULL;

    T_CHECK(rt_file_open(&file, "data", flags | O_DIRECT, 0, RT_NEVER) == 0);
    return file;
}

/* A call in a task of its own */

struct call {
    struct rt_file *file;
    const char *bytes; /* of a write; NULL: a read */
    char *buf;         /* of a read */
    size_t count;
    size_t offset;
    rt_time deadline;
};

static int make_call(void *arg)
{
    const struct call *call = arg;

    return call->bytes != NULL ? (int)rt_file_write_at(call->file, call->bytes, call->count,
                                                       call->offset, call->deadline)
                               : (int)rt_file_read_at(call->file, call->buf, call->count,
                                                      call->offset, call->deadline);
}

static int join(struct rt_task *task)
{
    int result = INT32_MIN;

    T_CHECK(rt_join(task, &result, RT_NEVER) == 0);
    return result;
}

/* Bytes 500 to 1400 of a file of 1300: both edges are read, and the length is set right. */
#define WRITE_OFFSET 500
#define WRITE_BYTES  900

static char written[WRITE_BYTES];

static struct call long_write(struct rt_file *file)
{
    memset(written, 'w', sizeof(written));
    return (struct call){ .file = file,
                          .bytes = written,
                          .count = WRITE_BYTES,
                          .offset = WRITE_OFFSET,
                          .deadline = RT_NEVER };
}

static uint64_t requests(void)
{
    return sim_stats()->sqes;
}

/* Without faults */

static int write_once(void *arg)
{
    struct model model;
    struct rt_file *file;
    struct call call;
    uint64_t before;
    char buf[16] = "";

    (void)arg;
    model_init(&model);
    file = open_data(O_RDWR);
    call = long_write(file);
    before = requests();
    T_CHECK(make_call(&call) == WRITE_BYTES);
    T_CHECK(requests() - before == 5); /* stat, two edges, write, truncate */
    model_write(&model, written, WRITE_BYTES, WRITE_OFFSET);
    T_CHECK(is_file(&model));
    before = requests();
    T_CHECK(rt_file_read_at(file, buf, 10, 1395, RT_NEVER) == 5 && memcmp(buf, "wwwww", 6) == 0);
    T_CHECK(rt_file_read_at(file, buf, 10, 1400, RT_NEVER) == 0);
    T_CHECK(rt_file_read_at(file, buf, 10, 7001, RT_NEVER) == 0);
    T_CHECK(rt_file_read_at(file, buf, 0, 1, RT_NEVER) == 0);
    T_CHECK(requests() - before == 3);
    before = requests();
    T_CHECK(rt_file_write_at(file, buf, 1, 3001, RT_NEVER) == 1); /* after a hole */
    T_CHECK(requests() - before == 3);                            /* nothing to be read there */
    model_write(&model, buf, 1, 3001);
    T_CHECK(is_file(&model));
    T_CHECK(rt_file_truncate(file, 600, RT_NEVER) == 0);
    model.size = 600;
    T_CHECK(is_file(&model));
    T_CHECK(rt_file_truncate(file, UINT64_MAX, RT_NEVER) == -EFBIG);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void a_misaligned_write_is_five_requests_at_most(void **state)
{
    (void)state;
    run(write_once);
}

/* Failures */

static int fail_each(void *arg)
{
    static const int opcodes[] = { IORING_OP_STATX, IORING_OP_READ, IORING_OP_WRITE };
    static const int errors[] = { -EIO, -ENOSPC, -EINTR, -EAGAIN };
    struct model model;
    struct rt_file *file;
    struct call call;

    (void)arg;
    model_init(&model);
    file = open_data(O_RDWR);
    for (int i = 0; i < 12; i++) {
        call = long_write(file);
        if (i % 2 == 1) {
            call.offset = 512; /* the edge at the end only */
        }
        sim_fail_next(opcodes[i / 4], errors[i % 4]);
        T_CHECK(make_call(&call) == errors[i % 4]);
        T_CHECK(is_file(&model));
    }
    call = long_write(file);
    sim_fail_next(RTI_OPCODE_FTRUNCATE, -EIO);
    T_CHECK(make_call(&call) == -EIO); /* not a count: the length is wrong, by zeroes */
    model_write(&model, written, WRITE_BYTES, WRITE_OFFSET);
    model.size = 1536;
    T_CHECK(is_file(&model));
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void a_request_that_fails_leaves_the_file_as_its_result_says(void **state)
{
    (void)state;
    run(fail_each);
}

static int cut_short(void *arg)
{
    struct model model;
    struct rt_file *file;
    struct call call;
    char buf[1000];

    (void)arg;
    model_init(&model);
    file = open_data(O_RDWR);
    call = long_write(file);
    sim_short_next(IORING_OP_WRITE, 512); /* the edge before it, and 12 bytes */
    sim_short_next(IORING_OP_WRITE, 512);
    T_CHECK(make_call(&call) == WRITE_BYTES);
    model_write(&model, written, WRITE_BYTES, WRITE_OFFSET);
    T_CHECK(is_file(&model));
    sim_short_next(IORING_OP_READ,
                   512); /* nothing of what was asked for: not the end of the file */
    T_CHECK(rt_file_read_at(file, buf, 800, 600, RT_NEVER) == 800);
    T_CHECK(memcmp(buf, model.bytes + 600, 800) == 0);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void a_short_count_within_a_window_is_made_up_for(void **state)
{
    (void)state;
    run(cut_short);
}

/* Where the alignment is not known the blocks are larger than those that a read may end at. */
static int cut_edge(void *arg)
{
    struct model model;
    struct rt_file *file;

    (void)arg;
    model_init(&model);
    file = open_data(O_RDWR);
    sim_short_next(IORING_OP_READ, 512);
    T_CHECK(rt_file_write_at(file, "w", 1, 100, RT_NEVER) == -EIO);
    T_CHECK(is_file(&model));
    T_CHECK(rt_file_write_at(file, "w", 1, 100, RT_NEVER) == 1);
    model_write(&model, "w", 1, 100);
    T_CHECK(is_file(&model));
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void no_zeroes_are_written_over_what_was_not_read(void **state)
{
    (void)state;
    run_kernel(&(struct sim_config){ .seed = 1, .poison = true, .no_alignment = true }, cut_edge);
}

/* Cancel and deadline at every stage */

/* The request that the write came to is held, its task is asked to end, and it is let go. */
static int end_at(int opcode, enum sim_stage stage, bool by_deadline, struct model *model)
{
    struct rt_file *file;
    struct rt_task *task;
    struct call call;
    int r;

    model_init(model);
    file = open_data(O_RDWR);
    call = long_write(file);
    call.deadline = by_deadline ? rt_in(MS(1)) : RT_NEVER;
    sim_hold(opcode, stage);
    T_CHECK(rt_spawn(&task, make_call, &call) == 0);
    T_CHECK(rt_sleep_until(rt_in(MS(1) / 2)) == 0);
    T_CHECK(sim_held(opcode) == 1);
    if (!by_deadline) {
        rt_cancel(task);
    }
    T_CHECK(rt_sleep_until(rt_in(MS(2))) == 0);
    sim_unhold();
    (void)sim_release(opcode, 1, SIM_NATURAL);
    r = join(task);
    T_CHECK(rt_file_close(file) == 0);
    return r;
}

static int end_everywhere(void *arg)
{
    static const int opcodes[] = { IORING_OP_STATX, IORING_OP_READ, IORING_OP_WRITE,
                                   RTI_OPCODE_FTRUNCATE };
    static const enum sim_stage stages[] = { SIM_QUEUED, SIM_RUNNING, SIM_DONE };

    (void)arg;
    for (int i = 0; i < 24; i++) {
        const int opcode = opcodes[i % 4];
        const enum sim_stage stage = stages[i / 4 % 3];
        const bool by_deadline = i / 12 == 1;
        /* What the device has taken is written, and then the length is set right all the same. */
        const bool must_write = opcode == RTI_OPCODE_FTRUNCATE ||
                                (opcode == IORING_OP_WRITE && stage != SIM_QUEUED);
        struct model model;
        const int r = end_at(opcode, stage, by_deadline, &model);

        /* A cancelled task begins no further request; a deadline that has passed only asks each
         * of them to end, and some are faster. */
        const bool may_write = must_write || (by_deadline && stage != SIM_QUEUED);

        if (r == WRITE_BYTES && may_write) {
            model_write(&model, written, WRITE_BYTES, WRITE_OFFSET);
        } else {
            T_CHECK(r == (by_deadline ? -ETIME : -ECANCELED) && !must_write);
        }
        T_CHECK(is_file(&model));
        if (t_failure_count > 0) {
            fprintf(stderr, "opcode %d at stage %d, %s: %d\n", opcode, stage,
                    by_deadline ? "deadline" : "cancel", r);
            break;
        }
    }
    return 0;
}

static void cancel_and_deadline_at_every_stage_leave_all_or_nothing(void **state)
{
    (void)state;
    run(end_everywhere);
}

/* A reader is cancelled while the device holds its buffer, which is not the caller's. */
static int end_a_read(void *arg)
{
    struct model model;
    struct rt_file *file;
    struct rt_task *task;
    char buf[8] = "abcdefg";
    struct call call = { .buf = buf, .count = 7, .offset = 3, .deadline = RT_NEVER };

    (void)arg;
    model_init(&model);
    file = open_data(O_RDONLY);
    call.file = file;
    for (int stage = SIM_QUEUED; stage <= SIM_DONE; stage++) {
        memcpy(buf, "abcdefg", 8);
        sim_hold(IORING_OP_READ, (enum sim_stage)stage);
        T_CHECK(rt_spawn(&task, make_call, &call) == 0);
        rt_yield();
        rt_cancel(task);
        T_CHECK(rt_sleep_until(rt_in(MS(1))) == 0);
        T_CHECK(memcmp(buf, "abcdefg", 8) == 0);
        sim_unhold();
        (void)sim_release(IORING_OP_READ, 1, SIM_NATURAL);
        T_CHECK(join(task) == (stage == SIM_QUEUED ? -ECANCELED : 7));
        T_CHECK(memcmp(buf, stage == SIM_QUEUED ? "abcdefg" : model.bytes + 3, 7) == 0);
    }
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void a_cancelled_read_gives_its_buffer_back_after_the_kernel_did(void **state)
{
    (void)state;
    run(end_a_read);
}

static int wait_for_the_writer(void *arg)
{
    struct model model;
    struct rt_file *file;
    struct rt_task *task;
    struct call call;
    char block[512];

    (void)arg;
    model_init(&model);
    file = open_data(O_RDWR);
    call = long_write(file);
    sim_hold(IORING_OP_WRITE, SIM_RUNNING);
    T_CHECK(rt_spawn(&task, make_call, &call) == 0);
    T_CHECK(rt_sleep_until(rt_in(MS(1))) == 0);
    T_CHECK(rt_file_read_at(file, block, 512, 0, rt_in(MS(1))) == -ETIME);
    T_CHECK(rt_file_write_at(file, "x", 1, 0, rt_in(MS(1))) == -ETIME);
    sim_unhold();
    T_CHECK(sim_release(IORING_OP_WRITE, 1, SIM_NATURAL) == 1);
    T_CHECK(join(task) == WRITE_BYTES);
    T_CHECK(rt_file_write_at(file, "x", 1, 0, RT_NEVER) == 1);
    model_write(&model, written, WRITE_BYTES, WRITE_OFFSET);
    model_write(&model, "x", 1, 0);
    T_CHECK(is_file(&model));
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void others_wait_for_a_misaligned_write_until_their_deadline(void **state)
{
    (void)state;
    run(wait_for_the_writer);
}

/* Older kernels */

static int write_on_an_old_kernel(void *arg)
{
    struct rt_blocking_stats stats;
    struct model model;
    struct rt_file *file;

    (void)arg;
    model_init(&model);
    file = open_data(O_RDWR);
    T_CHECK(rt_file_write_at(file, "xyz", 3, SIZE_BYTES, RT_NEVER) == 3);
    model_write(&model, "xyz", 3, SIZE_BYTES);
    T_CHECK(is_file(&model));
    T_CHECK(rt_file_write_at(file, "xyz", 3, 700, RT_NEVER) == 3); /* needs no truncate */
    model_write(&model, "xyz", 3, 700);
    T_CHECK(is_file(&model));
    T_CHECK(rt_file_truncate(file, 7, RT_NEVER) == 0);
    model.size = 7;
    T_CHECK(is_file(&model));
    rt_blocking_stats_get(&stats, sizeof(stats));
    T_CHECK(stats.done == 2);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void before_linux_6_9_a_thread_of_the_pool_sets_lengths(void **state)
{
    (void)state;
    run_kernel(&(struct sim_config){ .seed = 1, .kernel = SIM_KERNEL_6_6 }, write_on_an_old_kernel);
}

static int open_without_direct_io(void *arg)
{
    struct rt_file_options options = RT_FILE_OPTIONS_INIT;
    struct rt_file_stat stat;
    struct rt_file *file = NULL;

    (void)arg;
    options.flags = O_RDWR | O_CREAT | O_EXCL | O_DIRECT;
    T_CHECK(rt_file_open_with(&file, "new", &options, RT_NEVER) == -EINVAL && file == NULL);
    T_CHECK(strstr(log_text, "buffered_ok") != NULL);
    options.buffered_ok = 1;
    T_CHECK(rt_file_open_with(&file, "new", &options, RT_NEVER) == 0);
    T_CHECK(rt_file_stat(file, &stat, RT_NEVER) == 0 && stat.direct_offset_align == 0);
    T_CHECK(rt_file_write_at(file, "xyz", 3, 3, RT_NEVER) == 3);
    T_CHECK(rt_file_close(file) == 0);
    options.reserved = 1;
    T_CHECK(rt_file_open_with(&file, "new", &options, RT_NEVER) == -EINVAL);
    return 0;
}

static void a_file_system_without_direct_io_is_an_error_or_the_page_cache(void **state)
{
    (void)state;
    run_kernel(&(struct sim_config){ .seed = 1, .no_o_direct = true }, open_without_direct_io);
}

static int fail_to_learn(void *arg)
{
    struct rt_file *file = NULL;

    (void)arg;
    sim_fail_next(IORING_OP_STATX, -EIO);
    T_CHECK(rt_file_open(&file, "data", O_RDWR | O_DIRECT, 0, RT_NEVER) == -EIO && file == NULL);
    return 0; /* the sim sees a descriptor that was left */
}

static void a_file_whose_alignment_cannot_be_learned_is_closed_again(void **state)
{
    (void)state;
    run(fail_to_learn);
}

/* By chance */

#define TASKS       4
#define STRIPE      150 /* each task has every fourth one: blocks are shared, bytes are not */
#define CHANCE_SIZE 6000
#define FIRST_SIZE  2000 /* of the file: it grows */
#define ROUNDS      24

static struct {
    struct rt_file *file;
    struct model model;
    unsigned next;
    unsigned left;
    unsigned errors; /* over all seeds, so that none of the outcomes was missed */
    unsigned shorts;
    unsigned late;
} chance;

static void do_one(struct rand_state *rand, unsigned task)
{
    const size_t stripe = rand_below(rand, CHANCE_SIZE / STRIPE / TASKS) * TASKS + task;
    const size_t from = (size_t)rand_below(rand, STRIPE);
    const size_t offset = stripe * STRIPE + from;
    const size_t count = 1 + (size_t)rand_below(rand, STRIPE - from);
    const rt_time deadline = rand_chance(rand, 200)
                                 ? rt_in((rt_time)rand_below(rand, RT_MICROSECONDS(500)))
                                 : RT_NEVER;
    const size_t size = chance.model.size;
    char bytes[STRIPE];
    ssize_t n;

    if (rand_chance(rand, 600)) {
        rand_bytes(rand, bytes, count);
        n = rt_file_write_at(chance.file, bytes, count, offset, deadline);
        model_write(&chance.model, bytes, n > 0 ? (size_t)n : 0, offset);
        T_CHECK(n != 0);
    } else {
        n = rt_file_read_at(chance.file, bytes, count, offset, deadline);
        T_CHECK(n <= 0 || memcmp(bytes, chance.model.bytes + offset, (size_t)n) == 0);
        T_CHECK(n != 0 || offset >= size);
    }
    T_CHECK(n <= (ssize_t)count);
    chance.shorts += n > 0 && n < (ssize_t)count;
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
        do_one(&rand, task);
    }
    return 0;
}

static int live_with_faults(void *arg)
{
    struct rt_group tasks = RT_GROUP_INIT;
    int r;

    (void)arg;
    memset(&chance.model, 0, sizeof(chance.model));
    memset(chance.model.bytes, 'm', FIRST_SIZE);
    chance.model.size = FIRST_SIZE;
    chance.next = 0;
    sim_file_put("data", chance.model.bytes, FIRST_SIZE);
    do {
        r = rt_file_open(&chance.file, "data", O_RDWR | O_DIRECT, 0, RT_NEVER);
    } while (r < 0);
    for (int i = 0; i < TASKS; i++) {
        T_CHECK(rt_group_spawn(&tasks, do_some, NULL) == 0);
    }
    do {
        r = rt_group_leave(&tasks, RT_NEVER);
    } while (r < 0);
    T_CHECK(is_file(&chance.model));
    (void)rt_file_close(chance.file);
    return 0;
}

static void under_faults_by_chance_each_call_did_what_its_count_says(void **state)
{
    static const struct sim_error errors[] = { { IORING_OP_READ, 60, -EIO },
                                               { IORING_OP_WRITE, 60, -ENOSPC },
                                               { IORING_OP_STATX, 20, -EINTR } };

    (void)state;
    memset(&chance, 0, sizeof(chance));
    for (unsigned i = 0; i < rt_test_seed_count(60); i++) {
        struct sim_config config = sim_config_chaos(rt_test_seed(i));

        config.faults.errors = errors;
        config.faults.error_count = sizeof(errors) / sizeof(errors[0]);
        config.faults.short_count = 200;
        run_kernel(&config, live_with_faults);
    }
    if (rt_test_seed_count(60) == 60) { /* with one seed there may be none */
        assert_true(chance.errors > 0 && chance.shorts > 0 && chance.late > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_misaligned_write_is_five_requests_at_most),
        cmocka_unit_test(a_request_that_fails_leaves_the_file_as_its_result_says),
        cmocka_unit_test(a_short_count_within_a_window_is_made_up_for),
        cmocka_unit_test(no_zeroes_are_written_over_what_was_not_read),
        cmocka_unit_test(cancel_and_deadline_at_every_stage_leave_all_or_nothing),
        cmocka_unit_test(a_cancelled_read_gives_its_buffer_back_after_the_kernel_did),
        cmocka_unit_test(others_wait_for_a_misaligned_write_until_their_deadline),
        cmocka_unit_test(before_linux_6_9_a_thread_of_the_pool_sets_lengths),
        cmocka_unit_test(a_file_system_without_direct_io_is_an_error_or_the_page_cache),
        cmocka_unit_test(a_file_whose_alignment_cannot_be_learned_is_closed_again),
        cmocka_unit_test(under_faults_by_chance_each_call_did_what_its_count_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
