/* SPDX-License-Identifier: MIT */
/* Print: see job_print.h. */
#include "job_print.h"

#include <inttypes.h>

#include "quantity.h"

/* A name with each ":" as "\:". */
static void print_name(const char *name, FILE *stream)
{
    for (; *name != '\0'; name++) {
        if (*name == ':') {
            putc('\\', stream);
        }
        putc(*name, stream);
    }
}

static void print_files(const struct job *job, FILE *stream)
{
    if (job->file_count == 0) {
        if (job->directory != NULL) {
            fputs("directory=", stream);
            print_name(job->directory, stream);
            putc('\n', stream);
        }
        return;
    }
    fputs("filename=", stream);
    for (size_t i = 0; i < job->file_count; i++) {
        fputs(i > 0 ? ":" : "", stream);
        print_name(job->files[i], stream);
    }
    putc('\n', stream);
}

static void print_bytes(const char *name, uint64_t bytes, FILE *stream)
{
    char text[QUANTITY_BYTES];

    fprintf(stream, "%s=%s\n", name, quantity_bytes_text(bytes, text));
}

static void print_time(const char *name, rt_time time, FILE *stream)
{
    char text[QUANTITY_BYTES];

    fprintf(stream, "%s=%s\n", name, quantity_time_text(time, text));
}

static void print_flag(const char *name, bool flag, FILE *stream)
{
    fprintf(stream, "%s=%d\n", name, flag);
}

static void print_blocks(const struct job *job, FILE *stream)
{
    char text[QUANTITY_BYTES];

    fputs("bssplit=", stream);
    for (size_t i = 0; i < JOB_DIRECTIONS; i++) {
        const struct job_blocks *blocks = &job->blocks[i];

        fputs(i > 0 ? "," : "", stream);
        for (uint32_t k = 0; k < blocks->count; k++) {
            fprintf(stream, "%s%s/%u", k > 0 ? ":" : "",
                    quantity_bytes_text(blocks->splits[k].bytes, text), blocks->splits[k].percent);
        }
    }
    putc('\n', stream);
}

static void print_pattern(const struct job *job, FILE *stream)
{
    char read[QUANTITY_BYTES];
    char write[QUANTITY_BYTES];

    fprintf(stream, "rw=%s\n", job_rw_name(job));
    if (job_reads(job) && job_writes(job)) {
        fprintf(stream, "rwmixread=%u\n", job->read_percent);
    }
    if (job->blocks[JOB_READ].count == 1 && job->blocks[JOB_WRITE].count == 1) {
        fprintf(stream, "bs=%s,%s\n",
                quantity_bytes_text(job->blocks[JOB_READ].splits[0].bytes, read),
                quantity_bytes_text(job->blocks[JOB_WRITE].splits[0].bytes, write));
    } else {
        print_blocks(job, stream);
    }
    fprintf(stream, "randseed=%" PRIu64 "\n", job->seed);
    print_flag("norandommap", job->no_random_map, stream);
    if (job->distribution == JOB_DISTRIBUTION_ZIPF) {
        fprintf(stream, "random_distribution=zipf:%.17g\n", job->zipf_theta);
    } else {
        fputs("random_distribution=random\n", stream);
    }
}

static void print_rates(const struct job *job, FILE *stream)
{
    char read[QUANTITY_BYTES];
    char write[QUANTITY_BYTES];

    fprintf(stream, "rate=%s,%s\n", quantity_bytes_text(job->rate_bytes[JOB_READ], read),
            quantity_bytes_text(job->rate_bytes[JOB_WRITE], write));
    fprintf(stream, "rate_iops=%" PRIu64 ",%" PRIu64 "\n", job->rate_iops[JOB_READ],
            job->rate_iops[JOB_WRITE]);
    fprintf(stream, "rate_process=%s\n",
            job->rate_process == JOB_RATE_POISSON ? "poisson" : "linear");
    print_time("thinktime", job->thinktime, stream);
}

static void print_length(const struct job *job, FILE *stream)
{
    print_bytes("offset", job->offset, stream);
    print_bytes("size", job->size, stream);
    fprintf(stream, "loops=%" PRIu64 "\n", job->loops);
    print_time("runtime", job->runtime, stream);
    print_flag("time_based", job->time_based, stream);
    print_time("ramp_time", job->ramp, stream);
}

static void print_ring(const struct job *job, FILE *stream)
{
    fprintf(stream, "ioengine=io_uring\niodepth=%u\n", job->depth);
    fprintf(stream, "iodepth_batch_submit=%u\n", job->batch_submit);
    fprintf(stream, "iodepth_batch_complete_min=%u\n", job->batch_complete_min);
    fprintf(stream, "iodepth_batch_complete_max=%u\n", job->batch_complete_max);
    print_flag("registerfiles", job->registered_files, stream);
    if (job->disk_times) { /* nor this */
        print_flag("disk_times", true, stream);
    }
    if (job->hipri) {
        print_flag("hipri", true, stream);
    }
    print_flag("fixedbufs", job->fixed_buffers, stream);
    fputs("nonvectored=1\n", stream);
}

static void print_place(const struct job *job, FILE *stream)
{
    fprintf(stream, "numjobs=%u\n", job->instances);
    if (job->cpus != NULL) {
        fprintf(stream, "cpus_allowed=%s\n", job->cpus);
    }
    if (job->place != NULL) {
        fprintf(stream, "place=%s\n", job->place);
    }
    if (job->shares != JOB_SHARES_DEFAULT) { /* fio does not know it */
        fprintf(stream, "shares=%u\n", job->shares);
    }
    print_flag("group_reporting", job->group_reporting, stream);
}

static void print_file_handling(const struct job *job, FILE *stream)
{
    print_flag("direct", job->direct, stream);
    print_flag("invalidate", job->invalidate, stream);
    fprintf(stream, "fsync=%u\nfdatasync=%u\n", job->fsync_every, job->fdatasync_every);
    print_flag("end_fsync", job->end_fsync, stream);
    fprintf(stream, "verify=%s\n", job->verify ? "crc32c" : "0");
    print_flag("do_verify", job->do_verify, stream);
    print_flag("unlink", job->unlink, stream);
}

void job_print(const struct job *job, bool stonewall, FILE *stream)
{
    fprintf(stream, "[%s]\n", job->name);
    if (stonewall) {
        fputs("stonewall\n", stream);
    }
    print_pattern(job, stream);
    print_ring(job, stream);
    print_files(job, stream);
    print_length(job, stream);
    print_rates(job, stream);
    print_file_handling(job, stream);
    print_place(job, stream);
}
