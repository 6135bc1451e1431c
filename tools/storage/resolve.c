/* SPDX-License-Identifier: MIT */
/* Resolve: see resolve.h. */
#include "resolve.h"

#include <string.h>

#include "quantity.h"

/*
 * Takes memory for `prefix`, "/" if there is one, and the text up to a ":"; "\:" is one within it.
 * *end is what is behind it: the ":" or the end.
 */
static const char *take_name(struct memory *memory, const char *prefix, const char *text,
                             const char **end)
{
    const size_t length = prefix != NULL ? strlen(prefix) + 1 : 0;
    char *const name = memory_take(memory, length + strlen(text) + 1, 1);
    char *out = name + length;

    if (prefix != NULL) {
        memcpy(name, prefix, length - 1);
        name[length - 1] = '/';
    }
    for (; *text != '\0' && *text != ':'; text++) {
        text += text[0] == '\\' && text[1] == ':';
        *out++ = *text;
    }
    *end = text;
    return name;
}

static bool resolve_directory(struct source *source, struct draft *draft, struct memory *memory)
{
    const char *end;

    if (draft->job.directory == NULL) {
        return true;
    }
    draft->job.directory = take_name(memory, NULL, draft->job.directory, &end);
    return *end == '\0' ||
           source_refuse(source, "directory: several are not supported; a : in a name is \\:");
}

/* Cuts `filename` at its colons, and puts the directory before each. */
static bool resolve_files(struct source *source, struct draft *draft, struct memory *memory)
{
    const char *text = draft->filename;
    const char **files;
    size_t count_max = 1;
    size_t count = 0;

    if (text == NULL) {
        return true;
    }
    for (const char *colon = text; colon != NULL; colon = strchr(colon + 1, ':')) {
        count_max++;
    }
    files = memory_take(memory, count_max, sizeof(*files));
    for (bool more = true; more; count++) {
        const char *end;

        if (*text == '\0' || *text == ':' || strcmp(text, "-") == 0) {
            return source_refuse(source, "filename=%s: expected names with a : between them",
                                 draft->filename);
        }
        files[count] = take_name(memory, draft->job.directory, text, &end);
        more = *end == ':';
        text = end + 1;
    }
    draft->job.files = files;
    draft->job.file_count = count;
    return true;
}

static void resolve_blocks(struct draft *draft)
{
    for (size_t i = 0; i < JOB_DIRECTIONS; i++) {
        struct job_blocks *blocks = &draft->job.blocks[i];

        if (blocks->count == 0) { /* no bssplit */
            blocks->splits[0] = (struct job_split){ (uint32_t)draft->bytes[i], 100 };
            blocks->count = 1;
        }
        blocks->min = UINT32_MAX;
        blocks->max = 0;
        for (uint32_t k = 0; k < blocks->count; k++) {
            const struct job_split *split = &blocks->splits[k];

            if (split->percent > 0) {
                blocks->min = split->bytes < blocks->min ? split->bytes : blocks->min;
                blocks->max = split->bytes > blocks->max ? split->bytes : blocks->max;
            }
        }
    }
}

/* What is above the depth is the depth, as in fio. 0 means all, as a shard does by itself; so are
 * the defaults, where fio has 1. */
static void resolve_batches(struct job *job)
{
    const uint32_t depth = job->depth;

    if (job->batch_submit == 0 || job->batch_submit > depth) {
        job->batch_submit = depth;
    }
    if (job->batch_complete_min > depth) {
        job->batch_complete_min = depth;
    }
    if (job->batch_complete_max == 0 || job->batch_complete_max > depth) {
        job->batch_complete_max = depth;
    }
    if (job->batch_complete_max < job->batch_complete_min) {
        job->batch_complete_max = job->batch_complete_min;
    }
}

/* What holds for a direction that the job has. */
static bool check_direction(struct source *source, const struct job *job,
                            enum job_direction direction)
{
    const struct job_blocks *blocks = &job->blocks[direction];
    const char *name = direction == JOB_READ ? "reads" : "writes";
    char text[QUANTITY_BYTES];

    if (job->rate_bytes[direction] > 0 && job->rate_iops[direction] > 0) {
        return source_refuse(source, "rate and rate_iops: %s can have one of them", name);
    }
    if (job->verify && blocks->min < JOB_VERIFY_MIN) {
        return source_refuse(source,
                             "verify=crc32c: %s have blocks of %u bytes; a header needs at least "
                             "%d",
                             name, blocks->min, JOB_VERIFY_MIN);
    }
    if (job->size > 0 && job->size / job_file_count(job) < blocks->max) {
        return source_refuse(source, "size: each file has a part of it, which holds no block of %s",
                             quantity_bytes_text(blocks->max, text));
    }
    return true;
}

static bool check(struct source *source, const struct job *job)
{
    if (strcmp(job->name, "global") == 0) {
        return source_refuse(source, "name=global: that is the section of what holds for all jobs");
    }
    if (job->time_based && job->runtime == 0) {
        return source_refuse(source, "time_based needs a runtime, such as runtime=30");
    }
    if (job->hipri && !job->direct) {
        return source_refuse(source, "hipri: a disk is polled for direct transfers only; say "
                                     "direct=1");
    }
    if (job->size > 0 && job->offset > INT64_MAX - job->size) {
        return source_refuse(source, "offset and size: files end at 8 EiB");
    }
    return (!job_reads(job) || check_direction(source, job, JOB_READ)) &&
           (!job_writes(job) || check_direction(source, job, JOB_WRITE));
}

bool draft_finish(struct source *source, struct draft *draft, struct memory *memory)
{
    struct job *job = &draft->job;

    if (draft->reads && draft->writes) {
        job->read_percent = draft->mix;
    } else {
        job->read_percent = draft->reads ? 100 : 0;
    }
    resolve_blocks(draft);
    resolve_batches(job);
    return resolve_directory(source, draft, memory) && resolve_files(source, draft, memory) &&
           check(source, job);
}
