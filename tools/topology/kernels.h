/* SPDX-License-Identifier: MIT */
/* Kernels: which version runs, and what is known to be wrong with it. */
#ifndef TOPOLOGY_KERNELS_H
#define TOPOLOGY_KERNELS_H

#include <stdbool.h>

#include "notes.h"

struct kernel {
    char *release; /* as uname -r has it */
    int version[3];
    bool known; /* a version could be read */
};

/*
 * Distributions name kernels as they like, so the version of the kernel that it was
 * made from is looked for first where Ubuntu and Debian put that.
 */
void kernel_read(struct kernel *kernel, const char *root);
void kernel_free(struct kernel *kernel);

/* Is it this version or a later one? */
bool kernel_is(const struct kernel *kernel, int major, int minor, int patch);

/* A warning for each known fault that it has. */
void kernel_faults(struct notes *notes, const struct kernel *kernel);

#endif /* TOPOLOGY_KERNELS_H */
