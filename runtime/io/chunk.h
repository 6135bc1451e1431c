/* SPDX-License-Identifier: MIT */
/*
 * Chunk: a part of a file, and the buffer that it is read into or written from by a task
 * of its own, while others go on.
 *
 *     rti_chunk_begin(chunk, &group, offset, bytes)     0: the task is there
 *     rt_event_wait(&chunk->ended, deadline)            then `moved` and `result` count
 *
 * The task is a future, so a chunk takes no stack. Short counts are gone on from; a read
 * moves less than it was to only at the end of the file.
 *
 * A direct file wants whole blocks: offset and buffer are aligned, and a read that has
 * stopped in a block, perhaps at the end of the file, goes on at the block's start. What
 * is written to the last block of a file may be less than a block; that takes more than
 * one operation, so the caller does it (rti_chunk_run()).
 *
 * C1 From begin until `ended` is set the buffer belongs to the task, and to the kernel.
 *    `ended` is set last: the chunk may be begun again at once.
 */
#ifndef RTI_IO_CHUNK_H
#define RTI_IO_CHUNK_H

#include "rt/event.h"
#include "rt/file.h"
#include "rt/future.h"
#include "rt/group.h"

struct rti_chunk {
    struct rt_future future;
    struct rt_event ended; /* set too before the first begin */
    struct rt_file *file;
    struct rt_buffer *buffer; /* that `buf` lies in; or NULL, and then it lies in `memory` */
    void *memory;
    char *buf;
    uint64_t offset;
    size_t bytes; /* to be moved */
    size_t moved;
    int result;    /* 0 or -errno */
    uint32_t unit; /* of offsets and lengths that one operation can have; 1: the file is buffered */
    bool writes;
};

#define RTI_CHUNK_ALIGN 4096u /* of buffers, and of their sizes */

/* Whether buffers of so many bytes can be moved from and to the file. */
bool rti_chunk_fits(size_t buffer_bytes, const struct rt_file *file);

/* What readers and writers let their callers choose: the size of a buffer, and how many may be on
 * their way beside the one in use. A 0 becomes the default. 0, or -EINVAL: out of range, or the
 * file cannot be read in such parts. */
int rti_chunks_options(uint32_t *buffer_bytes, uint32_t *beside, const struct rt_file *file);

/* A row of chunks for one file, with an aligned buffer each; NULL for want of memory. Those of a
 * direct file are of the shard's pool where that has them: the kernel need not pin their pages each
 * time, 128 KiB then cost a third of the CPU less. */
struct rti_chunk *rti_chunks_create(uint32_t count, size_t buffer_bytes, struct rt_file *file,
                                    bool writes);
void rti_chunks_destroy(struct rti_chunk *chunks, uint32_t count); /* all have ended */

/* Begin the transfer. 0, or as rt_group_spawn_future(): then nothing was begun. */
int rti_chunk_begin(struct rti_chunk *chunk, struct rt_group *group, uint64_t offset, size_t bytes);

/* The same in the calling task, until the chunk has ended: where no task can be had, or a direct
 * write is not of whole blocks. */
void rti_chunk_run(struct rti_chunk *chunk, uint64_t offset, size_t bytes);

#endif /* RTI_IO_CHUNK_H */
