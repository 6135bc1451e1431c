/* SPDX-License-Identifier: MIT */
/*
 * Result: what an instance of a job did, how fast, and what it cost.
 *
 * The shard of the instance fills its part, alone; when the stage has ended, the program reads it.
 * Reports put instances together with result_merge().
 */
#ifndef STORAGE_RESULT_H
#define STORAGE_RESULT_H

#include "job.h"

struct histogram; /* of rt-bench, in ns */

/* How deep the line was at each start: 1, 2, 4, 8, 16, 32, 64 or more. */
#define RESULT_DEPTHS 7
#define RESULT_TEXT_BYTES 512

/* Durations in ns. */
struct result_times {
    struct histogram *histogram; /* NULL: nobody asked for these */
    uint64_t min;
};

/* A figure that is looked at twice a second. */
struct result_samples {
    uint64_t count;
    double min, max, mean;
    double deviations; /* the sum of the squares of those from the mean */
};

struct result_direction {
    uint64_t operations;
    uint64_t bytes;
    uint64_t short_operations;       /* that the kernel cut, and that were gone on with */
    rt_time runtime;                 /* in which there were such operations to be done */
    struct result_times clat;        /* from the call until its return */
    struct result_times lat;         /* the same, but from the intended start if there is a rate */
    struct result_samples bandwidth; /* KiB per second */
    struct result_samples iops;
};

/* What the kernel says about a thread or a process, and the library about its ring. */
struct result_cost {
    rt_time user;
    rt_time system;
    uint64_t switches_voluntary;
    uint64_t switches_involuntary;
    uint64_t faults_major;
    uint64_t faults_minor;
    uint64_t enters; /* io_uring_enter() */
};

struct result_job {
    const struct job *job;
    uint64_t verified;      /* blocks that were read back and found right */
    uint64_t disk_requests; /* direct transfers that went to a disk, */
    rt_time disk_wait;      /* what they waited for it, together, */
    rt_time disk_time;      /* and what it took for them */
    uint64_t files_polled;  /* of a job with hipri: for so many the disk was polled, */
    uint64_t files_refused; /* and for so many it could not be */
    uint64_t depths[RESULT_DEPTHS];
    struct result_direction directions[JOB_DIRECTIONS];
    struct result_times sync; /* fsync and fdatasync */
    struct result_times line; /* of direct transfers: from when they came to the library until the
                                 disk was given them; NULL without disk_times=1 */
    struct result_times disk; /* and what it took from there */
    struct result_cost cost;  /* of the shard's thread, in `runtime` */
    rt_time runtime;          /* ramp not counted, reading back counted */
    uint32_t instance;
    uint32_t instances; /* put together here; 1 before */
    int32_t cpu;        /* where it ran at its end; -1: several */
    int32_t error;      /* negative errno, the first one; 0 */
    char error_text[RESULT_TEXT_BYTES];
};

/* What ran at one time. */
struct result_stage {
    rt_time runtime;
    struct result_cost cost; /* of the whole process, with threads that the kernel works in for it;
                                without enters */
};

struct result {
    struct result_job *jobs; /* instances in order of jobs */
    size_t count;
    struct result_stage *stages;
    size_t stage_count;
    int64_t began_ms; /* since 1970 */
    bool interrupted; /* a signal ended it */
};

void result_fini(struct result *result);

/* Memory for what the job will record. 0 or -ENOMEM; ends with result_job_fini(), also then. */
int result_job_init(struct result_job *result, const struct job *job, uint32_t instance);

void result_job_fini(struct result_job *result);

/* Add what `from` has; `into` was made for a job with the same or more to record. 0 or -ENOMEM. */
int result_merge(struct result_job *into, const struct result_job *from);

void result_record(struct result_times *times, rt_time time);

void result_sample(struct result_samples *samples, double value);

/* The standard deviation. */
double result_deviation(const struct result_samples *samples);

/* Operations in both directions. */
uint64_t result_operations(const struct result_job *result);

/* The parts that a report shows: those with group_reporting of a stage as one. Ends with
 * result_groups_fini(). */
struct result_groups {
    struct result_job *jobs;
    size_t count;
};

int result_group(struct result_groups *groups, const struct result *result);

void result_groups_fini(struct result_groups *groups);

#endif /* STORAGE_RESULT_H */
