/* SPDX-License-Identifier: MIT */
/* Each measurement is a job of its own, run as if a job file had asked for it. */
#include "calibrate.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <rt/rt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "layout.h"
#include "quantity.h"
#include "runner.h"

#define FILE_BYTES     (UINT64_C(256) << 20) /* of one that is made */
#define FILE_BYTES_MIN (UINT64_C(16) << 20)
#define DEPTH_MAX      256u
#define IN_FLIGHT_MAX  (UINT32_C(32) << 20) /* bytes: they are locked memory */
#define RAMP_PART      4                    /* of the time of a measurement, before it counts */
#define OPERATIONS_MIN 16                   /* of a measurement */
#define TIME_MAX       RT_SECONDS(60)
#define STAT_BLOCK     512
#define MADE           "rt-storage.calibrate"
#define NS             1e9

static const uint32_t sizes[MODEL_SIZES] = { 4u << 10, 16u << 10, 64u << 10, 256u << 10, 1u << 20 };

/* One run. */
struct measurement {
    enum job_direction direction;
    uint32_t bytes;
    uint32_t depth;
    double per_second;
    double cpu;
};

struct calibration {
    const struct calibrate_options *options;
    const char *file;
    uint64_t file_bytes; /* 0: as it is */
    rt_time time;        /* of a measurement */
    uint64_t runs;
};

__attribute__((format(printf, 3, 4))) static int complain(const char *path, int error,
                                                          const char *format, ...)
{
    va_list args;

    fprintf(stderr, "rt-storage: %s: ", path);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return error;
}

/* Measuring */

static struct job job_of(const struct calibration *calibration,
                         const struct measurement *measurement)
{
    const struct job_blocks blocks = {
        .count = 1,
        .min = measurement->bytes,
        .max = measurement->bytes,
        .splits = { { measurement->bytes, 100 } },
    };

    return (struct job){
        .name = "calibrate",
        .files = &calibration->file,
        .file_count = 1,
        .size = calibration->file_bytes,
        .seed = calibration->runs,
        .loops = 1,
        .runtime = calibration->time,
        .ramp = calibration->time / RAMP_PART,
        .time_based = true,
        .blocks = { blocks, blocks },
        .instances = 1,
        .depth = measurement->depth,
        .batch_submit = measurement->depth,
        .batch_complete_min = 1,
        .batch_complete_max = measurement->depth,
        .read_percent = measurement->direction == JOB_READ ? 100 : 0,
        .shares = JOB_SHARES_DEFAULT,
        .random = true,
        .no_random_map = true,
        .direct = true,
        .registered_files = true,
        .fixed_buffers = true,
    };
}

/* What a run did; 1 if that is too little to tell. */
static int take_result(const struct calibration *calibration, const struct result *result,
                       struct measurement *measurement)
{
    const struct result_job *job = &result->jobs[0];
    const struct result_direction *direction = &job->directions[measurement->direction];
    const double seconds = (double)direction->runtime / NS;

    if (result->interrupted) {
        return complain(calibration->file, -EINTR, "a signal ended the calibration");
    }
    if (job->error < 0) {
        return complain(calibration->file, job->error, "calibrating: %s", job->error_text);
    }
    if (direction->operations < OPERATIONS_MIN) {
        return 1;
    }
    measurement->per_second = (double)direction->operations / seconds;
    measurement->cpu = (double)(job->cost.user + job->cost.system) / NS / seconds;
    return 0;
}

static int measure_once(struct calibration *calibration, struct measurement *measurement)
{
    const struct job job = job_of(calibration, measurement);
    const struct run_options run_options = {
        .config = calibration->options->config,
        .allow_overwrite = calibration->options->allow_overwrite,
    };
    struct result result;
    int r;

    calibration->runs++;
    if (calibration->options->progress) {
        fprintf(stderr, "\r%s of %7" PRIu32 " bytes, %3" PRIu32 " in flight \033[K",
                measurement->direction == JOB_READ ? "reads" : "writes", measurement->bytes,
                measurement->depth);
    }
    r = storage_run(&job, 1, &run_options, &result);
    if (r == 0) {
        r = take_result(calibration, &result, measurement);
    }
    result_fini(&result);
    return r;
}

/* A device that is too slow for the time gets more of it, from now on. */
static int measure(struct calibration *calibration, struct measurement *measurement)
{
    int r;

    while ((r = measure_once(calibration, measurement)) > 0) {
        calibration->time *= 2;
        if (calibration->time > TIME_MAX) {
            return complain(calibration->file, -ETIME,
                            "not even %d requests of %" PRIu32 " bytes end within a minute",
                            OPERATIONS_MIN, measurement->bytes);
        }
    }
    return r;
}

/* The depth that saturates the device. */
static int find_depth(struct calibration *calibration, enum job_direction direction,
                      struct model_point *point)
{
    struct model_levels levels = { .count = 0 };
    uint32_t depth = 1;
    int r = 0;

    while (r == 0 && depth <= DEPTH_MAX && depth * point->bytes <= IN_FLIGHT_MAX &&
           !model_is_saturated(&levels)) {
        struct measurement measurement = { direction, point->bytes, depth, 0, 0 };

        r = measure(calibration, &measurement);
        levels.per_second[levels.count++] = measurement.per_second;
        depth *= 2;
    }
    if (r == 0) {
        point->depth = model_saturation_depth(&levels);
    }
    return r;
}

static int measure_direction(struct calibration *calibration, enum job_direction direction,
                             struct model_direction *out)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < MODEL_SIZES; i++) {
        out->points[i] = (struct model_point){ .bytes = sizes[i] };
        r = find_depth(calibration, direction, &out->points[i]);
    }
    for (size_t repeat = 0; r == 0 && repeat < MODEL_REPEATS; repeat++) {
        for (size_t i = 0; r == 0 && i < MODEL_SIZES; i++) {
            struct model_point *point = &out->points[i];
            struct measurement measurement = { direction, point->bytes, point->depth, 0, 0 };

            r = measure(calibration, &measurement);
            point->per_second[repeat] = measurement.per_second;
            point->cpu = measurement.cpu > point->cpu ? measurement.cpu : point->cpu;
        }
    }
    if (r == 0) {
        model_fit(out);
    }
    return r;
}

/* Devices */

/* What the link at `path` leads to, behind the last slash. */
static void name_of_link(const char *path, char name[MODEL_TEXT_BYTES])
{
    char target[PATH_MAX];
    const ssize_t n = readlink(path, target, sizeof(target) - 1);
    const char *slash;

    target[n > 0 ? n : 0] = '\0';
    slash = strrchr(target, '/');
    snprintf(name, MODEL_TEXT_BYTES, "%.*s", MODEL_TEXT_BYTES - 1, slash != NULL ? slash + 1 : "");
}

/* The disk of a partition, in whose folder the partition's lies; else the device itself. */
static void name_device(struct model *model, dev_t device)
{
    char path[PATH_MAX];
    char disk[MODEL_TEXT_BYTES];
    FILE *file;

    snprintf(model->device, sizeof(model->device), "%u:%u", major(device), minor(device));
    snprintf(path, sizeof(path), "/sys/dev/block/%s", model->device);
    name_of_link(path, model->name);
    snprintf(path, sizeof(path), "/sys/dev/block/%s/partition", model->device);
    if (access(path, F_OK) < 0) {
        return;
    }
    snprintf(path, sizeof(path), "/sys/dev/block/%s/../dev", model->device);
    file = fopen(path, "re");
    if (file == NULL) {
        return;
    }
    if (fscanf(file, "%63s", disk) == 1) {
        memcpy(model->device, disk, sizeof(disk));
        snprintf(path, sizeof(path), "/sys/dev/block/%s", disk);
        name_of_link(path, model->name);
    }
    fclose(file);
}

/* Files */

/* Reads of what was never written ask no device. */
static int check_file(struct calibration *calibration, const struct stat *stat)
{
    const char *path = calibration->file;
    char least[QUANTITY_BYTES];

    if (S_ISBLK(stat->st_mode)) {
        return 0; /* the layout asks for its size */
    }
    if (!S_ISREG(stat->st_mode)) {
        return complain(path, -EINVAL, "is neither a file, nor a block device, nor a folder");
    }
    if ((uint64_t)stat->st_size < FILE_BYTES_MIN) {
        return complain(path, -EINVAL, "is shorter than %s; give a larger file, or its folder",
                        quantity_bytes_text(FILE_BYTES_MIN, least));
    }
    if ((uint64_t)stat->st_blocks * STAT_BLOCK < (uint64_t)stat->st_size) {
        return complain(path, -EINVAL,
                        "has holes, which no device is asked for; give a file that is full of "
                        "data, or its folder");
    }
    return 0;
}

/* What may not be written to is refused at once, not when the reads are done. */
static int check_writes(const struct calibration *calibration)
{
    const struct measurement write = { JOB_WRITE, sizes[0], 1, 0, 0 };
    const struct job job = job_of(calibration, &write);
    struct layout layout;
    int r = 0;

    if (calibration->options->write) {
        r = layout_make(&layout, &job, 1, calibration->options->allow_overwrite, false);
        layout_fini(&layout);
    }
    return r;
}

static int measure_file(struct calibration *calibration, struct model *model)
{
    int r = 0;

    for (enum job_direction d = JOB_READ; r == 0 && d < JOB_DIRECTIONS; d++) {
        if (d == JOB_READ || calibration->options->write) {
            r = measure_direction(calibration, d, &model->directions[d]);
            model->measured[d] = r == 0;
        }
    }
    if (calibration->options->progress) {
        fputs("\r\033[K", stderr);
    }
    return r;
}

/* The first run makes the file, and fills it, for it reads. */
static int measure_folder(struct calibration *calibration, struct model *model)
{
    char path[PATH_MAX];
    int r;

    if (snprintf(path, sizeof(path), "%s/" MADE ".%ld", calibration->options->path,
                 (long)getpid()) >= (int)sizeof(path)) {
        return complain(path, -ENAMETOOLONG, "this path is too long");
    }
    if (access(path, F_OK) == 0) {
        return complain(path, -EEXIST, "is left over, or somebody else's; remove it");
    }
    calibration->file = path;
    calibration->file_bytes = FILE_BYTES;
    r = measure_file(calibration, model);
    if (unlink(path) < 0 && errno != ENOENT) {
        r = r < 0 ? r : complain(path, -errno, "removing it: %s", strerror(errno));
    }
    return r;
}

int calibrate(struct model *model, const struct calibrate_options *options)
{
    struct calibration calibration = { .options = options,
                                       .file = options->path,
                                       .time = options->time };
    struct stat found;
    int r;

    *model = (struct model){ .measured = { false } };
    if (stat(options->path, &found) < 0) {
        return complain(options->path, -errno, "%s", strerror(errno));
    }
    name_device(model, S_ISBLK(found.st_mode) ? found.st_rdev : found.st_dev);
    if (S_ISDIR(found.st_mode)) {
        return measure_folder(&calibration, model);
    }
    r = check_file(&calibration, &found);
    if (r == 0) {
        r = check_writes(&calibration);
    }
    return r < 0 ? r : measure_file(&calibration, model);
}
