/* SPDX-License-Identifier: MIT */
/*
 * Features: what the runtime uses of the kernel where it can, and does without
 * where it must.
 *
 * Each has a name by which RT_DISABLE and config.disable turn it off, so that
 * the test suite runs without each of them, and a user can go around a fault
 * of a kernel. What was granted is a set of the same bits.
 */
#ifndef RTI_OS_FEATURES_H
#define RTI_OS_FEATURES_H

#include <stddef.h>
#include <stdint.h>

enum rti_feature {
    RTI_FEATURE_GUARD_INSTALL = 1u << 0,   /* guards of stacks without a mapping each (6.13) */
    RTI_FEATURE_NO_SQARRAY = 1u << 1,      /* no indirection in the submission queue (6.6) */
    RTI_FEATURE_NO_IOWAIT = 1u << 2,       /* a sleeping executor is not counted as iowait (6.15) */
    RTI_FEATURE_REGISTERED_RING = 1u << 3, /* enter without a look-up of the descriptor (5.18) */
    RTI_FEATURE_DEFER_TASKRUN = 1u << 4,   /* completions run when asked for (6.1) */
    RTI_FEATURE_IOWQ = 1u << 5,            /* workers counted, and where we say (5.15) */
    RTI_FEATURE_FIXED_BUFFERS = 1u << 6,   /* buffers that the kernel knows beforehand (5.19) */
    RTI_FEATURE_REGISTERED_FILES = 1u << 7, /* transfers without a look-up of the file (6.9) */
    RTI_FEATURE_IOPOLL = 1u << 8,           /* devices polled, for files that ask for it (5.1) */
};

#define RTI_FEATURES_ALL 0x1ffu

/* Room for the names of all of them. */
#define RTI_FEATURES_BYTES 128

/*
 * Read a list of names, separated by commas or spaces; "all" is every feature.
 * NULL and "" are the empty list. Returns 0 and adds to *set; -EINVAL at a name
 * that is none: then *wrong points to it inside `list`.
 */
int rti_features_parse(const char *list, uint32_t *set, const char **wrong);

/* The names in a set, separated by spaces, "none" for the empty one. Cut to `bytes`. */
void rti_features_format(uint32_t set, char *text, size_t bytes);

#endif /* RTI_OS_FEATURES_H */
