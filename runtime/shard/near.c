/* SPDX-License-Identifier: MIT */
/* Near: see near.h. */
#include "shard/near.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "os/sys.h"

#define DISKS_NAMED  6   /* of them, in the text */
#define FOLDER_BYTES 512 /* of a name below /sys; bridges in a row make them long */

struct number {
    uint32_t major;
    uint32_t minor;
};

struct disk {
    char name[RTI_NEAR_NAME_BYTES];
    int32_t node;
};

struct walk {
    struct rti_near *near;
    const char *root;
    size_t top;    /* length of "<root>/sys/devices", above which nothing is looked at */
    bool is_ended; /* there will be no answer, and near->text says why */
    uint32_t device_count;
    uint32_t disk_count;
    struct number devices[RTI_NEAR_DISKS_MAX]; /* the first is that of the path; then those below */
    struct disk disks[RTI_NEAR_DISKS_MAX];     /* that were found */
    char name[RTI_NEAR_NAME_BYTES];            /* of the first device */
};

/* No answer. The first reason counts. */
__attribute__((format(printf, 2, 3))) static void end(struct walk *walk, const char *format, ...)
{
    va_list arguments;

    if (walk->is_ended) {
        return;
    }
    walk->is_ended = true;
    va_start(arguments, format);
    (void)vsnprintf(walk->near->text, sizeof(walk->near->text), format, arguments);
    va_end(arguments);
}

static void end_unread(struct walk *walk, const char *path, int error)
{
    end(walk, "%s cannot be read: %s", path, strerrordesc_np(-error));
}

static int join(char *path, const char *folder, const char *name)
{
    const int n = snprintf(path, FOLDER_BYTES, "%s/%s", folder, name);

    return n < 0 || n >= FOLDER_BYTES ? -ENAMETOOLONG : 0;
}

/* The first line of a file; false when there is no such file, or none that can be read. */
static bool read_line(struct walk *walk, const char *folder, const char *name, char *text,
                      size_t bytes)
{
    char path[FOLDER_BYTES];
    ssize_t n = join(path, folder, name);
    int fd;

    if (n == 0) {
        fd = rti_sys_open_to_read(path);
        n = fd < 0 ? fd : rti_sys_read(fd, text, bytes - 1);
        if (fd >= 0) {
            (void)rti_sys_close(fd);
        }
    }
    if (n < 0) {
        if (n != -ENOENT) {
            end_unread(walk, path, (int)n);
        }
        return false;
    }
    text[n] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return true;
}

static void add_device(struct walk *walk, const char *text)
{
    char *colon;
    const uint32_t major = (uint32_t)strtoul(text, &colon, 10);
    const uint32_t minor = (uint32_t)strtoul(colon + (*colon == ':'), NULL, 10);

    for (uint32_t i = 0; i < walk->device_count; i++) {
        if (walk->devices[i].major == major && walk->devices[i].minor == minor) {
            return;
        }
    }
    if (walk->device_count == RTI_NEAR_DISKS_MAX) {
        end(walk, "%s lies on more than %d devices", walk->name, RTI_NEAR_DISKS_MAX - 1);
        return;
    }
    walk->devices[walk->device_count++] = (struct number){ major, minor };
}

static void add_disk(struct walk *walk, const char *name, int32_t node)
{
    struct disk *disk = &walk->disks[walk->disk_count];

    for (uint32_t i = 0; i < walk->disk_count; i++) {
        if (strcmp(walk->disks[i].name, name) == 0) {
            return; /* several partitions of one disk */
        }
    }
    if (walk->disk_count == RTI_NEAR_DISKS_MAX) {
        end(walk, "%s lies on more than %d disks", walk->name, RTI_NEAR_DISKS_MAX);
        return;
    }
    (void)snprintf(disk->name, sizeof(disk->name), "%.*s", RTI_NEAR_NAME_BYTES - 1, name);
    disk->node = node;
    walk->disk_count++;
}

/* What to do with one name of a folder. */
typedef void (*take_fn)(struct walk *walk, const char *folder, const char *name);

static void take_names(struct walk *walk, const char *folder, const char *names, size_t bytes,
                       take_fn take)
{
    for (size_t at = 0; at < bytes;) {
        const struct dirent64 *entry = (const void *)(names + at);

        if (entry->d_name[0] != '.') {
            take(walk, folder, entry->d_name);
        }
        at += entry->d_reclen;
    }
}

/* A folder that is not there has no names. */
static void list(struct walk *walk, const char *folder, take_fn take)
{
    _Alignas(struct dirent64) char names[2048];
    const int fd = rti_sys_open_to_read(folder);
    ssize_t n = fd;

    while (fd >= 0 && (n = rti_sys_getdents(fd, names, sizeof(names))) > 0) {
        take_names(walk, folder, names, (size_t)n, take);
    }
    if (fd >= 0) {
        (void)rti_sys_close(fd);
    }
    if (n < 0 && n != -ENOENT) {
        end_unread(walk, folder, (int)n);
    }
}

static void take_member(struct walk *walk, const char *slaves, const char *name)
{
    char folder[FOLDER_BYTES];
    char number[32];

    if (join(folder, slaves, name) == 0 && read_line(walk, folder, "dev", number, sizeof(number))) {
        add_device(walk, number);
    } else {
        end(walk, "%s/%s has no number", slaves, name);
    }
}

/* "nvme0" is a controller; "nvme0n1", beside it, a disk. */
static void take_controller(struct walk *walk, const char *subsystem, const char *name)
{
    char folder[FOLDER_BYTES];
    char node[32];

    if (strncmp(name, "nvme", 4) != 0 || name[4 + strspn(name + 4, "0123456789")] != '\0') {
        return;
    }
    if (join(folder, subsystem, name) == 0 &&
        read_line(walk, folder, "numa_node", node, sizeof(node))) {
        add_disk(walk, name, (int32_t)strtol(node, NULL, 10));
    } else {
        end(walk, "the kernel knows no memory node of %s", name);
    }
}

/* The node of the nearest folder above that has one, or -1. Changes `folder`. */
static int32_t node_above(struct walk *walk, char *folder)
{
    char node[32];

    while (strlen(folder) > walk->top) {
        if (read_line(walk, folder, "numa_node", node, sizeof(node))) {
            return (int32_t)strtol(node, NULL, 10);
        }
        *strrchr(folder, '/') = '\0';
    }
    return -1;
}

/* The folder of a device, or of the disk that it is a partition of. */
static bool find_folder(struct walk *walk, const struct number *number, char *folder)
{
    char link[FOLDER_BYTES];
    char partition[8];
    const char *devices;
    ssize_t n = snprintf(folder, FOLDER_BYTES, "%s/sys/dev/block/%u:%u", walk->root, number->major,
                         number->minor);

    n = n >= FOLDER_BYTES ? -ENAMETOOLONG
                          : rti_sys_readlink(AT_FDCWD, folder, link, sizeof(link) - 1);
    if (n < 0) {
        end_unread(walk, folder, (int)n);
        return false;
    }
    link[n] = '\0';
    devices = strstr(link, "/devices/"); /* "../../devices/pci0000:00/..." */
    n = devices == NULL ? -1 : snprintf(folder, FOLDER_BYTES, "%s/sys%s", walk->root, devices);
    if (n < 0 || n >= FOLDER_BYTES) {
        end(walk, "the link of block device %u:%u to \"%s\" is not understood", number->major,
            number->minor, link);
        return false;
    }
    if (read_line(walk, folder, "partition", partition, sizeof(partition))) {
        *strrchr(folder, '/') = '\0';
    }
    return true;
}

/* Find what the device lies on: devices to look at next, or a disk. */
static void look_at(struct walk *walk, const struct number *number)
{
    const uint32_t devices = walk->device_count;
    char folder[FOLDER_BYTES];
    char text[FOLDER_BYTES];
    char name[RTI_NEAR_NAME_BYTES];
    char *slash;

    if (!find_folder(walk, number, folder)) {
        return;
    }
    slash = strrchr(folder, '/');
    (void)snprintf(name, sizeof(name), "%.*s", RTI_NEAR_NAME_BYTES - 1, slash + 1);
    if (number == walk->devices) {
        memcpy(walk->name, name, sizeof(name));
    }
    if (join(text, folder, "slaves") == 0) {
        list(walk, text, take_member);
    }
    if (walk->device_count > devices || walk->is_ended) {
        return;
    }
    if (read_line(walk, folder, "loop/backing_file", text, sizeof(text))) {
        end(walk, "%s lies in the file %s, which can be named instead", name, text);
        return;
    }
    *slash = '\0';
    if (strstr(folder, "/nvme-subsys") != NULL) {
        list(walk, folder, take_controller);
    } else {
        add_disk(walk, name, node_above(walk, folder));
    }
}

/* "nvme0n1", or "dm-0 (nvme0n1, nvme1n1)". */
static void name_disks(const struct walk *walk, char *text, size_t bytes)
{
    size_t used = (size_t)snprintf(text, bytes, "%s", walk->name);

    if (walk->disk_count == 1 && strcmp(walk->disks[0].name, walk->name) == 0) {
        return;
    }
    for (uint32_t i = 0; i < walk->disk_count && i < DISKS_NAMED; i++) {
        used += (size_t)snprintf(text + used, bytes - used, "%s%s", i == 0 ? " (" : ", ",
                                 walk->disks[i].name);
    }
    if (walk->disk_count > DISKS_NAMED) {
        used += (size_t)snprintf(text + used, bytes - used, " and %u more",
                                 walk->disk_count - DISKS_NAMED);
    }
    (void)snprintf(text + used, bytes - used, ")");
}

/* All disks must have a node, and the same. */
static void compare(struct walk *walk)
{
    const struct disk *first = &walk->disks[0];

    for (uint32_t i = 0; i < walk->disk_count; i++) {
        const struct disk *disk = &walk->disks[i];

        if (disk->node < 0) {
            end(walk, "the kernel knows no memory node of %s", disk->name);
        }
    }
    for (uint32_t i = 1; i < walk->disk_count; i++) {
        const struct disk *disk = &walk->disks[i];

        if (disk->node != first->node) {
            end(walk, "%s lies on %s (node %d) and on %s (node %d)", walk->name, first->name,
                first->node, disk->name, disk->node);
        }
    }
}

static void conclude(struct walk *walk)
{
    struct rti_near *near = walk->near;
    char names[(DISKS_NAMED + 2) * (RTI_NEAR_NAME_BYTES + 2)];
    size_t used = 0;

    if (walk->disk_count == 0) {
        end(walk, "nothing that %s lies on is to be seen", walk->name);
    }
    if (walk->is_ended) { /* and others may not have been seen */
        return;
    }
    for (uint32_t i = 0; i < walk->disk_count; i++) {
        used += (size_t)snprintf(near->disks + used, sizeof(near->disks) - used, "%s%s",
                                 i == 0 ? "" : " ", walk->disks[i].name);
    }
    compare(walk);
    if (!walk->is_ended) {
        name_disks(walk, names, sizeof(names));
        near->node = walk->disks[0].node;
        (void)snprintf(near->text, sizeof(near->text), "%s on node %d", names, near->node);
    }
}

void rti_near_look(struct rti_near *out, uint32_t major, uint32_t minor, const char *root)
{
    struct walk walk = { .near = out, .root = root };

    out->node = -1;
    out->disks[0] = '\0';
    walk.top = strlen(root) + strlen("/sys/devices");
    walk.devices[walk.device_count++] = (struct number){ major, minor };
    for (uint32_t i = 0; i < walk.device_count && !walk.is_ended; i++) {
        look_at(&walk, &walk.devices[i]);
    }
    conclude(&walk);
}

/* File systems that lie on no block device, or on several of their own choice. */
static const char *file_system_name(uint32_t magic)
{
    static const struct {
        uint32_t magic;
        const char *name;
    } known[] = {
        { TMPFS_MAGIC, "tmpfs" },
        { OVERLAYFS_SUPER_MAGIC, "overlay" },
        { BTRFS_SUPER_MAGIC, "btrfs" },
        { NFS_SUPER_MAGIC, "nfs" },
        { PROC_SUPER_MAGIC, "proc" },
        { SYSFS_MAGIC, "sysfs" },
        { V9FS_MAGIC, "9p" },
        { CEPH_SUPER_MAGIC, "ceph" },
        { SMB2_SUPER_MAGIC, "cifs" },
        { FUSE_SUPER_MAGIC, "fuse" },
        { RAMFS_MAGIC, "ramfs" },
        { HUGETLBFS_MAGIC, "hugetlbfs" },
        { 0x2fc12fc1 /* not in that header */, "zfs" },
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i].magic == magic) {
            return known[i].name;
        }
    }
    return "the file system";
}

int rti_near_find(struct rti_near *out, const char *path, const char *root,
                  const struct rti_log *log)
{
    struct stat found;
    struct statfs system;
    dev_t device;
    int r = rti_sys_stat(path, &found);

    if (r < 0) {
        rti_log(log, RT_LOG_ERROR,
                "near \"%s\": %s; it must be a file, a folder or a block device that is there",
                path, strerrordesc_np(-r));
        return r;
    }
    device = S_ISBLK(found.st_mode) ? found.st_rdev : found.st_dev;
    if (major(device) != 0) {
        rti_near_look(out, major(device), minor(device), root);
        return 0;
    }
    r = rti_sys_statfs(path, &system);
    out->node = -1;
    out->disks[0] = '\0';
    (void)snprintf(out->text, sizeof(out->text), "%s has no block device of its own",
                   r < 0 ? "the file system" : file_system_name((uint32_t)system.f_type));
    return 0;
}
