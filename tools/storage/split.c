/* SPDX-License-Identifier: MIT */
/* Split: see split.h. */
#include "split.h"

#include <string.h>

#include "quantity.h"

#define PART_BYTES  64 /* room for one of several values with "/" or ":" between them */
#define PERCENT_MAX 100

static bool refuse(struct source *source, const char *option, const char *value,
                   const char *expected)
{
    return source_refuse(source, "%s=%s: expected %s", option, value, expected);
}

/*
 * The part of the value up to one of `ends`, copied to `part`. Returns what is behind it, and NULL
 * if it has no room.
 */
static const char *part_of(const char *value, const char *ends, char part[PART_BYTES])
{
    const size_t length = strcspn(value, ends);

    if (length >= PART_BYTES) {
        return NULL;
    }
    memcpy(part, value, length);
    part[length] = '\0';
    return value + length;
}

/* One "BYTES/PERCENT"; the percent is UINT32_MAX if the text leaves it open. */
static bool read_split(struct source *source, const char *option, const char *text,
                       struct job_split *out)
{
    char part[PART_BYTES];
    const char *percent = part_of(text, "/", part);
    uint64_t number;

    if (percent == NULL || !quantity_bytes(part, &number) || number < 1 || number > JOB_BLOCK_MAX) {
        return refuse(source, option, text, "BYTES/PERCENT, such as 4k/60, of 1 byte to 64m");
    }
    out->bytes = (uint32_t)number;
    out->percent = UINT32_MAX;
    if (percent[0] == '\0' || percent[1] == '\0') {
        return true;
    }
    if (!quantity_bytes(percent + 1, &number) || number > PERCENT_MAX) {
        return refuse(source, option, text, "a percent from 0 to 100 behind the /");
    }
    out->percent = (uint32_t)number;
    return true;
}

/* Gives the splits that left it open equal parts of what is missing to 100. */
static bool share_percents(struct source *source, const char *option, struct job_blocks *blocks)
{
    uint32_t sum = 0;
    uint32_t open = 0;

    for (uint32_t i = 0; i < blocks->count; i++) {
        const uint32_t percent = blocks->splits[i].percent;

        open += percent == UINT32_MAX;
        sum += percent == UINT32_MAX ? 0 : percent;
    }
    if (sum > PERCENT_MAX || (open == 0 && sum < PERCENT_MAX)) {
        return source_refuse(source, "%s: the percents of one direction are %u together, not 100",
                             option, sum);
    }
    for (uint32_t i = 0; i < blocks->count; i++) {
        uint32_t *percent = &blocks->splits[i].percent;

        if (*percent == UINT32_MAX) {
            *percent = (PERCENT_MAX - sum) / open;
            sum += *percent;
            open--;
        }
    }
    return true;
}

bool split_read(struct source *source, const char *option, const char *value,
                struct job_blocks *out)
{
    struct job_blocks blocks = { 0 };
    char part[PART_BYTES];
    const char *rest = value;

    for (;;) {
        if (blocks.count == JOB_SPLITS_MAX) {
            return source_refuse(source, "%s: more than %d sizes", option, JOB_SPLITS_MAX);
        }
        rest = part_of(rest, ":", part);
        if (rest == NULL) {
            return refuse(source, option, value, "BYTES/PERCENT:BYTES/PERCENT...");
        }
        if (!read_split(source, option, part, &blocks.splits[blocks.count])) {
            return false;
        }
        blocks.count++;
        if (*rest == '\0') {
            break;
        }
        rest++;
    }
    if (!share_percents(source, option, &blocks)) {
        return false;
    }
    *out = blocks;
    return true;
}
