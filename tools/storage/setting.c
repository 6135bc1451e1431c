/* SPDX-License-Identifier: MIT */
/*
 * Setting: see setting.h.
 *
 * One table has a row for each option: how its value is read, where it goes, and its limits. A new
 * option of a known kind is one row.
 */
#include "setting.h"

#include <inttypes.h>
#include <rt/start.h>
#include <rt/taskq.h>
#include <stdlib.h>
#include <string.h>

#include "foreign.h"
#include "quantity.h"
#include "spelling.h"
#include "split.h"

#define BYTES_MAX   (UINT64_C(1) << 62) /* an offset is an int64_t, and sums of two must fit */
#define TIME_MAX    RT_SECONDS(366 * 86400)
#define TEXT_MAX    4096 /* as PATH_MAX */
#define PERCENT_MAX 100
#define THETA       1.1 /* as fio */
#define THETA_MAX   10
#define WORD_BYTES  64 /* room for the name of a policy */
#define CPU_MAX     65535

typedef bool (*read_fn)(struct source *source, const struct setting *setting, const char *value,
                        void *field);

struct setting {
    const char *name;
    const char *alias; /* or NULL */
    read_fn read;
    size_t field; /* its offset in the draft */
    uint64_t min; /* of numbers, and of times in ns */
    uint64_t max;
    rt_time unit; /* of a time without a unit, in ns */
    bool bare;    /* means 1 when it has no value */
};

const struct draft draft_default = {
    .job = { .seed = 1,
             .loops = 1,
             .instances = 1,
             .depth = 1,
             .batch_complete_min = 1,
             .shares = JOB_SHARES_DEFAULT,
             .zipf_theta = THETA,
             .invalidate = true,
             .do_verify = true },
    .bytes = { 4096, 4096 },
    .mix = 50,
    .reads = true,
};

static bool refuse(struct source *source, const struct setting *setting, const char *value,
                   const char *expected)
{
    return source_refuse(source, "%s=%s: expected %s", setting->name, value, expected);
}

static bool read_flag(struct source *source, const struct setting *setting, const char *value,
                      void *field)
{
    if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0) {
        return refuse(source, setting, value, "0 or 1");
    }
    *(bool *)field = value[0] == '1';
    return true;
}

/* For an option that is the opposite of its field. */
static bool read_opposite(struct source *source, const struct setting *setting, const char *value,
                          void *field)
{
    bool flag = false;

    if (!read_flag(source, setting, value, &flag)) {
        return false;
    }
    *(bool *)field = !flag;
    return true;
}

static bool read_whole(struct source *source, const struct setting *setting, const char *value,
                       void *field)
{
    uint64_t number;

    if (!quantity_bytes(value, &number) || number < setting->min || number > setting->max) {
        return source_refuse(source, "%s=%s: expected a whole number, %" PRIu64 " to %" PRIu64,
                             setting->name, value, setting->min, setting->max);
    }
    *(uint64_t *)field = number;
    return true;
}

static bool read_count(struct source *source, const struct setting *setting, const char *value,
                       void *field)
{
    uint64_t number = 0;

    if (!read_whole(source, setting, value, &number)) {
        return false;
    }
    *(uint32_t *)field = (uint32_t)number; /* setting->max is one */
    return true;
}

/* The percent of writes; the field is that of reads. */
static bool read_write_mix(struct source *source, const struct setting *setting, const char *value,
                           void *field)
{
    uint32_t percent = 0;

    if (!read_count(source, setting, value, &percent)) {
        return false;
    }
    *(uint32_t *)field = PERCENT_MAX - percent;
    return true;
}

static bool read_bytes(struct source *source, const struct setting *setting, const char *value,
                       void *field)
{
    char min[QUANTITY_BYTES];
    char max[QUANTITY_BYTES];
    uint64_t bytes;

    if (strchr(value, '%') != NULL) {
        return source_refuse(source, "%s=%s: a percentage is not supported; give bytes",
                             setting->name, value);
    }
    if (!quantity_bytes(value, &bytes) || bytes < setting->min || bytes > setting->max) {
        return source_refuse(source, "%s=%s: expected bytes, %s to %s, such as 4096, 4k or 1m",
                             setting->name, value, quantity_bytes_text(setting->min, min),
                             quantity_bytes_text(setting->max, max));
    }
    *(uint64_t *)field = bytes;
    return true;
}

static bool read_time(struct source *source, const struct setting *setting, const char *value,
                      void *field)
{
    char max[QUANTITY_BYTES];
    rt_time time;

    if (!quantity_time(value, setting->unit, &time) || (uint64_t)time > setting->max) {
        return source_refuse(source,
                             "%s=%s: expected a whole number of us, ms, s, m, h or d, at most %s; "
                             "without a unit it is %s",
                             setting->name, value, quantity_time_text((rt_time)setting->max, max),
                             setting->unit == RT_SECONDS(1) ? "seconds" : "microseconds");
    }
    *(rt_time *)field = time;
    return true;
}

static bool read_text(struct source *source, const struct setting *setting, const char *value,
                      void *field)
{
    if (*value == '\0' || strlen(value) >= TEXT_MAX) {
        return source_refuse(source, "%s: expected a text of 1 to %d bytes", setting->name,
                             TEXT_MAX - 1);
    }
    *(const char **)field = value;
    return true;
}

/*
 * "READ,WRITE", each read by `one` at field + step * direction. A direction that is left out before
 * or behind a comma keeps what it has; without a comma the first value is for both.
 */
static bool read_directions(struct source *source, const struct setting *setting, const char *value,
                            read_fn one, void *field, size_t step)
{
    const char *comma = strchr(value, ',');
    char *const fields[JOB_DIRECTIONS] = { field, (char *)field + step };
    char read[TEXT_MAX];

    if (comma == NULL) {
        if (!one(source, setting, value, fields[JOB_READ])) {
            return false;
        }
        memcpy(fields[JOB_WRITE], fields[JOB_READ], step);
        return true;
    }
    if (strchr(comma + 1, ',') != NULL) {
        return refuse(source, setting, value, "one value, or two: for reads and for writes");
    }
    if ((size_t)(comma - value) >= sizeof(read)) {
        return refuse(source, setting, value, "less text");
    }
    memcpy(read, value, (size_t)(comma - value));
    read[comma - value] = '\0';
    return (read[0] == '\0' || one(source, setting, read, fields[JOB_READ])) &&
           (comma[1] == '\0' || one(source, setting, comma + 1, fields[JOB_WRITE]));
}

static bool read_bytes_pair(struct source *source, const struct setting *setting, const char *value,
                            void *field)
{
    return read_directions(source, setting, value, read_bytes, field, sizeof(uint64_t));
}

static bool read_whole_pair(struct source *source, const struct setting *setting, const char *value,
                            void *field)
{
    return read_directions(source, setting, value, read_whole, field, sizeof(uint64_t));
}

static bool read_splits(struct source *source, const struct setting *setting, const char *value,
                        void *field)
{
    return split_read(source, setting->name, value, field);
}

static bool read_splits_pair(struct source *source, const struct setting *setting,
                             const char *value, void *field)
{
    return read_directions(source, setting, value, read_splits, field, sizeof(struct job_blocks));
}

static bool read_engine(struct source *source, const struct setting *setting, const char *value,
                        void *field)
{
    (void)field; /* there is nothing to choose */
    return strcmp(value, "io_uring") == 0 ||
           refuse(source, setting, value, "io_uring, the only engine that rt-storage has");
}

/* The library makes a vector of one buffer a request for that buffer. */
static bool read_nonvectored(struct source *source, const struct setting *setting,
                             const char *value, void *field)
{
    (void)field;
    return strcmp(value, "1") == 0 ||
           refuse(source, setting, value,
                  "1: each block is one buffer, asked for without a vector");
}

static bool read_pattern(struct source *source, const struct setting *setting, const char *value,
                         void *field)
{
    static const struct {
        const char *name;
        bool random, reads, writes;
    } patterns[] = {
        { "read", false, true, false },    { "write", false, false, true },
        { "rw", false, true, true },       { "readwrite", false, true, true },
        { "randread", true, true, false }, { "randwrite", true, false, true },
        { "randrw", true, true, true },
    };
    struct draft *draft = field;

    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        if (strcmp(value, patterns[i].name) == 0) {
            draft->job.random = patterns[i].random;
            draft->reads = patterns[i].reads;
            draft->writes = patterns[i].writes;
            return true;
        }
    }
    return refuse(source, setting, value,
                  strstr(value, "trim") != NULL
                      ? "read, write or both; trim is not supported"
                      : "read, write, randread, randwrite, rw, readwrite or randrw");
}

static bool read_distribution(struct source *source, const struct setting *setting,
                              const char *value, void *field)
{
    static const char zipf[] = "zipf";
    struct job *job = field;
    double theta = THETA;
    char *end;

    if (strcmp(value, "random") == 0) {
        job->distribution = JOB_DISTRIBUTION_RANDOM;
        return true;
    }
    if (strncmp(value, zipf, strlen(zipf)) != 0 ||
        (value[strlen(zipf)] != '\0' && value[strlen(zipf)] != ':')) {
        return refuse(source, setting, value, "random or zipf:THETA");
    }
    if (value[strlen(zipf)] == ':') {
        const char *number = value + strlen(zipf) + 1;

        theta = strtod(number, &end);
        if (*number < '0' || *number > '9' || *end != '\0' ||
            !(theta > 0 && theta <= THETA_MAX && theta != 1.0)) {
            return refuse(source, setting, value,
                          "a theta above 0, at most 10 and not 1, such as zipf:1.1");
        }
    }
    job->distribution = JOB_DISTRIBUTION_ZIPF;
    job->zipf_theta = theta;
    return true;
}

static bool read_process(struct source *source, const struct setting *setting, const char *value,
                         void *field)
{
    if (strcmp(value, "linear") == 0) {
        *(enum job_rate_process *)field = JOB_RATE_LINEAR;
    } else if (strcmp(value, "poisson") == 0) {
        *(enum job_rate_process *)field = JOB_RATE_POISSON;
    } else {
        return refuse(source, setting, value, "linear or poisson");
    }
    return true;
}

static bool read_verify(struct source *source, const struct setting *setting, const char *value,
                        void *field)
{
    if (strcmp(value, "0") != 0 && strcmp(value, "crc32c") != 0) {
        return refuse(source, setting, value, "crc32c, or 0 for none");
    }
    *(bool *)field = value[0] == 'c';
    return true;
}

/* A number or FIRST-LAST. Returns what is behind it, NULL for another text. */
static const char *skip_cpus(const char *text)
{
    uint64_t cpus[2] = { 0, CPU_MAX };

    for (size_t i = 0; i < 2; i++) {
        char *end;

        if (*text < '0' || *text > '9') {
            return NULL;
        }
        cpus[i] = strtoull(text, &end, 10);
        text = end;
        if (*text != '-') {
            break;
        }
        text += i == 0;
    }
    return cpus[0] <= cpus[1] && cpus[1] <= CPU_MAX ? text : NULL;
}

static bool read_cpus(struct source *source, const struct setting *setting, const char *value,
                      void *field)
{
    const char *text = skip_cpus(value);

    while (text != NULL && *text == ',') {
        text = skip_cpus(text + 1);
    }
    if (text == NULL || *text != '\0') {
        return refuse(source, setting, value, "CPUs and ranges of them, such as 0,2-3");
    }
    *(const char **)field = value;
    return true;
}

static void keep_no_text(void *arg, enum rt_log_level level, const char *text)
{
    (void)arg;
    (void)level;
    (void)text;
}

/* The library knows the words. */
static bool read_place(struct source *source, const struct setting *setting, const char *value,
                       void *field)
{
    struct rt_config config = RT_CONFIG_INIT;
    char program[] = "rt-storage";
    char option[] = "--place";
    char word[WORD_BYTES];
    char *arguments[] = { program, option, word, NULL };
    int count = 3;

    config.log = keep_no_text;
    if (strlen(value) >= sizeof(word) || value[0] == '-') {
        return refuse(source, setting, value, "a policy as --place has them");
    }
    memcpy(word, value, strlen(value) + 1);
    if (rt_config_parse(&config, &count, arguments) < 0) {
        return refuse(source, setting, value, "a policy as --place has them; see --help");
    }
    *(const char **)field = value;
    return true;
}

#define DRAFT(member) offsetof(struct draft, member)
#define JOB(member)   offsetof(struct draft, job.member)

/* clang-format off */
static const struct setting settings[] = {
    { "bs", "blocksize", read_bytes_pair, DRAFT(bytes), 1, JOB_BLOCK_MAX, 0, false },
    { "bssplit", NULL, read_splits_pair, JOB(blocks), 0, 0, 0, false },
    { "buffered", NULL, read_opposite, JOB(direct), 0, 0, 0, false },
    { "cpus_allowed", NULL, read_cpus, JOB(cpus), 0, 0, 0, false },
    { "direct", NULL, read_flag, JOB(direct), 0, 0, 0, false },
    { "directory", NULL, read_text, JOB(directory), 0, 0, 0, false },
    { "do_verify", NULL, read_flag, JOB(do_verify), 0, 0, 0, false },
    { "end_fsync", NULL, read_flag, JOB(end_fsync), 0, 0, 0, false },
    { "fdatasync", NULL, read_count, JOB(fdatasync_every), 0, UINT32_MAX, 0, false },
    { "filename", NULL, read_text, DRAFT(filename), 0, 0, 0, false },
    { "disk_times", NULL, read_flag, JOB(disk_times), 0, 0, 0, true },
    { "fixedbufs", NULL, read_flag, JOB(fixed_buffers), 0, 0, 0, true },
    { "fsync", NULL, read_count, JOB(fsync_every), 0, UINT32_MAX, 0, false },
    { "group_reporting", NULL, read_flag, JOB(group_reporting), 0, 0, 0, true },
    { "hipri", NULL, read_flag, JOB(hipri), 0, 0, 0, true },
    { "invalidate", NULL, read_flag, JOB(invalidate), 0, 0, 0, false },
    { "iodepth", NULL, read_count, JOB(depth), 1, JOB_DEPTH_MAX, 0, false },
    { "iodepth_batch_complete_max", NULL, read_count,
      JOB(batch_complete_max), 0, JOB_DEPTH_MAX, 0, false },
    { "iodepth_batch_complete_min", "iodepth_batch_complete", read_count,
      JOB(batch_complete_min), 0, JOB_DEPTH_MAX, 0, false },
    { "iodepth_batch_submit", "iodepth_batch", read_count,
      JOB(batch_submit), 0, JOB_DEPTH_MAX, 0, false },
    { "ioengine", NULL, read_engine, 0, 0, 0, 0, false },
    { "loops", NULL, read_whole, JOB(loops), 1, UINT32_MAX, 0, false },
    { "name", NULL, read_text, JOB(name), 0, 0, 0, false },
    { "nonvectored", NULL, read_nonvectored, 0, 0, 0, 0, false },
    { "norandommap", NULL, read_flag, JOB(no_random_map), 0, 0, 0, true },
    { "numjobs", NULL, read_count, JOB(instances), 1, JOB_INSTANCES_MAX, 0, false },
    { "offset", NULL, read_bytes, JOB(offset), 0, BYTES_MAX, 0, false },
    { "place", NULL, read_place, JOB(place), 0, 0, 0, false },
    { "ramp_time", NULL, read_time, JOB(ramp), 0, TIME_MAX, RT_SECONDS(1), false },
    { "random_distribution", NULL, read_distribution, DRAFT(job), 0, 0, 0, false },
    { "randseed", NULL, read_whole, JOB(seed), 0, UINT64_MAX, 0, false },
    { "rate", NULL, read_bytes_pair, JOB(rate_bytes), 0, BYTES_MAX, 0, false },
    { "rate_iops", NULL, read_whole_pair, JOB(rate_iops), 0, UINT32_MAX, 0, false },
    { "rate_process", NULL, read_process, JOB(rate_process), 0, 0, 0, false },
    { "registerfiles", NULL, read_flag, JOB(registered_files), 0, 0, 0, true },
    { "runtime", NULL, read_time, JOB(runtime), 0, TIME_MAX, RT_SECONDS(1), false },
    { "rw", "readwrite", read_pattern, 0, 0, 0, 0, false },
    { "rwmixread", NULL, read_count, DRAFT(mix), 0, PERCENT_MAX, 0, false },
    { "rwmixwrite", NULL, read_write_mix, DRAFT(mix), 0, PERCENT_MAX, 0, false },
    { "shares", NULL, read_count, JOB(shares), RT_SHARES_MIN, RT_SHARES_MAX, 0, false },
    { "size", NULL, read_bytes, JOB(size), 0, BYTES_MAX, 0, false },
    { "stonewall", "wait_for_previous", read_flag, DRAFT(stonewall), 0, 0, 0, true },
    { "thinktime", NULL, read_time, JOB(thinktime), 0, TIME_MAX, RT_MICROSECONDS(1), false },
    { "time_based", NULL, read_flag, JOB(time_based), 0, 0, 0, true },
    { "unlink", NULL, read_flag, JOB(unlink), 0, 0, 0, false },
    { "verify", NULL, read_verify, JOB(verify), 0, 0, 0, false },
};
/* clang-format on */

#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

/* The name that was probably meant, or NULL. */
static const char *nearest(const char *name)
{
    size_t best = strlen(name) / 3 + 2; /* what is farther away is another word */
    const char *found = NULL;

    for (size_t i = 0; i < SETTINGS; i++) {
        const char *names[2] = { settings[i].name, settings[i].alias };

        for (size_t k = 0; k < 2 && names[k] != NULL; k++) {
            const size_t far = spelling_distance(name, names[k]);

            if (far < best) {
                best = far;
                found = names[k];
            }
        }
    }
    return found;
}

const struct setting *setting_find(struct source *source, const char *name)
{
    const char *meant;

    for (size_t i = 0; i < SETTINGS; i++) {
        if (strcmp(name, settings[i].name) == 0 ||
            (settings[i].alias != NULL && strcmp(name, settings[i].alias) == 0)) {
            return &settings[i];
        }
    }
    if (foreign_has(name)) {
        (void)source_refuse(source, "%s is an option of fio that rt-storage does not support",
                            name);
        return NULL;
    }
    meant = nearest(name);
    if (meant != NULL) {
        (void)source_refuse(source, "there is no option %s; did you mean %s?", name, meant);
    } else {
        (void)source_refuse(source, "there is no option %s; rt-storage(1) lists them", name);
    }
    return NULL;
}

const char *setting_name(const struct setting *setting)
{
    return setting->name;
}

bool setting_read(struct source *source, const struct setting *setting, const char *value,
                  struct draft *draft)
{
    if (value == NULL && !setting->bare) {
        return source_refuse(source, "%s needs a value: %s=...", setting->name, setting->name);
    }
    return setting->read(source, setting, value != NULL ? value : "1",
                         (char *)draft + setting->field);
}
