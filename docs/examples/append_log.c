/* SPDX-License-Identifier: MIT */
/*
 * append_log [--tasks N] [--records N] [--print] DIR: appends records to a log, each durable
 * when its task goes on. append_log --read [--print] DIR: only reads.
 *
 *     task --- record ---+
 *     task --- record ---+--> pending ---> one write, one fdatasync ---> all of them go on
 *     task --- record ---+
 *
 * A sync takes as long for a hundred records as for one. So a task that finds none under way
 * commits all that is pending, and whoever comes meanwhile waits for the next commit (group
 * commit). Nobody has to be in charge of it, and one task alone waits for nobody.
 *
 * What is durable is what a power cut leaves, and that is less than one may think:
 *
 *   - a file that is synced and whose directory is not may have lost its name. So the
 *     directory is synced when a segment has been made, before anything in it counts.
 *   - of a write that was not synced any sectors may be there. So a record has a checksum,
 *     and the log of a segment ends where one does not fit. Nothing is appended behind such
 *     an end: each start begins a new segment.
 *   - a record that can be read need not be durable: whoever wrote it may have been killed
 *     before the sync. So what was read is synced before it counts.
 *   - after a sync that failed nobody knows what is there. So nothing is appended any more.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <rt/rt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef SEGMENT_BYTES
#define SEGMENT_BYTES ((uint64_t)64 << 20) /* the next record goes into a new segment */
#endif
#define PENDING_BYTES ((size_t)256 * 1024) /* whoever does not fit waits for the commit */
#define RECORD_MAX    ((size_t)64 * 1024)
#define PATH_BYTES    4096

/* Before the bytes of a record. Little endian, as the machine is. */
struct record_head {
    uint32_t bytes;
    uint32_t checksum; /* of `bytes` and what follows the head */
};

struct pending {
    char *buf; /* PENDING_BYTES */
    size_t bytes;
};

struct log {
    const char *folder;
    struct rt_file *directory;
    struct rt_file *segment; /* NULL: the next commit makes one */
    uint64_t number;         /* of the segment, the first is 1 */
    uint64_t end;            /* of the segment */

    struct pending pending[2]; /* one is filled while the other is written */
    unsigned filling;
    bool committing;
    struct rt_event committed; /* not set while a commit is under way */
    uint64_t appended;         /* records, ever */
    uint64_t durable;          /* of these */
    uint64_t syncs;
    int error; /* of the first commit that failed: the last word */
};

/* CRC-32C (Castagnoli), bit by bit: short rather than fast. */
static uint32_t checksum(uint32_t crc, const void *bytes, size_t count)
{
    const unsigned char *at = bytes;

    crc = ~crc;
    while (count-- > 0) {
        crc ^= *at++;
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1)));
        }
    }
    return ~crc;
}

static uint32_t checksum_of(const struct record_head *head, const void *bytes)
{
    return checksum(checksum(0, &head->bytes, sizeof(head->bytes)), bytes, head->bytes);
}

/* Segments */

static void segment_path(const struct log *log, uint64_t number, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, "%s/log.%06" PRIu64, log->folder, number);
}

static int make_segment(struct log *log)
{
    char path[PATH_BYTES];
    int r;

    segment_path(log, log->number + 1, path);
    r = rt_file_open(&log->segment, path, O_WRONLY | O_CREAT | O_EXCL, 0644, RT_NEVER);
    if (r < 0) {
        return r;
    }
    log->number++;
    log->end = 0;
    return rt_file_sync(log->directory, RT_NEVER); /* the name */
}

static int write_all(struct rt_file *file, const char *buf, size_t bytes, uint64_t offset)
{
    while (bytes > 0) {
        const ssize_t n = rt_file_write_at(file, buf, bytes, offset, RT_NEVER);

        if (n <= 0) {
            return n < 0 ? (int)n : -EIO;
        }
        buf += n;
        bytes -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

static int write_durably(struct log *log, const struct pending *pending)
{
    int r = 0;

    if (log->segment != NULL && log->end + pending->bytes > SEGMENT_BYTES) {
        r = rt_file_close(log->segment);
        log->segment = NULL;
    }
    if (r == 0 && log->segment == NULL) {
        r = make_segment(log);
    }
    if (r == 0) {
        r = write_all(log->segment, pending->buf, pending->bytes, log->end);
    }
    if (r == 0) {
        log->end += pending->bytes;
        r = rt_file_datasync(log->segment, RT_NEVER); /* the bytes, and the length */
    }
    return r;
}

/* Appending */

/* Everything that is pending, as one write. Others append to the next one meanwhile. That the task
 * is cancelled does not matter to them: a shield. */
static void commit(struct log *log)
{
    struct pending *pending = &log->pending[log->filling];
    const uint64_t last = log->appended;
    struct rt_scope shield;
    int r;

    log->committing = true;
    log->filling ^= 1;
    rt_event_reset(&log->committed);
    rt_shield(&shield, RT_NEVER);
    r = write_durably(log, pending);
    rt_scope_leave(&shield);
    pending->bytes = 0;
    log->committing = false;
    log->syncs++;
    if (r == 0) {
        log->durable = last;
    } else {
        log->error = r;
    }
    rt_event_set(&log->committed);
}

/* Commit, or wait for who does. The tasks of a shard take turns where they wait, and only there:
 * what lies between needs no lock. */
static int get_on(struct log *log)
{
    if (!log->committing) {
        commit(log);
        return 0;
    }
    return rt_event_wait(&log->committed, RT_NEVER);
}

static void put_record(struct pending *pending, const void *bytes, size_t count)
{
    struct record_head head = { .bytes = (uint32_t)count };

    head.checksum = checksum_of(&head, bytes);
    memcpy(pending->buf + pending->bytes, &head, sizeof(head));
    memcpy(pending->buf + pending->bytes + sizeof(head), bytes, count);
    pending->bytes += sizeof(head) + count;
}

/*
 * Append a record of 1 to RECORD_MAX bytes. 0: it is durable. An error: it may be there after all;
 * -ECANCELED is that of the task, others end the log.
 */
static int log_append(struct log *log, const void *bytes, size_t count)
{
    const size_t needed = sizeof(struct record_head) + count;
    uint64_t mine;
    int r = count > 0 && count <= RECORD_MAX ? 0 : -EINVAL;

    while (r == 0 && log->error == 0 && log->pending[log->filling].bytes + needed > PENDING_BYTES) {
        r = get_on(log);
    }
    if (r < 0 || log->error < 0) {
        return r < 0 ? r : log->error;
    }
    put_record(&log->pending[log->filling], bytes, count);
    mine = ++log->appended;
    while (r == 0 && log->error == 0 && log->durable < mine) {
        r = get_on(log);
    }
    if (log->durable >= mine) {
        return 0;
    }
    return r < 0 ? r : log->error;
}

/* Reading */

typedef void record_fn(void *arg, const void *bytes, size_t count);

static ssize_t read_all(struct rt_file *file, char *buf, size_t bytes, uint64_t offset)
{
    size_t have = 0;

    while (have < bytes) {
        const ssize_t n = rt_file_read_at(file, buf + have, bytes - have, offset + have, RT_NEVER);

        if (n < 0) {
            return n;
        }
        if (n == 0) {
            break;
        }
        have += (size_t)n;
    }
    return (ssize_t)have;
}

/* The records of a segment up to the first that is not whole: 0 or why it cannot be read. */
static int read_segment(struct rt_file *file, char *buf, record_fn *fn, void *arg)
{
    struct record_head head;
    uint64_t offset = 0;

    for (;;) {
        ssize_t n = read_all(file, (char *)&head, sizeof(head), offset);

        if (n < (ssize_t)sizeof(head) || head.bytes == 0 || head.bytes > RECORD_MAX) {
            return n < 0 ? (int)n : 0;
        }
        n = read_all(file, buf, head.bytes, offset + sizeof(head));
        if (n < (ssize_t)head.bytes || checksum_of(&head, buf) != head.checksum) {
            return n < 0 ? (int)n : 0;
        }
        fn(arg, buf, head.bytes);
        offset += sizeof(head) + head.bytes;
    }
}

/* All records of the log in order; `log->number` becomes the last segment's. */
static int log_read(struct log *log, record_fn *fn, void *arg)
{
    char *buf = malloc(RECORD_MAX);
    char path[PATH_BYTES];
    struct rt_file *file;
    int r = buf == NULL ? -ENOMEM : 0;

    log->number = 0;
    while (r == 0) {
        segment_path(log, log->number + 1, path);
        r = rt_file_open(&file, path, O_RDONLY, 0, RT_NEVER);
        if (r == 0) {
            log->number++;
            r = read_segment(file, buf, fn, arg);
            if (r == 0) {
                r = rt_file_datasync(file, RT_NEVER);
            }
            (void)rt_file_close(file);
        }
    }
    free(buf);
    return r == -ENOENT ? 0 : r;
}

/* Opening and closing */

static void log_close(struct log *log)
{
    (void)rt_file_close(log->segment);
    (void)rt_file_close(log->directory);
    free(log->pending[0].buf);
    free(log->pending[1].buf);
}

/* The folder is there. All records are read; what is appended goes into a new segment. */
static int log_open(struct log *log, const char *folder, record_fn *fn, void *arg)
{
    int r;

    *log = (struct log){ .folder = folder, .committed = RT_EVENT_INIT };
    r = rt_file_open(&log->directory, folder, O_RDONLY | O_DIRECTORY, 0, RT_NEVER);
    if (r < 0) {
        return r;
    }
    r = log_read(log, fn, arg);
    for (int i = 0; i < 2 && r == 0; i++) {
        log->pending[i].buf = malloc(PENDING_BYTES);
        r = log->pending[i].buf == NULL ? -ENOMEM : 0;
    }
    if (r < 0) {
        log_close(log);
    }
    return r;
}

/* The program */

struct program {
    const char *folder;
    unsigned tasks;
    unsigned records;
    bool only_read;
    bool print;
    struct log log;
    uint64_t found;
    unsigned start; /* tells the records of one start from those of others */
};

static void count_record(void *arg, const void *bytes, size_t count)
{
    struct program *program = arg;

    program->found++;
    if (program->print) {
        printf("%.*s\n", (int)count, (const char *)bytes);
    }
}

static int append_some(void *arg)
{
    struct program *program = arg;
    char text[64];
    int r = 0;

    for (unsigned i = 0; r == 0 && i < program->records; i++) {
        const int n = snprintf(text, sizeof(text), "%u.%u.%u", program->start, rt_self_id(), i);

        r = log_append(&program->log, text, (size_t)n);
        if (r == 0 && program->print) {
            puts(text);
        }
    }
    return r;
}

static int append_all(struct program *program)
{
    const rt_time begin = rt_now();
    struct rt_group group = RT_GROUP_INIT;
    const struct log *log = &program->log;
    int r = 0;
    int left;

    for (unsigned i = 0; r == 0 && i < program->tasks; i++) {
        r = rt_group_spawn(&group, append_some, program);
    }
    left = rt_group_leave(&group, RT_NEVER);
    printf("%" PRIu64 " records durable in %.1f ms, %" PRIu64 " syncs\n", log->durable,
           (double)(rt_now() - begin) / 1e6, log->syncs);
    return r < 0 ? r : left;
}

static int first(void *arg)
{
    struct program *program = arg;
    int r = log_open(&program->log, program->folder, count_record, program);

    if (r == 0) {
        printf("%" PRIu64 " records in %" PRIu64 " segments\n", program->found,
               program->log.number);
        program->start = (unsigned)program->log.number + 1;
        r = program->only_read ? 0 : append_all(program);
        log_close(&program->log);
    }
    if (r < 0) {
        fprintf(stderr, "append_log: %s: %s\n", program->folder, rt_strerror(r));
    }
    return r;
}

static void usage(FILE *stream)
{
    fputs("usage: append_log [--tasks N] [--records N] [--print] DIR\n"
          "       append_log --read [--print] DIR\n"
          "\n"
          "Appends records to the log in the folder DIR, which must be there.\n"
          "\n"
          "  --tasks N    so many tasks append side by side (8)\n"
          "  --records N  so many records each (1000)\n"
          "  --print      print each record: as soon as it is durable, or was read\n"
          "  --read       only count what is there\n"
          "  --help       this text\n",
          stream);
}

static bool read_number(const char *text, unsigned *out)
{
    char *end;
    const unsigned long value = strtoul(text, &end, 10);

    *out = (unsigned)value;
    return *text != '\0' && *end == '\0' && value >= 1 && value <= 1000000;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "tasks", required_argument, NULL, 't' }, { "records", required_argument, NULL, 'n' },
        { "print", no_argument, NULL, 'p' },       { "read", no_argument, NULL, 'r' },
        { "help", no_argument, NULL, 'h' },        { NULL, 0, NULL, 0 },
    };
    struct program program = { .tasks = 8, .records = 1000 };
    int c;

    while ((c = getopt_long(argc, argv, "t:n:prh", options, NULL)) != -1) {
        if (c == 'p') {
            program.print = true;
        } else if (c == 'r') {
            program.only_read = true;
        } else if (c == 'h') {
            usage(stdout);
            return 0;
        } else if (c == '?' || !read_number(optarg, c == 't' ? &program.tasks : &program.records)) {
            usage(stderr);
            return 2;
        }
    }
    if (optind + 1 != argc) {
        usage(stderr);
        return 2;
    }
    program.folder = argv[optind];
    (void)setvbuf(stdout, NULL, _IOLBF, 0); /* what was printed is out */
    return rt_run(NULL, first, &program) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
