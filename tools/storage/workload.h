/* SPDX-License-Identifier: MIT */
/*
 * Workload: which operation an instance of a job does next, and when it is meant to start.
 *
 * The sequence depends on the job, the number of the instance and the sizes alone, not on the
 * clock nor on what the device does. So a second workload of the same job tells again what the
 * first one told; that is how what was written is found again to be verified.
 *
 * A file's range is cut into units, the smallest blocks of the directions that are used.
 *
 *     in order        each direction goes through each file by itself; files take turns
 *     random          the units in a random order, each once per pass, by a permutation. Where
 *                     sizes of blocks vary, a map tells which units larger blocks have taken,
 *                     and a block is shortened to the free units that it finds, as by fio
 *     no_random_map   any unit, each time
 *     zipf            ranks by zipf.h, laid over the units in a random order
 *
 * Rates: an operation's start is fixed by those before it in its direction. Where both directions
 * have rates, the earlier one comes next; otherwise the mix is drawn.
 */
#ifndef STORAGE_WORKLOAD_H
#define STORAGE_WORKLOAD_H

#include "job.h"
#include "permutation.h"
#include "zipf.h"

struct workload_io {
    uint64_t offset; /* in the file, the job's offset included */
    rt_time start;   /* meant to start so long after the first; WORKLOAD_ANY_TIME without a rate */
    uint64_t pass;   /* from 0 */
    uint32_t bytes;
    uint32_t file;
    enum job_direction direction;
};

#define WORKLOAD_ANY_TIME (-1)

/* Random sequences of their own, so that one option does not change what another one draws. */
enum workload_draw { DRAW_OFFSET, DRAW_DIRECTION, DRAW_SIZE, DRAW_START, DRAWS };

struct workload_file {
    struct permutation order; /* of the pass */
    uint64_t
        next[JOB_DIRECTIONS]; /* in order: where the direction stands, from the range's begin */
    uint64_t drawn;           /* places of the permutation that are used up */
    uint64_t *map;            /* a bit for each unit that is taken; NULL: not needed */
};

struct workload {
    const struct job *job;
    struct workload_file *files;
    uint64_t range; /* bytes of each file */
    uint64_t seed;
    uint64_t pass;
    uint64_t moved; /* bytes of the pass so far */
    uint64_t count; /* operations told so far */
    uint64_t draws[DRAWS];
    double poisson_start[JOB_DIRECTIONS];
    uint64_t told[JOB_DIRECTIONS]; /* what the rate counts: operations or bytes */
    struct zipf zipf;
    struct permutation ranks; /* where the ranks of zipf lie */
    uint32_t unit;
    uint32_t file_count;
    uint32_t file; /* whose turn it is */
};

/*
 * `size` is the job's, or what its files have when it names none. Returns 0; -EINVAL when a file's
 * part of it has no room for a block; -ENOMEM. Ends with workload_fini(), also after a failure.
 */
int workload_init(struct workload *workload, const struct job *job, uint32_t instance,
                  uint64_t size);

void workload_fini(struct workload *workload);

/* False: all passes are over. */
bool workload_next(struct workload *workload, struct workload_io *io);

/* The smallest block of the directions that the job uses, in bytes. */
uint32_t workload_unit(const struct job *job);

/* Whether a pass that is complete has touched each unit of each file, in its only direction. */
bool workload_covers(const struct job *job);

#endif /* STORAGE_WORKLOAD_H */
