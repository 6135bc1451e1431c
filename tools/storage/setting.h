/* SPDX-License-Identifier: MIT */
/*
 * Setting: the options of a job file, by name.
 *
 * A draft is a job as far as its lines were read. Some options say only together what the job is,
 * or which wins: they wait in the draft until draft_finish() (resolve.h).
 */
#ifndef STORAGE_SETTING_H
#define STORAGE_SETTING_H

#include "job.h"
#include "source.h"

struct draft {
    struct job job;
    const char *filename;           /* names with ":" between them; NULL: none */
    uint64_t bytes[JOB_DIRECTIONS]; /* of a block, where there is no split */
    uint32_t mix;                   /* percent of reads, if there are both */
    bool reads, writes;
    bool stonewall;
};

/* What holds for a job that says nothing. */
extern const struct draft draft_default;

struct setting;

/* NULL, after an error: there is no such option. */
const struct setting *setting_find(struct source *source, const char *name);

/* The first of its names. */
const char *setting_name(const struct setting *setting);

/*
 * Read the value into the draft; NULL: the line had none. The text must outlive the draft. False
 * after an error.
 */
bool setting_read(struct source *source, const struct setting *setting, const char *value,
                  struct draft *draft);

#endif /* STORAGE_SETTING_H */
