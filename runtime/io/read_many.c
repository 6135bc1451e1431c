/* SPDX-License-Identifier: MIT */
/*
 * Many parts of a file: see rt/read_many.h for the contract.
 *
 * The ranges are sorted by their offset and cut into spans, from the first byte that is wanted to
 * the last: a span is what one operation reads. Workers, of which the caller is one, take the next
 * span, read it, and serve all ranges that it meets.
 *
 * S1 Spans do not overlap, and each wanted byte lies in one of them.
 * S2 A range's result is at first its length. A span that ends early cuts it down to what is
 *    there; an error replaces it, and stays. So the order in which spans end does not matter.
 */
#include "rt/read_many.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/sized.h"
#include "io/chunk.h"
#include "io/file.h"
#include "os/sys.h"
#include "rt/group.h"
#include "rt/task.h"
#include "rt/timer.h"

#define PARALLEL_DEFAULT   16u
#define PARALLEL_MAX       256u
#define READ_BYTES_DEFAULT ((uint32_t)128 * 1024)
#define READ_BYTES_MAX     ((uint32_t)16 * 1024 * 1024)
#define GAP_DEFAULT        4096u
#define GAP_MAX            ((uint32_t)1024 * 1024)

#define ORDER_BYTES sizeof(void *) /* of the order, for each range */

struct many {
    struct rt_file *file;
    struct rt_read_range **order; /* those with bytes to be read, by offset */
    size_t count;
    size_t next;       /* all before it end at `position` or before */
    uint64_t position; /* so far the spans go */
    rt_time deadline;
    uint32_t read_bytes;
    uint32_t gap_bytes;
    uint32_t unit; /* of offsets and lengths that go straight to a direct file; else 1 */
    int stop;      /* why no further span begins; 0 */
};

struct span {
    uint64_t offset;
    uint64_t end;
    size_t first; /* no range before it in the order meets the span */
};

/* A worker's memory, for what does not go straight. */
struct room {
    char *memory;
    char *buf; /* aligned, in it */
    size_t bytes;
};

static uint64_t end_of(const struct rt_read_range *range)
{
    return range->offset + range->bytes;
}

static uint64_t lower(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t higher(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Cutting */

/* Whether the span that has come to `end`, and may not go beyond `most`, takes the range too. One
 * that would be cut, and need not be, begins a span of its own. */
static bool takes(const struct many *many, const struct rt_read_range *range, uint64_t end,
                  uint64_t most)
{
    if (range->offset < end) {
        return true;
    }
    return range->offset - end <= many->gap_bytes && end_of(range) <= most;
}

static bool has_next(struct many *many)
{
    while (many->next < many->count && end_of(many->order[many->next]) <= many->position) {
        many->next++;
    }
    return many->next < many->count;
}

static void cut_next(struct many *many, struct span *span)
{
    const struct rt_read_range *first = many->order[many->next];
    uint64_t most;
    uint64_t end;

    span->offset = higher(many->position, first->offset);
    span->offset -= span->offset % many->unit; /* S1: the position is a multiple too */
    span->first = many->next;
    most = span->offset + many->read_bytes;
    end = lower(end_of(first), most);
    for (size_t i = many->next + 1; i < many->count && end < most; i++) {
        if (!takes(many, many->order[i], end, most)) {
            break;
        }
        end = lower(higher(end, end_of(many->order[i])), most);
    }
    span->end = (end + many->unit - 1) / many->unit * many->unit;
    many->position = span->end;
}

/* False: there is none, or it may not begin. */
static bool take_span(struct many *many, struct span *span)
{
    if (many->stop != 0 || !has_next(many)) {
        return false;
    }
    if (rt_cancelled()) {
        many->stop = -ECANCELED;
        return false;
    }
    if (many->deadline <= rt_now()) {
        many->stop = -ETIME;
        return false;
    }
    cut_next(many, span);
    return true;
}

/* Reading */

/* S2 */
static void serve(const struct many *many, const struct span *span, const char *data, size_t moved,
                  int error)
{
    const uint64_t got = span->offset + moved;

    for (size_t i = span->first; i < many->count && many->order[i]->offset < span->end; i++) {
        struct rt_read_range *range = many->order[i];
        const uint64_t from = higher(range->offset, span->offset);
        const uint64_t to = lower(end_of(range), span->end);
        char *dest = (char *)range->buf + (from - range->offset);

        if (from >= to) {
            continue;
        }
        if (from < got && dest != data + (from - span->offset)) {
            memcpy(dest, data + (from - span->offset), (size_t)(lower(to, got) - from));
        }
        if (to > got && range->result >= 0) {
            const uint64_t there = higher(got, from) - range->offset;

            range->result = error < 0 ? error : (ssize_t)lower((uint64_t)range->result, there);
        }
    }
}

/* Memory of a range that the whole span lies in, so that it needs no copy there; or NULL. */
static char *straight(const struct many *many, const struct span *span)
{
    const struct rt_read_range *range = many->order[span->first];
    char *dest;

    if (span->offset < range->offset || span->end > end_of(range)) {
        return NULL;
    }
    dest = (char *)range->buf + (span->offset - range->offset);
    return rti_file_is_direct(many->file) && (uintptr_t)dest % many->file->memory_align != 0 ? NULL
                                                                                             : dest;
}

static char *room_for(struct room *room, size_t bytes)
{
    if (bytes > room->bytes) {
        rti_sys_free(room->memory);
        *room = (struct room){ .memory = rti_sys_alloc_unset(bytes + RTI_CHUNK_ALIGN) };
        if (room->memory == NULL) {
            return NULL;
        }
        room->buf = room->memory +
                    (RTI_CHUNK_ALIGN - (uintptr_t)room->memory % RTI_CHUNK_ALIGN) % RTI_CHUNK_ALIGN;
        room->bytes = bytes;
    }
    return room->buf;
}

static void read_span(struct many *many, const struct span *span, struct room *room)
{
    const size_t bytes = (size_t)(span->end - span->offset);
    char *buf = straight(many, span);
    size_t moved = 0;
    ssize_t n = -ENOMEM;

    if (buf == NULL) {
        buf = room_for(room, bytes);
    }
    if (buf != NULL) {
        n = rt_file_read_all(many->file, buf, bytes, span->offset, &moved, many->deadline);
    }
    if (n == -ETIME && many->stop == 0) {
        many->stop = -ETIME;
    } else if (n == -ECANCELED) {
        many->stop = many->stop == 0 ? -ECANCELED : many->stop;
        n = many->stop; /* a worker is cancelled for the caller's reason */
    }
    serve(many, span, buf, moved, n < 0 ? (int)n : 0);
}

static int work(void *arg)
{
    struct many *many = arg;
    struct room room = { NULL, NULL, 0 };
    struct span span;

    while (take_span(many, &span)) {
        read_span(many, &span, &room);
    }
    rti_sys_free(room.memory);
    return 0;
}

/* With so many workers, of which the caller is one. */
static void work_together(struct many *many, uint64_t workers)
{
    struct rt_group group = RT_GROUP_INIT;
    int r;

    for (uint64_t i = 1; i < workers; i++) {
        if (rt_group_spawn(&group, work, many) < 0) {
            break; /* at the limit of tasks: with those that there are */
        }
    }
    (void)work(many);
    r = many->stop == 0 ? rt_group_wait(&group, many->deadline) : 0;
    if (r < 0 && many->stop == 0) {
        many->stop = r;
    }
    (void)rt_group_leave(&group, 0);
}

/* The call */

static int read_options(struct rt_read_many_options *out,
                        const struct rt_read_many_options *options, const struct rt_file *file)
{
    const int r = rti_sized_copy(out, sizeof(*out), options);

    if (r < 0) {
        return r;
    }
    out->parallel = out->parallel == 0 ? PARALLEL_DEFAULT : out->parallel;
    out->read_bytes = out->read_bytes == 0 ? READ_BYTES_DEFAULT : out->read_bytes;
    out->gap_bytes = out->gap_bytes == 0 ? GAP_DEFAULT : out->gap_bytes;
    return out->parallel > PARALLEL_MAX || out->read_bytes > READ_BYTES_MAX ||
                   out->gap_bytes > GAP_MAX || !rti_chunk_fits(out->read_bytes, file)
               ? -EINVAL
               : 0;
}

static int by_offset(const void *a, const void *b)
{
    const struct rt_read_range *left = *(struct rt_read_range *const *)a;
    const struct rt_read_range *right = *(struct rt_read_range *const *)b;

    return (left->offset > right->offset) - (left->offset < right->offset);
}

/* Put what can be read in order. How many reads that may take, at most. */
static uint64_t sort(struct many *many, struct rt_read_range *ranges, size_t count)
{
    uint64_t reads = 0;

    many->count = 0;
    many->next = 0;
    many->position = 0;
    many->stop = 0;
    for (size_t i = 0; i < count; i++) {
        struct rt_read_range *range = &ranges[i];

        if (range->offset > INT64_MAX || range->bytes > INT64_MAX - range->offset) {
            range->result = -EINVAL;
            continue;
        }
        range->result = (ssize_t)range->bytes; /* S2 */
        if (range->bytes > 0) {
            many->order[many->count++] = range;
            reads += 2 + range->bytes / many->read_bytes;
        }
    }
    qsort(many->order, many->count, ORDER_BYTES, by_offset);
    return reads;
}

/* What no span has come to. */
static void fail_rest(const struct many *many)
{
    for (size_t i = many->next; i < many->count; i++) {
        if (end_of(many->order[i]) > many->position && many->order[i]->result >= 0) {
            many->order[i]->result = many->stop;
        }
    }
}

static int first_error(const struct rt_read_range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (ranges[i].result < 0) {
            return (int)ranges[i].result;
        }
    }
    return 0;
}

int rt_read_many(struct rt_file *file, struct rt_read_range *ranges, size_t count,
                 const struct rt_read_many_options *options, rt_time deadline)
{
    struct rt_read_many_options read;
    struct many many = { .file = file, .deadline = deadline };
    uint64_t reads;
    int r;

    RTI_ASSERT(file != NULL && (ranges != NULL || count == 0));
    r = read_options(&read, options, file);
    if (r < 0 || count == 0) {
        return r;
    }
    many.read_bytes = read.read_bytes;
    many.gap_bytes = read.gap_bytes;
    many.unit = rti_file_is_direct(file) ? file->offset_align : 1;
    many.order = rti_sys_alloc_unset(count * ORDER_BYTES);
    if (many.order == NULL) {
        for (size_t i = 0; i < count; i++) {
            ranges[i].result = -ENOMEM;
        }
        return -ENOMEM;
    }
    rti_file_enter(file, "rt_read_many");
    do {
        reads = sort(&many, ranges, count);
        work_together(&many, lower(reads, read.parallel));
    } while (many.stop == -ECANCELED && !rt_cancelled()); /* the shard ends, this task is shielded:
                                                           * it has no others any more */
    rti_file_leave(file);
    fail_rest(&many);
    rti_sys_free(many.order);
    return many.stop < 0 ? many.stop : first_error(ranges, count);
}
