/* SPDX-License-Identifier: MIT */
/* Kernels: see kernels.h. A fault stands here only if it was found in the kernel's own history. */
#include "kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"

/*
 * The first version that has the fault, and the first of the same line that has it no more.
 *
 * - CQ overflow: eac2ca2d682f ("io_uring: check if we need to reschedule during overflow
 *   flush") went into 6.1.113 and 6.6.57 without 8d09a88ef9d3 ("io_uring: always lock
 *   __io_cqring_overflow_flush"), which followed in 6.1.116 and 6.6.60. Reports:
 *   https://github.com/NixOS/nixpkgs/issues/353709,
 *   https://github.com/bottlerocket-os/bottlerocket/issues/4308
 * - ext4: 91562895f803 ("ext4: properly sync file size update after O_SYNC direct IO") went into
 *   6.1.64 without 936e114a245b ("iomap: update ki_pos a little later"). Debian bug 1057843.
 * - ENOMEM: 66dabbb65d67 ("mm: return an ERR_PTR from __filemap_get_folio", 6.4) is mended by
 *   182db972c956 in 6.6.85, 6.12.21, 6.13.9 and 6.14. Report:
 *   https://github.com/scylladb/seastar/issues/2728
 */
static const struct {
    int first[3];
    int mended[3];
    const char *what;
} faults[] = {
    { { 6, 1, 113 },
      { 6, 1, 116 },
      "a shard whose completion queue overflows can hang for ever, and not even be killed" },
    { { 6, 6, 57 },
      { 6, 6, 60 },
      "a shard whose completion queue overflows can hang for ever, and not even be killed" },
    { { 6, 1, 64 },
      { 6, 1, 66 },
      "writes with O_DIRECT to ext4 can go to a wrong place of the file" },
    { { 6, 4, 0 },
      { 6, 6, 85 },
      "writes through the page cache (XFS and others on iomap) can fail with ENOMEM" },
    { { 6, 7, 0 },
      { 6, 12, 21 },
      "writes through the page cache (XFS and others on iomap) can fail with ENOMEM" },
    { { 6, 13, 0 },
      { 6, 13, 9 },
      "writes through the page cache (XFS and others on iomap) can fail with ENOMEM" },
};

static bool read_version(struct kernel *kernel, const char *text)
{
    int *version = kernel->version;
    char *end = NULL;

    memset(version, 0, sizeof(kernel->version));
    for (int i = 0; i < 3; i++) {
        const char *digits = i == 0 ? text : end + 1;

        version[i] = (int)strtol(digits, &end, 10);
        if (end == digits) {
            return false;
        }
        if (*end != '.') { /* 6.18-rc1 is 6.18.0 */
            return i >= 1;
        }
    }
    return true;
}

void kernel_read(struct kernel *kernel, const char *root)
{
    char *ubuntu = file_read(root, "/proc/version_signature"); /* Ubuntu 6.8.0-45.45 6.8.12 */
    char *version = file_read(root, "/proc/version"); /* ... Debian 6.1.115-1 (2024-11-01) */
    const char *place;

    *kernel = (struct kernel){ .release = file_read(root, "/proc/sys/kernel/osrelease") };
    if (ubuntu != NULL && (place = strrchr(ubuntu, ' ')) != NULL) {
        kernel->known = read_version(kernel, place + 1);
    } else if (version != NULL && (place = strstr(version, " Debian ")) != NULL) {
        kernel->known = read_version(kernel, place + strlen(" Debian "));
    }
    if (!kernel->known && kernel->release != NULL) {
        kernel->known = read_version(kernel, kernel->release);
    }
    free(ubuntu);
    free(version);
}

void kernel_free(struct kernel *kernel)
{
    free(kernel->release);
}

bool kernel_is(const struct kernel *kernel, int major, int minor, int patch)
{
    const int wanted[3] = { major, minor, patch };

    for (int i = 0; i < 3; i++) {
        if (kernel->version[i] != wanted[i]) {
            return kernel->version[i] > wanted[i];
        }
    }
    return true;
}

void kernel_faults(struct notes *notes, const struct kernel *kernel)
{
    for (size_t i = 0; kernel->known && i < sizeof(faults) / sizeof(faults[0]); i++) {
        const int *first = faults[i].first;
        const int *mended = faults[i].mended;

        if (kernel_is(kernel, first[0], first[1], first[2]) &&
            !kernel_is(kernel, mended[0], mended[1], mended[2])) {
            notes_add(notes, LEVEL_WARNING, "fault",
                      text_of("install Linux %d.%d.%d or later of that line", mended[0], mended[1],
                              mended[2]),
                      "Linux %d.%d.%d: %s, unless its distribution has mended that",
                      kernel->version[0], kernel->version[1], kernel->version[2], faults[i].what);
        }
    }
}
