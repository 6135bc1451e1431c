/* SPDX-License-Identifier: MIT */
/*
 * Layout: the files of all jobs, there and large enough before the first job starts.
 *
 * A file that does not exist is made and marked as ours (an extended attribute), so that the next
 * run may write to it again. What is read by any job is filled with random bytes; what is written
 * only gets its room and no more, as by fio. A file that is there and is not ours is neither
 * written to nor made longer, nor is a block device written to, unless the caller allows it.
 */
#ifndef STORAGE_LAYOUT_H
#define STORAGE_LAYOUT_H

#include "job.h"

struct layout_file {
    char *path;
    uint64_t wanted;          /* bytes that jobs reach to; 0: all of them take it as it is */
    uint64_t bytes;           /* what it has */
    const struct job *writer; /* the first one that writes, or removes it at the end; NULL */
    const struct job *reader;
    const struct job *user; /* the first one */
};

struct layout {
    struct layout_file *files;
    size_t count;
};

/*
 * Looks at all files and makes what is missing; messages go to standard error, and with `progress`
 * so does how far it is. 0, or negative errno after a message. Ends with layout_fini(), also then.
 */
int layout_make(struct layout *layout, const struct job *jobs, size_t count, bool may_overwrite,
                bool progress);

/* The bytes of the job's files together: those that it asks for, or those that are there. */
uint64_t layout_size(const struct layout *layout, const struct job *job, uint32_t instance);

/* Drop what the page cache has of the job's files. */
int layout_invalidate(const struct job *job);

/* Remove the job's files. */
int layout_unlink(const struct job *job);

void layout_fini(struct layout *layout);

#endif /* STORAGE_LAYOUT_H */
