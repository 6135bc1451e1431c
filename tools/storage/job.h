/* SPDX-License-Identifier: MIT */
/*
 * Job: what one section of a job file asks for, with every option resolved.
 *
 * jobfile_read() makes them: values of [global] are in, defaults are in, sizes are bytes, times are
 * nanoseconds. What contradicts itself was refused there, so a job can be run without asking again.
 * Names and meanings are those of fio; where fio leaves something open, the comment here decides.
 *
 * A job is run `instances` times at once. An instance is a shard of its own, which keeps `depth`
 * operations under way. Limits, sizes and rates are those of one instance.
 */
#ifndef STORAGE_JOB_H
#define STORAGE_JOB_H

#include <rt/base.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JOB_SPLITS_MAX     64          /* sizes of blocks in one direction, as in fio */
#define JOB_BLOCK_MAX      (64u << 20) /* bytes */
#define JOB_VERIFY_MIN     64          /* bytes of the smallest block that has room for a header */
#define JOB_DEPTH_MAX      4096
#define JOB_INSTANCES_MAX  1024
#define JOB_SHARES_DEFAULT 1000

enum job_direction {
    JOB_READ = 0,
    JOB_WRITE,
    JOB_DIRECTIONS, /* how many there are */
};

/* A size of blocks, and how many of a hundred blocks have it. */
struct job_split {
    uint32_t bytes; /* 1..JOB_BLOCK_MAX */
    uint32_t percent;
};

/* The blocks of one direction. The percents of all splits together are 100. */
struct job_blocks {
    uint32_t count; /* 1..JOB_SPLITS_MAX; 1: all blocks have splits[0].bytes */
    uint32_t min;   /* bytes of the smallest and of the largest block */
    uint32_t max;
    struct job_split splits[JOB_SPLITS_MAX];
};

/* How random offsets are spread over the range of a file. */
enum job_distribution {
    JOB_DISTRIBUTION_RANDOM = 0, /* evenly; each block once per pass, unless no_random_map */
    JOB_DISTRIBUTION_ZIPF,       /* by `zipf_theta`; blocks repeat, there is no map */
};

/* When the operations of a rate are meant to start. */
enum job_rate_process {
    JOB_RATE_LINEAR = 0, /* at equal distances */
    JOB_RATE_POISSON,    /* at random distances, exponentially distributed */
};

/* An option as the file gives it, for reports. */
struct job_option {
    const char *name;  /* fio's first name of it, such as "bs" for "blocksize" */
    const char *value; /* "" for one without a value */
    uint32_t line;     /* in the job file, from 1 */
    bool global;       /* it stands in [global], not in the job's own section */
};

struct job {
    const char *name; /* of the section, or the option `name` */

    /*
     * The files, each with its directory before it, and in the order of the option. All instances
     * share them. None: each instance has a file of its own, job_file() says which.
     */
    const char *const *files;
    size_t file_count;
    const char *directory; /* of files that job_file() names; NULL: the current one */

    const struct job_option *options; /* [global]'s first, then the section's, in their order */
    size_t option_count;

    const char *cpus;  /* shards of its instances run on these, "0,2-3"; NULL: on those of --cpus */
    const char *place; /* policy, a word for --place; NULL: that of the command line */

    uint64_t size;   /* bytes of all files together, each has an equal part; 0: files as they are */
    uint64_t offset; /* of each file's part in its file: what is before it is left alone */
    uint64_t seed;   /* each instance draws from this and its number; default 1 */
    uint64_t loops;  /* passes over `size`, 1 or more; each pass moves `size` bytes */

    rt_time runtime;   /* ends after so long, ramp not counted; 0: after `loops` */
    rt_time ramp;      /* runs so long before anything is counted */
    rt_time thinktime; /* waits so long after each completion, before the next start */

    /*
     * At most so much in each direction, 0: no limit. Not both of a direction: bytes per second, or
     * operations per second. A rate is an open loop: it fixes when an operation is meant to start.
     */
    uint64_t rate_bytes[JOB_DIRECTIONS];
    uint64_t rate_iops[JOB_DIRECTIONS];

    double zipf_theta; /* above 0, not 1; for JOB_DISTRIBUTION_ZIPF */

    struct job_blocks blocks[JOB_DIRECTIONS]; /* filled for both, also when one is not used */

    uint32_t line;         /* of the section, in the job file */
    uint32_t stage;        /* 0, 1 ...: starts when all jobs of the stage before have ended */
    uint32_t instances;    /* 1..JOB_INSTANCES_MAX */
    uint32_t depth;        /* 1..JOB_DEPTH_MAX operations of an instance are under way at once */
    uint32_t batch_submit; /* 1..depth are given to the kernel at once, at most; see pace.h */
    uint32_t batch_complete_min; /* 0..depth are waited for at once; 0 and 1: for any */
    uint32_t batch_complete_max; /* 1..depth, not below the min, are taken at once, at most */
    uint32_t read_percent; /* 100: reads only, 0: writes only, between: of a hundred operations */
    uint32_t fsync_every;  /* this many writes are followed by an fsync; 0: none */
    uint32_t fdatasync_every;           /* the same for fdatasync */
    uint32_t shares;                    /* of the task queue of an instance, 1..10000 */
    enum job_distribution distribution; /* of random offsets */
    enum job_rate_process rate_process;

    bool random;           /* offsets; else one after the other, also when reads and writes mix */
    bool direct;           /* O_DIRECT */
    bool time_based;       /* `runtime` is not 0, and passes are repeated until it is over */
    bool no_random_map;    /* random blocks may repeat, and others may never come */
    bool registered_files; /* the ring knows the files by number */
    bool fixed_buffers;    /* the ring knows the buffers */
    bool hipri;            /* the disk is polled, where it can be */
    bool disk_times;       /* of each transfer: what it waited for the disk, and what that took */
    bool invalidate;       /* the page cache of the files is dropped before the job starts */
    bool end_fsync;        /* when the writes are done; its time is the job's */
    bool unlink;           /* the files, when the job has ended */
    bool verify;    /* blocks are written with a crc32c, and have to be read with a right one */
    bool do_verify; /* with `verify` and writes: they are read back when they are done */
    bool group_reporting; /* reported as one with the others of its stage that say so */
};

static inline bool job_reads(const struct job *job)
{
    return job->read_percent > 0;
}

static inline bool job_writes(const struct job *job)
{
    return job->read_percent < 100;
}

/* Bytes of the largest block that the job reads or writes. */
uint32_t job_block_max(const struct job *job);

/* fio's name of the pattern: "randread", "rw" ... */
const char *job_rw_name(const struct job *job);

/* How many files an instance works on. */
size_t job_file_count(const struct job *job);

/*
 * Writes the path of file `file` of instance `instance`, which is `DIRECTORY/NAME.INSTANCE.0` when
 * the job names no files, as in fio. Returns its length without terminator, which may be `bytes`
 * or more: then the text was cut.
 */
size_t job_file(const struct job *job, uint32_t instance, size_t file, char *text, size_t bytes);

#endif /* STORAGE_JOB_H */
