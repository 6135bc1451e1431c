/* SPDX-License-Identifier: MIT */
/* What follows from a job. */
#include "job.h"

#include <stdio.h>

const char *job_rw_name(const struct job *job)
{
    if (!job_writes(job)) {
        return job->random ? "randread" : "read";
    }
    if (!job_reads(job)) {
        return job->random ? "randwrite" : "write";
    }
    return job->random ? "randrw" : "rw";
}

size_t job_file_count(const struct job *job)
{
    return job->file_count > 0 ? job->file_count : 1;
}

size_t job_file(const struct job *job, uint32_t instance, size_t file, char *text, size_t bytes)
{
    if (job->file_count > 0) {
        return (size_t)snprintf(text, bytes, "%s", job->files[file]);
    }
    return (size_t)snprintf(text, bytes, "%s%s%s.%u.0",
                            job->directory != NULL ? job->directory : "",
                            job->directory != NULL ? "/" : "", job->name, instance);
}

uint32_t job_block_max(const struct job *job)
{
    const uint32_t read = job_reads(job) ? job->blocks[JOB_READ].max : 0;
    const uint32_t write = job_writes(job) ? job->blocks[JOB_WRITE].max : 0;

    return read > write ? read : write;
}
