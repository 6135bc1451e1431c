/* SPDX-License-Identifier: MIT */
/*
 * Near: the memory node of the disk below a path.
 *
 * The kernel shows each block device as a folder, and which kind it is by what
 * stands there:
 *
 *     partition       has a file `partition`; its disk is the folder above
 *     dm, md ...      names the devices that it lies on in the folder `slaves`
 *     nvme, shared    lies in a folder nvme-subsys*, beside the controllers that lead to it
 *     loop            names the file that it lies in
 *     disk            some folder above it has a file `numa_node`
 *
 * So the search goes from the path down to all disks below it. Only if they are
 * of one node there is an answer; else there is a reason why there is none.
 */
#ifndef RTI_SHARD_NEAR_H
#define RTI_SHARD_NEAR_H

#include <stdint.h>

#include "base/log.h"

#define RTI_NEAR_DISKS_MAX  64
#define RTI_NEAR_NAME_BYTES 32 /* of a disk; DISK_NAME_LEN of the kernel */

struct rti_near {
    int32_t node;   /* of all disks below the path; -1: not known */
    char text[512]; /* "nvme0n1 on node 1"; or why it is not known */
    char disks[RTI_NEAR_DISKS_MAX * (RTI_NEAR_NAME_BYTES + 1)]; /* their names, or "": not known */
};

/*
 * Of a path: a block device, or a file or folder of any file system. 0, also when the node is not
 * known; or -errno when the path cannot be looked at, having said so.
 *
 * `root` stands before /sys; "" but for tests.
 */
int rti_near_find(struct rti_near *out, const char *path, const char *root,
                  const struct rti_log *log);

/* Of a block device by its numbers. */
void rti_near_look(struct rti_near *out, uint32_t major, uint32_t minor, const char *root);

#endif /* RTI_SHARD_NEAR_H */
