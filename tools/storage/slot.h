/* SPDX-License-Identifier: MIT */
/*
 * Slot: one of the `iodepth` tasks of an instance, each with a buffer and one operation at a time.
 *
 * A slot asks the workload for the next operation, waits until its time, does the whole of it,
 * counts it, and asks again.
 */
#ifndef STORAGE_SLOT_H
#define STORAGE_SLOT_H

#include <limits.h>
#include <rt/rt.h>

#include "instance.h"
#include "pace.h"

/* What the slots of an instance share. */
struct run {
    struct instance *instance;
    const struct job *job;
    struct result_job *result;
    struct rt_file **files;
    struct workload workload; /* of the phase */
    struct pace pace;
    rt_time begin; /* of the phase: starts of a rate count from here */
    rt_time end;   /* nothing starts from here on; RT_NEVER */
    rt_time think_until;
    uint64_t writes;    /* for fsync_every and fdatasync_every */
    uint64_t pass_last; /* reading back: the pass that the main phase ended in */
    uint64_t told;      /* ... and how many operations it told */
    uint32_t in_flight;
    bool counting;
    bool reading_back;
    bool failed;
};

struct slot {
    struct run *run;
    char *buffer;
    struct rt_buffer *fixed; /* that it lies in; NULL: in memory that the kernel does not know */
    rt_time now;             /* when its last operation ended, or later */
};

/* Say what went wrong, if it is the first thing that does. Returns `error`. */
__attribute__((format(printf, 3, 4))) int run_fail(struct run *run, int error, const char *format,
                                                   ...);

/* The path of a file, written to `path`. */
const char *run_path(const struct run *run, size_t file, char path[PATH_MAX]);

/* fsync or fdatasync, counted. 0 or -errno after run_fail(). */
int run_sync(struct run *run, uint32_t file, bool data_only);

/* Tasks, each with its slot: until the phase is over; until what was written is read back. */
int slot_main(void *arg);
int slot_read_back(void *arg);

#endif /* STORAGE_SLOT_H */
