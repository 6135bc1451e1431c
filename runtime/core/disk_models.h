/* SPDX-License-Identifier: MIT */
/*
 * Disk models: what requests cost disks, as somebody has measured it, read from a file.
 *
 *     # vda, by rt-storage calibrate
 *     [device 254:0]
 *     read_request_ns = 7190
 *     read_byte_ps = 433
 *     capacity_ns = 1829000
 *
 * A section for each disk, by its numbers; in it lines of a key and a whole number. Keys that
 * begin with write_ may be left out together: then a write costs what a read does.
 * `*_saturation_depth` is for people, and is read over.
 */
#ifndef RTI_CORE_DISK_MODELS_H
#define RTI_CORE_DISK_MODELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"

/* Of reads and of writes. */
struct rti_disk_figures {
    uint64_t device;        /* major number in the upper half, minor in the lower */
    uint64_t request_ns[2]; /* device time of each request */
    uint64_t byte_ps[2];    /* and of each byte */
    uint64_t capacity_ns;   /* device time in flight that saturates it */
};

struct rti_disk_models {
    struct rti_disk_figures *figures;
    size_t count;
    bool learns; /* what disks can do that have none */
};

/* Of a text with a 0 at its end, which is changed. 0; -EINVAL: the log says what is wrong in which
 * line; -ENOMEM. Ends with fini, also then. */
int rti_disk_models_parse(struct rti_disk_models *models, char *text, const char *path,
                          const struct rti_log *log);

/* Of a file; NULL: there are none; "learn": there are none, and disks are learned. Also an error of
 * reading it, which the log tells. */
int rti_disk_models_read(struct rti_disk_models *models, const char *path,
                         const struct rti_log *log);

void rti_disk_models_fini(struct rti_disk_models *models);

/* Those of the device, or NULL. */
const struct rti_disk_figures *rti_disk_models_find(const struct rti_disk_models *models,
                                                    uint64_t device);

#endif /* RTI_CORE_DISK_MODELS_H */
