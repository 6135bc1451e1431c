/* SPDX-License-Identifier: MIT */
/*
 * Rows of names and whole files: name_open, name_create, name_rename, file_stat, file_load,
 * file_replace. A unit is a script of a few steps, each a system call.
 *
 * limit_names_run() does each step as one operation of a ring, several scripts at a time, as
 * who must not block its core has to. It enters the kernel when no step has ended, and then
 * submits all that are next. Most such operations block in the kernel's eyes, so a thread of
 * its pool does them; that is on the caller's CPU, as the runtime has it. Not there: a task
 * for each script, a handle for each descriptor, memory for a file whose length is not known,
 * deadlines, cancels.
 *
 * bare_names_run() does the steps by plain calls, one script after the other. It blocks its
 * thread where the file system does, so it is no goal.
 */
#ifndef LIMIT_NAMES_H
#define LIMIT_NAMES_H

#include "limit.h"

/* What one step does with names of its script, in the folder, or with the file that it
 * has opened. */
enum limit_step {
    LIMIT_STEP_END, /* of the script */
    LIMIT_STEP_OPEN,
    LIMIT_STEP_CREATE,   /* the second name, which is not there */
    LIMIT_STEP_STAT,     /* of the slot's file */
    LIMIT_STEP_READ,     /* all that it has */
    LIMIT_STEP_READ_END, /* there is no more */
    LIMIT_STEP_WRITE,
    LIMIT_STEP_DATASYNC,
    LIMIT_STEP_CLOSE,
    LIMIT_STEP_RENAME, /* the second name becomes the first */
    LIMIT_STEP_MOVE,   /* the first becomes the second */
    LIMIT_STEP_REMOVE, /* the second */
    LIMIT_STEP_SYNC_FOLDER,
};

/* One of those that are at work at a time. */
struct limit_names_slot {
    const char *first, *second;
    char *buf;
    uint32_t bytes; /* that a read or write is to move */
    int fd;         /* of the first name */
};

struct limit_names {
    const enum limit_step *steps;
    const struct limit_names_slot *slots;
    uint32_t slot_count; /* at most LIMIT_NAMES_MAX */
    int folder;
    uint64_t count; /* of scripts to run */
};
#define LIMIT_NAMES_MAX 64

/* 0, or what the first step that failed did; -EIO for one that moved less than it was to. */
LIMIT_API int limit_names_run(struct limit_ring *ring, const struct limit_names *names);
LIMIT_API int bare_names_run(const struct limit_names *names);

#endif /* LIMIT_NAMES_H */
