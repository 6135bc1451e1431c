/* SPDX-License-Identifier: MIT */
/* Polled file: a file for which the device is polled, and transfers of its blocks side by side. */
#ifndef RT_TEST_POLLED_FILE_H
#define RT_TEST_POLLED_FILE_H

#include "support/first.h"

#include <fcntl.h>
#include <string.h>

#include "rt/rt.h"

#define MS(n) RT_MILLISECONDS(n)
#define US(n) RT_MICROSECONDS(n)

#define BLOCK  512u
#define BLOCKS 64u
#define SIZE   (BLOCKS * BLOCK)

static char log_text[1024];
static unsigned log_lines;

static char contents[SIZE];

static inline void keep_line(void *arg, enum rt_log_level level, const char *text)
{
    (void)arg;
    (void)level;
    log_lines++;
    snprintf(log_text, sizeof(log_text), "%s", text);
}

static inline struct rt_config config_of_runs(void)
{
    struct rt_config config = RT_CONFIG_INIT;

    config.log = keep_line;
    log_lines = 0;
    log_text[0] = '\0';
    return config;
}

static inline void run_on(const struct sim_config *sim_config, rt_task_fn first)
{
    const struct rt_config config = config_of_runs();

    assert_int_equal(run_sim(sim_config, &config, first, NULL), 0);
}

static inline void run(rt_task_fn first)
{
    run_on(&(struct sim_config){ .seed = 1, .delay_min = US(20), .delay_max = US(40) }, first);
}

/* A file whose block n is full of the letter n. */
static inline void put_data(const char *path)
{
    for (unsigned i = 0; i < SIZE; i++) {
        contents[i] = (char)('0' + i / BLOCK);
    }
    sim_file_put(path, contents, SIZE);
}

static inline struct rt_file *open_polled(const char *path)
{
    struct rt_file_options options = RT_FILE_OPTIONS_INIT;
    struct rt_file *file = NULL;

    options.flags = O_RDWR | O_DIRECT;
    options.polled = 1;
    T_CHECK(rt_file_open_with(&file, path, &options, RT_NEVER) == 0);
    return file;
}

static inline struct rt_file *open_data(void)
{
    put_data("data");
    return open_polled("data");
}

static inline struct rt_stats counters(void)
{
    struct rt_stats stats;

    rt_stats_get(&stats, sizeof(stats));
    return stats;
}

static inline bool is_polled(struct rt_file *file)
{
    struct rt_file_stat stat;

    T_CHECK(rt_file_stat(file, &stat, RT_NEVER) == 0);
    return stat.polled == 1;
}

/* A transfer of one block in a task of its own. */
struct transfer {
    struct rt_file *file;
    rt_time deadline;
    unsigned block;
    char fill; /* of a write; 0: a read */
    char bytes[BLOCK] __attribute__((aligned(512)));
};

static struct transfer transfers[4 * BLOCKS + 300];

static inline struct transfer *transfer_of(unsigned index, struct rt_file *file, char fill)
{
    struct transfer *transfer = &transfers[index];

    *transfer = (struct transfer){ .file = file, .deadline = RT_NEVER, .fill = fill };
    transfer->block = index % BLOCKS;
    memset(transfer->bytes, fill, BLOCK);
    return transfer;
}

static inline int make_transfer(void *arg)
{
    struct transfer *this = arg;
    const uint64_t offset = (uint64_t)this->block * BLOCK;

    return this->fill != 0
               ? (int)rt_file_write_at(this->file, this->bytes, BLOCK, offset, this->deadline)
               : (int)rt_file_read_at(this->file, this->bytes, BLOCK, offset, this->deadline);
}

static inline bool has_read(const struct transfer *transfer, char letter)
{
    char expected[BLOCK];

    memset(expected, letter, BLOCK);
    return memcmp(transfer->bytes, expected, BLOCK) == 0;
}

static inline bool has_read_its_block(const struct transfer *transfer)
{
    return has_read(transfer, (char)('0' + transfer->block));
}

static inline struct rt_task *spawn(struct transfer *transfer)
{
    struct rt_task *task = NULL;

    T_CHECK(rt_spawn(&task, make_transfer, transfer) == 0);
    return task;
}

static inline void spawn_detached(rt_task_fn fn, struct transfer *transfer)
{
    struct rt_task *task = NULL;

    T_CHECK(rt_spawn(&task, fn, transfer) == 0);
    rt_detach(task);
}

static inline int join(struct rt_task *task)
{
    int result = INT32_MIN;

    T_CHECK(rt_join(task, &result, RT_NEVER) == 0);
    return result;
}

static inline void read_side_by_side(struct rt_file *file, unsigned count)
{
    struct rt_task *tasks[4 * BLOCKS + 300];

    for (unsigned i = 0; i < count; i++) {
        tasks[i] = spawn(transfer_of(i, file, 0));
    }
    for (unsigned i = 0; i < count; i++) {
        T_CHECK(join(tasks[i]) == BLOCK && has_read_its_block(&transfers[i]));
    }
}

#endif /* RT_TEST_POLLED_FILE_H */
