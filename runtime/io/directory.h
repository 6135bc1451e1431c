/* SPDX-License-Identifier: MIT */
/* Directory, inside: what the sources of names share. */
#ifndef RTI_IO_DIRECTORY_H
#define RTI_IO_DIRECTORY_H

#include "io/handle.h"
#include "rt/directory.h"

struct rti_listing; /* io/listing.c */

struct rt_directory {
    struct rti_handle handle;
    struct rti_listing *listing; /* NULL: nothing was read yet */
    bool is_read;                /* a task reads */
    bool rewinds;                /* the next read begins at the start */
};

/* A call begins: the descriptor (AT_FDCWD for NULL), which stays open until rti_directory_leave().
 * Aborts outside a task, on another shard, and when a task is closing the directory. */
int rti_directory_enter(struct rt_directory *directory, const char *call);
void rti_directory_leave(struct rt_directory *directory);

#endif /* RTI_IO_DIRECTORY_H */
