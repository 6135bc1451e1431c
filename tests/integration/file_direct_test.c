/* SPDX-License-Identifier: MIT */
/*
 * Files, direct and buffered, do what pread(2) and pwrite(2) do, at any offset, length and memory.
 *
 * A run draws calls from its seed and makes each on two files: with this library on the one, with
 * the plain system calls on the other, its model. Results, what was read, and the length are
 * compared after each call, the contents from time to time and at the end. Draws are near the
 * edges of blocks more often than not. Then many tasks write into the same blocks at once.
 *
 * Each test works in a directory of its own run, below TMPDIR or /tmp.
 */
#include "support/folder.h"
#include "support/harness.h"
#include "support/have_io_uring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rt/rt.h"
#include "support/rand.h"

#define MARGIN     64 /* on both sides of what is read into: must stay as it was */
#define MOST       ((size_t)20000)
#define FAR        40000 /* offsets are below it */
#define LONG       ((size_t)300000) /* more than goes through the library's buffer at once */

static char log_text[1024];

static void keep_line(void *arg, enum rt_log_level level, const char *text)
{
    (void)arg;
    (void)level;
    snprintf(log_text, sizeof(log_text), "%s", text);
}

static void run(rt_task_fn first, void *arg)
{
    const unsigned descriptors = t_open_descriptors();
    struct rt_config config = RT_CONFIG_INIT;
    int r;

    config.log = keep_line;
    log_text[0] = '\0';
    r = rt_run(&config, first, arg);
    assert_int_equal(t_failures(), 0);
    assert_int_equal(r, 0);
    assert_int_equal(t_open_descriptors(), descriptors);
}

/* NULL: no direct I/O here. */
static struct rt_file *open_file(const char *name, int flags)
{
    struct rt_file *file = NULL;
    const int r = rt_file_open(&file, folder_file(name), flags, 0600, RT_NEVER);

    if (r < 0 && !(r == -EINVAL && (flags & O_DIRECT) != 0)) {
        fprintf(stderr, "cannot open %s: %s\n", folder_file(name), rt_strerror(r));
        abort();
    }
    return file;
}

/* Against the model */

struct pair {
    struct rand_state rand;
    struct rt_file *file;
    int look;  /* another descriptor of the same file, through the page cache */
    int model; /* the other file */
    char *memory;
    char *expected;
    unsigned step;
};

static void check(const struct pair *pair, bool is_right, const char *what, uint64_t offset,
                  size_t bytes)
{
    if (!is_right) {
        fprintf(stderr, "step %u: %s at %llu, %zu bytes\n", pair->step, what,
                (unsigned long long)offset, bytes);
    }
    T_CHECK(is_right);
}

static uint64_t draw_offset(struct pair *pair)
{
    const uint64_t any = rand_below(&pair->rand, FAR);

    switch (rand_below(&pair->rand, 4)) {
    case 0:
        return any;
    case 1:
        return any & ~(uint64_t)511;
    case 2:
        return any & ~(uint64_t)4095;
    default: /* beside an edge of a block */
        return (any & ~(uint64_t)511) + 512 + rand_below(&pair->rand, 5) - 2;
    }
}

static size_t draw_bytes(struct pair *pair)
{
    const size_t any = (size_t)rand_below(&pair->rand, MOST);

    switch (rand_below(&pair->rand, 4)) {
    case 0:
        return any;
    case 1:
        return any & ~(size_t)511;
    case 2:
        return any % 20;
    default:
        return any & ~(size_t)4095;
    }
}

/* Where in the memory: at any alignment, at that of a block more often than by chance. */
static char *draw_memory(struct pair *pair)
{
    const uint64_t shift = rand_below(&pair->rand, 2) == 0 ? 0 : rand_below(&pair->rand, 600);

    return pair->memory + 4096 + shift;
}

/* `bytes` at `memory` as up to four parts. */
static unsigned draw_parts(struct pair *pair, char *memory, size_t bytes, struct iovec parts[4])
{
    const unsigned count = 1 + (unsigned)rand_below(&pair->rand, 4);

    for (unsigned i = 0; i < count; i++) {
        const size_t part = i == count - 1 ? bytes : (size_t)rand_below(&pair->rand, bytes + 1);

        parts[i] = (struct iovec){ .iov_base = memory, .iov_len = part };
        memory += part;
        bytes -= part;
    }
    return count;
}

static void read_both(struct pair *pair, uint64_t offset, size_t bytes)
{
    char *memory = draw_memory(pair);
    struct iovec parts[4];
    ssize_t expected;
    ssize_t n;

    memset(pair->expected, 0x5a, bytes + (size_t)2 * MARGIN);
    memset(memory - MARGIN, 0x5a, bytes + (size_t)2 * MARGIN);
    expected = pread(pair->model, pair->expected + MARGIN, bytes, (off_t)offset);
    if (rand_below(&pair->rand, 3) == 0) {
        const unsigned count = draw_parts(pair, memory, bytes, parts);

        n = rt_file_readv_at(pair->file, parts, count, offset, RT_NEVER);
    } else {
        n = rt_file_read_at(pair->file, memory, bytes, offset, RT_NEVER);
    }
    check(pair, n == expected, "count of a read", offset, bytes);
    /* behind what was read the memory of the call may hold anything */
    check(pair, n < 0 || memcmp(memory - MARGIN, pair->expected, MARGIN + (size_t)n) == 0,
          "what was read", offset, bytes);
    check(pair, memcmp(memory + bytes, pair->expected + MARGIN + bytes, MARGIN) == 0,
          "memory behind a read", offset, bytes);
}

static void write_both(struct pair *pair, uint64_t offset, size_t bytes)
{
    char *memory = draw_memory(pair);
    struct iovec parts[4];
    ssize_t n;

    rand_bytes(&pair->rand, memory, bytes);
    if (rand_below(&pair->rand, 3) == 0) {
        const unsigned count = draw_parts(pair, memory, bytes, parts);

        n = rt_file_writev_at(pair->file, parts, count, offset, RT_NEVER);
    } else {
        n = rt_file_write_at(pair->file, memory, bytes, offset, RT_NEVER);
    }
    check(pair, n == (ssize_t)bytes, "count of a write", offset, bytes);
    T_CHECK(pwrite(pair->model, memory, bytes, (off_t)offset) == (ssize_t)bytes);
}

static uint64_t size_of(int fd)
{
    struct stat stat;

    T_CHECK(fstat(fd, &stat) == 0);
    return (uint64_t)stat.st_size;
}

static void compare_contents(struct pair *pair)
{
    const size_t bytes = (size_t)size_of(pair->model);

    T_CHECK(bytes <= LONG + FAR);
    T_CHECK(pread(pair->model, pair->expected, bytes, 0) == (ssize_t)bytes);
    T_CHECK(pread(pair->look, pair->memory, bytes, 0) == (ssize_t)bytes);
    check(pair, memcmp(pair->memory, pair->expected, bytes) == 0, "contents", 0, bytes);
}

static void step(struct pair *pair)
{
    const uint64_t offset = draw_offset(pair);
    const size_t bytes = draw_bytes(pair);

    switch (rand_below(&pair->rand, 20)) {
    case 0: {
        const int r = rt_file_truncate(pair->file, offset, RT_NEVER);

        check(pair, r == 0 || r == -EOPNOTSUPP, "truncate", offset, 0);
        T_CHECK(r < 0 || ftruncate(pair->model, (off_t)offset) == 0);
        break;
    }
    case 1: /* changed by somebody else */
        T_CHECK(ftruncate(pair->model, (off_t)offset) == 0);
        T_CHECK(ftruncate(pair->look, (off_t)offset) == 0);
        break;
    case 2:
        compare_contents(pair);
        break;
    case 3:
        write_both(pair, offset, LONG - bytes);
        break;
    case 4:
        read_both(pair, offset, LONG - bytes);
        break;
    case 5:
    case 6:
    case 7:
    case 8:
    case 9:
    case 10:
        read_both(pair, offset, bytes);
        break;
    default:
        write_both(pair, offset, bytes);
        break;
    }
    check(pair, size_of(pair->look) == size_of(pair->model), "length", offset, bytes);
}

struct case_of_seed {
    uint64_t seed;
    int flags;
    bool was_run;
};

#define STEPS 120

static int compare_calls(void *arg)
{
    struct case_of_seed *c = arg;
    const int flags = O_RDWR | O_CREAT | O_TRUNC;
    struct pair pair = { .file = open_file("ours", flags | c->flags) };

    if (pair.file == NULL) {
        return 0;
    }
    c->was_run = true;
    rand_init(&pair.rand, c->seed);
    pair.look = open(folder_file("ours"), O_RDWR | O_CLOEXEC);
    pair.model = open(folder_file("model"), flags | O_CLOEXEC, 0600);
    pair.memory = aligned_alloc(4096, (LONG + FAR + 8192 + 4095) & ~(size_t)4095);
    pair.expected = malloc(LONG + FAR + 8192);
    T_CHECK(pair.look >= 0 && pair.model >= 0 && pair.memory != NULL && pair.expected != NULL);
    for (pair.step = 0; pair.step < STEPS && t_failure_count == 0; pair.step++) {
        step(&pair);
    }
    compare_contents(&pair);
    free(pair.expected);
    free(pair.memory);
    T_CHECK(close(pair.look) == 0 && close(pair.model) == 0);
    T_CHECK(rt_file_close(pair.file) == 0);
    return 0;
}

static void compare_with_seeds(int flags, unsigned seeds)
{
    for (unsigned i = 0; i < rt_test_seed_count(seeds); i++) {
        struct case_of_seed c = { .seed = rt_test_seed(i), .flags = flags };

        run(compare_calls, &c);
        if (!c.was_run) {
            print_message("skipped: the file system of %s has no O_DIRECT\n", folder_path);
            skip();
        }
    }
}

static void a_direct_file_does_what_the_system_calls_do(void **state)
{
    (void)state;
    compare_with_seeds(O_DIRECT, 6);
}

static void a_buffered_file_does_what_the_system_calls_do(void **state)
{
    (void)state;
    compare_with_seeds(0, 4);
}

/* Side by side */

#define TASKS       16
#define ROUNDS      4
#define PIECE_BYTES 100 /* several tasks write into each block */

struct shared {
    struct rt_file *file;
    unsigned next;
    unsigned left;
    bool has_direct;
};

static int write_pieces(void *arg)
{
    struct shared *shared = arg;
    const unsigned task = shared->next++;
    char piece[PIECE_BYTES];

    for (unsigned round = 0; round < ROUNDS; round++) {
        const unsigned number = round * TASKS + task;

        memset(piece, (int)number + 1, sizeof(piece));
        T_CHECK(rt_file_write_at(shared->file, piece, sizeof(piece), (uint64_t)number * PIECE_BYTES,
                                 RT_NEVER) == PIECE_BYTES);
    }
    shared->left--;
    return 0;
}

/* A block as a whole, again and again: until the next time it reads as it was written, but for the
 * bytes at its end, which others change meanwhile. */
static int write_blocks(void *arg)
{
    struct shared *shared = arg;
    char *block = aligned_alloc(4096, 4096);

    T_CHECK(block != NULL);
    for (int i = 0; i < 64; i++) {
        memset(block, i + 1, 4096);
        T_CHECK(rt_file_write_at(shared->file, block, 4096, 8192, RT_NEVER) == 4096);
        T_CHECK(rt_file_read_at(shared->file, block, 4096, 8192, RT_NEVER) == 4096);
        T_CHECK(block[0] == i + 1 && memcmp(block, block + 1, 4091) == 0);
    }
    free(block);
    shared->left--;
    return 0;
}

static int write_edges(void *arg)
{
    struct shared *shared = arg;

    while (shared->left > 0) {
        T_CHECK(rt_file_write_at(shared->file, "the edge", 8, 12284, RT_NEVER) == 8);
    }
    return 0;
}

/* Nobody sees the file longer than what was written. */
static int watch_the_end(void *arg)
{
    struct shared *shared = arg;
    struct rt_file_stat stat;
    char byte;

    while (shared->left > 0) {
        T_CHECK(rt_file_stat(shared->file, &stat, RT_NEVER) == 0);
        T_CHECK(stat.size_bytes % PIECE_BYTES == 0);
        T_CHECK(rt_file_read_at(shared->file, &byte, 1, (uint64_t)TASKS * ROUNDS * PIECE_BYTES,
                                RT_NEVER) == 0);
    }
    return 0;
}

static int write_side_by_side(void *arg)
{
    struct shared *shared = arg;
    struct rt_group tasks = RT_GROUP_INIT;
    char read[PIECE_BYTES];

    shared->file = open_file("shared", O_RDWR | O_CREAT | O_TRUNC | O_DIRECT);
    if (shared->file == NULL) {
        return 0;
    }
    shared->has_direct = true;
    shared->left = TASKS;
    for (int i = 0; i < TASKS; i++) {
        T_CHECK(rt_group_spawn(&tasks, write_pieces, shared) == 0);
    }
    T_CHECK(rt_group_spawn(&tasks, watch_the_end, shared) == 0);
    T_CHECK(rt_group_leave(&tasks, RT_NEVER) == 0);
    for (unsigned number = 0; number < TASKS * ROUNDS; number++) {
        T_CHECK(rt_file_read_at(shared->file, read, sizeof(read), (uint64_t)number * PIECE_BYTES,
                                RT_NEVER) == PIECE_BYTES);
        T_CHECK(read[0] == (char)(number + 1) && memcmp(read, read + 1, PIECE_BYTES - 1) == 0);
    }
    T_CHECK(rt_file_close(shared->file) == 0);
    return 0;
}

static void misaligned_writes_side_by_side_lose_nothing(void **state)
{
    struct shared shared = { 0 };

    (void)state;
    run(write_side_by_side, &shared);
    if (!shared.has_direct) {
        skip();
    }
}

static int write_blocks_and_edges(void *arg)
{
    struct shared *shared = arg;
    struct rt_group tasks = RT_GROUP_INIT;

    shared->file = open_file("shared", O_RDWR | O_CREAT | O_TRUNC | O_DIRECT);
    if (shared->file == NULL) {
        return 0;
    }
    shared->has_direct = true;
    shared->left = 1;
    T_CHECK(rt_group_spawn(&tasks, write_blocks, shared) == 0);
    T_CHECK(rt_group_spawn(&tasks, write_edges, shared) == 0);
    T_CHECK(rt_group_spawn(&tasks, write_edges, shared) == 0);
    T_CHECK(rt_group_leave(&tasks, RT_NEVER) == 0);
    T_CHECK(rt_file_close(shared->file) == 0);
    return 0;
}

static void whole_blocks_are_not_undone_by_writes_beside_them(void **state)
{
    struct shared shared = { 0 };

    (void)state;
    run(write_blocks_and_edges, &shared);
    if (!shared.has_direct) {
        skip();
    }
}

/* What is refused */

static int open_what_has_no_direct_io(void *arg)
{
    struct rt_file_options options = RT_FILE_OPTIONS_INIT;
    struct rt_file *file = NULL;
    struct rt_file_stat stat;
    char byte;

    (void)arg;
    T_CHECK(rt_file_open(&file, "/proc/self/status", O_RDONLY | O_DIRECT, 0, RT_NEVER) == -EINVAL);
    T_CHECK(file == NULL && strstr(log_text, "no direct I/O") != NULL);
    options.flags = O_RDONLY | O_DIRECT;
    T_CHECK(rt_file_open_with(&file, "/proc/self/status", &options, RT_NEVER) == -EINVAL);
    options.buffered_ok = 1;
    T_CHECK(rt_file_open_with(&file, "/proc/self/status", &options, RT_NEVER) == 0);
    T_CHECK(rt_file_stat(file, &stat, RT_NEVER) == 0);
    T_CHECK(stat.direct_memory_align == 0 && stat.direct_offset_align == 0);
    T_CHECK(rt_file_read_at(file, &byte, 1, 1, RT_NEVER) == 1 && byte == 'a'); /* "Name:" */
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void without_direct_io_a_file_is_refused_or_buffered_as_allowed(void **state)
{
    (void)state;
    run(open_what_has_no_direct_io, NULL);
}

static int misalign_what_cannot_be(void *arg)
{
    struct shared *shared = arg;
    struct rt_file *file = open_file("refused", O_RDWR | O_CREAT | O_TRUNC | O_DIRECT);
    struct rt_file_stat stat;
    char buf[10] = "123456789";

    if (file == NULL) {
        return 0;
    }
    shared->has_direct = true;
    T_CHECK(rt_file_stat(file, &stat, RT_NEVER) == 0);
    T_CHECK(stat.direct_memory_align > 0 && stat.direct_offset_align >= 512);
    T_CHECK(rt_file_write_at(file, buf, 10, 0, RT_NEVER) == 10);
    T_CHECK(rt_file_write_at(file, buf, 10, INT64_MAX - 5, RT_NEVER) == -EINVAL);
    T_CHECK(rt_file_write_at(file, buf, 10, UINT64_MAX, RT_NEVER) == -EINVAL);
    T_CHECK(rt_file_close(file) == 0);

    file = open_file("refused", O_WRONLY | O_DIRECT);
    T_CHECK(rt_file_write_at(file, buf, 1, 2, RT_NEVER) == -EBADF);
    T_CHECK(strstr(log_text, "O_RDWR") != NULL);
    T_CHECK(rt_file_read_at(file, buf, 10, 0, RT_NEVER) == -EBADF);
    T_CHECK(rt_file_close(file) == 0);

    file = open_file("refused", O_RDWR | O_APPEND | O_DIRECT);
    T_CHECK(rt_file_write_at(file, buf, 1, 2, RT_NEVER) == -EINVAL);
    T_CHECK(strstr(log_text, "O_APPEND") != NULL);
    T_CHECK(rt_file_stat(file, &stat, RT_NEVER) == 0 && stat.size_bytes == 10);
    T_CHECK(rt_file_close(file) == 0);

    file = open_file("refused", O_RDONLY | O_DIRECT);
    T_CHECK(rt_file_write_at(file, buf, 1, 2, RT_NEVER) == -EBADF);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void what_cannot_be_misaligned_is_refused_and_says_why(void **state)
{
    struct shared shared = { 0 };

    (void)state;
    run(misalign_what_cannot_be, &shared);
    if (!shared.has_direct) {
        skip();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_direct_file_does_what_the_system_calls_do),
        cmocka_unit_test(a_buffered_file_does_what_the_system_calls_do),
        cmocka_unit_test(misaligned_writes_side_by_side_lose_nothing),
        cmocka_unit_test(whole_blocks_are_not_undone_by_writes_beside_them),
        cmocka_unit_test(without_direct_io_a_file_is_refused_or_buffered_as_allowed),
        cmocka_unit_test(what_cannot_be_misaligned_is_refused_and_says_why),
    };

    if (!have_io_uring()) {
        return T_EXIT_SKIPPED;
    }
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
