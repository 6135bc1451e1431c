/* SPDX-License-Identifier: MIT */
/*
 * The memory node below a device, read from made-up trees of /sys below a folder
 * of the test's own: each kind of device in the layout that the kernel gives it.
 * Then paths of this machine, and every system call failing in turn.
 */
#include "shard/near.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "support/ear.h"
#include "support/fault.h"
#include "support/folder.h"
#include "support/harness.h"

#define PCI "/sys/devices/pci0000:00/0000:00:"

static int set_up(void **state)
{
    memset(&heard, 0, sizeof(heard));
    return folder_make(state);
}

__attribute__((format(printf, 2, 3))) static void put_file(const char *text, const char *format,
                                                           ...)
{
    char name[256];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(name, sizeof(name), format, arguments);
    va_end(arguments);
    folder_put(name + strlen("/"), text);
}

/* A block device with its number, in the folder that it has on such a machine. */
static void put_device(const char *number, const char *folder)
{
    char name[64];
    char path[PATH_MAX];
    char target[PATH_MAX];

    put_file(number, "%s/dev", folder);
    snprintf(name, sizeof(name), "/sys/dev/block/%s", number);
    folder_make_way(path, name + strlen("/"));
    snprintf(target, sizeof(target), "../..%s", folder + strlen("/sys"));
    assert_int_equal(symlink(target, path), 0);
}

/* It lies on another. The kernel has a link here, to a folder which has the number. */
static void put_member(const char *folder, const char *name, const char *number)
{
    put_file(number, "%s/slaves/%s/dev", folder, name);
}

/* Disks nvme0n1 (259:0, with partitions 259:1 and 259:2) and nvme1n1 (259:3) of two nodes. */
static void put_disks(const char *node_0, const char *node_1)
{
    put_file(node_0, PCI "01.0/numa_node");
    put_device("259:0", PCI "01.0/nvme/nvme0/nvme0n1");
    put_device("259:1", PCI "01.0/nvme/nvme0/nvme0n1/nvme0n1p1");
    put_file("1\n", PCI "01.0/nvme/nvme0/nvme0n1/nvme0n1p1/partition");
    put_device("259:2", PCI "01.0/nvme/nvme0/nvme0n1/nvme0n1p2");
    put_file("2\n", PCI "01.0/nvme/nvme0/nvme0n1/nvme0n1p2/partition");
    put_file(node_1, PCI "02.0/numa_node");
    put_device("259:3", PCI "02.0/nvme/nvme1/nvme1n1");
}

static void put_virtual(const char *number, const char *name)
{
    char folder[64];

    snprintf(folder, sizeof(folder), "/sys/devices/virtual/block/%s", name);
    put_device(number, folder);
}

static void assert_disks(uint32_t major, uint32_t minor, const char *disks)
{
    struct rti_near near;

    rti_near_look(&near, major, minor, folder_path);
    assert_string_equal(near.disks, disks);
}

static void assert_near(uint32_t major, uint32_t minor, int32_t node, const char *text)
{
    const unsigned descriptors = t_open_descriptors();
    struct rti_near near;

    memset(&near, 'x', sizeof(near));
    rti_near_look(&near, major, minor, folder_path);
    assert_string_equal(near.text, text);
    assert_int_equal(near.node, node);
    assert_int_equal(t_open_descriptors(), descriptors);
}

static void a_disk_is_near_the_node_of_the_nearest_folder_above_that_has_one(void **state)
{
    (void)state;
    put_disks("0\n", "1\n");
    assert_near(259, 0, 0, "nvme0n1 on node 0");
    assert_near(259, 3, 1, "nvme1n1 on node 1");
    put_file("0\n", PCI "03.0/numa_node"); /* a bridge, and a disk controller behind it */
    put_file("1\n", PCI "03.0/0000:03:00.0/numa_node");
    put_device("8:0", PCI "03.0/0000:03:00.0/ata1/host0/target0:0:0/0:0:0:0/block/sda");
    assert_near(8, 0, 1, "sda on node 1");
}

static void a_partition_is_where_its_disk_is(void **state)
{
    (void)state;
    put_disks("1\n", "0\n");
    assert_near(259, 2, 1, "nvme0n1 on node 1");
}

static void a_disk_of_a_virtual_machine_has_no_node_and_it_is_said(void **state)
{
    (void)state;
    put_file("-1\n", PCI "02.0/numa_node");
    put_device("254:0", PCI "02.0/virtio1/block/vda");
    assert_near(254, 0, -1, "the kernel knows no memory node of vda");
    assert_disks(254, 0, "vda");   /* which is known all the same */
    put_virtual("253:0", "zram0"); /* nothing above has the file at all */
    assert_near(253, 0, -1, "the kernel knows no memory node of zram0");
}

static void a_mapped_device_is_where_all_its_disks_are(void **state)
{
    (void)state;
    put_disks("1\n", "1\n");
    put_virtual("252:0", "dm-0"); /* two partitions of one disk */
    put_member("/sys/devices/virtual/block/dm-0", "nvme0n1p1", "259:1\n");
    put_member("/sys/devices/virtual/block/dm-0", "nvme0n1p2", "259:2\n");
    assert_near(252, 0, 1, "dm-0 (nvme0n1) on node 1");
    assert_disks(252, 0, "nvme0n1");
    put_virtual("252:1", "dm-1"); /* one on another */
    put_member("/sys/devices/virtual/block/dm-1", "dm-0", "252:0\n");
    assert_near(252, 1, 1, "dm-1 (nvme0n1) on node 1");
    put_virtual("9:0", "md0");
    put_member("/sys/devices/virtual/block/md0", "nvme1n1", "259:3\n");
    assert_near(9, 0, 1, "md0 (nvme1n1) on node 1");
    put_virtual("9:1", "md1");
    put_member("/sys/devices/virtual/block/md1", "dm-1", "252:1\n");
    put_member("/sys/devices/virtual/block/md1", "nvme1n1", "259:3\n");
    put_device("9:2", "/sys/devices/virtual/block/md1/md1p1"); /* its partition */
    put_file("1\n", "/sys/devices/virtual/block/md1/md1p1/partition");
    for (uint32_t minor = 1; minor <= 2; minor++) { /* names of a folder come in any order */
        struct rti_near near;

        rti_near_look(&near, 9, minor, folder_path);
        assert_int_equal(near.node, 1);
        assert_true(strcmp(near.text, "md1 (nvme0n1, nvme1n1) on node 1") == 0 ||
                    strcmp(near.text, "md1 (nvme1n1, nvme0n1) on node 1") == 0);
    }
}

static void disks_of_several_nodes_are_near_none(void **state)
{
    struct rti_near near;

    (void)state;
    put_disks("0\n", "1\n");
    put_virtual("252:0", "dm-0");
    put_member("/sys/devices/virtual/block/dm-0", "nvme0n1p1", "259:1\n");
    put_member("/sys/devices/virtual/block/dm-0", "nvme1n1", "259:3\n");
    rti_near_look(&near, 252, 0, folder_path);
    assert_int_equal(near.node, -1);
    assert_true(strcmp(near.text, "dm-0 lies on nvme0n1 (node 0) and on nvme1n1 (node 1)") == 0 ||
                strcmp(near.text, "dm-0 lies on nvme1n1 (node 1) and on nvme0n1 (node 0)") == 0);
}

static void one_disk_without_a_node_makes_the_whole_unknown(void **state)
{
    (void)state;
    put_disks("0\n", "-1\n");
    put_virtual("9:0", "md0");
    put_member("/sys/devices/virtual/block/md0", "nvme0n1", "259:0\n");
    put_member("/sys/devices/virtual/block/md0", "nvme1n1", "259:3\n");
    assert_near(9, 0, -1, "the kernel knows no memory node of nvme1n1");
}

/* A disk with two ports is shown apart from its controllers, which have the nodes. */
static void a_shared_nvme_disk_is_where_its_controllers_are(void **state)
{
    (void)state;
    put_device("259:7", "/sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1");
    put_device("259:8", "/sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1/nvme0n1p1");
    put_file("1\n", "/sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1/nvme0n1p1/partition");
    put_file("1\n", "/sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme3/numa_node");
    assert_near(259, 7, 1, "nvme0n1 (nvme3) on node 1");
    assert_disks(259, 7, "nvme3");
    assert_near(259, 8, 1, "nvme0n1 (nvme3) on node 1");
    put_file("-1\n", "/sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme4/numa_node");
    assert_near(259, 7, -1, "the kernel knows no memory node of nvme4");
}

static void a_loop_device_names_its_file(void **state)
{
    (void)state;
    put_virtual("7:0", "loop0");
    put_file("/data/disk.img\n", "/sys/devices/virtual/block/loop0/loop/backing_file");
    assert_disks(7, 0, "");
    assert_near(7, 0, -1, "loop0 lies in the file /data/disk.img, which can be named instead");
}

static void what_the_kernel_does_not_show_is_unknown(void **state)
{
    char expected[512];

    (void)state;
    snprintf(expected, sizeof(expected),
             "%s/sys/dev/block/8:3 cannot be read: No such file or directory", folder_path);
    assert_near(8, 3, -1, expected);
    put_virtual("252:0", "dm-0"); /* a member that is not shown, as in some containers */
    put_member("/sys/devices/virtual/block/dm-0", "sda", "8:3\n");
    assert_near(252, 0, -1, expected);
}

/* Of a wide array not all disks are named; and one that is too wide is said to be. */
static void a_wide_array_is_cut_in_the_text_only(void **state)
{
    struct rti_near near;

    (void)state;
    put_virtual("9:0", "md0");
    for (int i = 0; i < 63; i++) {
        char number[16];
        char folder[64];
        char name[16];

        snprintf(number, sizeof(number), "8:%d", i);
        snprintf(name, sizeof(name), "disk%d", i);
        snprintf(folder, sizeof(folder), PCI "02.0/block/%s", name);
        put_device(number, folder);
        put_member("/sys/devices/virtual/block/md0", name, number);
    }
    put_file("1\n", PCI "02.0/numa_node");
    rti_near_look(&near, 9, 0, folder_path);
    assert_int_equal(near.node, 1);
    assert_memory_equal(near.text, "md0 (disk", strlen("md0 (disk"));
    assert_non_null(strstr(near.text, " and 57 more) on node 1"));
    put_member("/sys/devices/virtual/block/md0", "one_more", "8:63\n");
    assert_near(9, 0, -1, "md0 lies on more than 63 devices");
}

static void a_path_that_is_not_there_is_an_error(void **state)
{
    const char *path = folder_file("gone");
    struct rti_near near;
    char expected[4096 + 512];

    (void)state;
    snprintf(expected, sizeof(expected),
             "near \"%s\": No such file or directory; it must be a file, a folder or a block "
             "device that is there",
             path);
    assert_int_equal(rti_near_find(&near, path, folder_path, &ear), -ENOENT);
    assert_int_equal(heard.lines, 1);
    assert_string_equal(heard.text, expected);
}

static void a_file_system_without_a_device_is_named(void **state)
{
    struct rti_near near;

    (void)state;
    assert_int_equal(rti_near_find(&near, "/proc/self/status", folder_path, &ear), 0);
    assert_int_equal(near.node, -1);
    assert_string_equal(near.text, "proc has no block device of its own");
    assert_int_equal(rti_near_find(&near, "/sys", folder_path, &ear), 0);
    assert_string_equal(near.text, "sysfs has no block device of its own");
    assert_int_equal(heard.lines, 0);
}

/* With the device of the test's own folder put where the kernel would show it. */
static void a_file_is_where_its_file_system_is(void **state)
{
    struct rti_near near;
    struct stat found;
    char number[32];

    (void)state;
    assert_int_equal(stat(folder_path, &found), 0);
    if (major(found.st_dev) == 0) {
        skip(); /* /tmp has no block device here */
    }
    snprintf(number, sizeof(number), "%u:%u", major(found.st_dev), minor(found.st_dev));
    put_file("3\n", PCI "05.0/numa_node");
    put_device(number, PCI "05.0/virtio3/block/vdz");
    put_file("", "/file");
    for (int i = 0; i < 2; i++) {
        char path[PATH_MAX];

        snprintf(path, sizeof(path), "%s%s", folder_path, i == 0 ? "" : "/file");
        assert_int_equal(rti_near_find(&near, path, folder_path, &ear), 0);
        assert_string_equal(near.text, "vdz on node 3");
        assert_int_equal(near.node, 3);
    }
}

/* A failed call makes an answer unknown, or, of the path itself, is an error; never another one. */
static void whatever_call_fails_no_wrong_node_is_told(void **state)
{
    const unsigned descriptors = t_open_descriptors();
    struct rti_near whole;
    bool hit = true;

    (void)state;
    put_disks("1\n", "1\n");
    put_virtual("252:0", "dm-0");
    put_member("/sys/devices/virtual/block/dm-0", "nvme0n1p1", "259:1\n");
    put_member("/sys/devices/virtual/block/dm-0", "nvme1n1", "259:3\n");
    rti_near_look(&whole, 252, 0, folder_path);
    for (unsigned n = 1; hit; n++) {
        struct rti_near near;

        fault_begin(n);
        rti_near_look(&near, 252, 0, folder_path);
        hit = fault_end();
        if (hit && strcmp(fault_name(), "rti_sys_close") != 0) { /* all was read by then */
            assert_int_equal(near.node, -1);
            assert_non_null(strstr(near.text, "cannot be read: "));
        } else {
            assert_string_equal(near.text, whole.text);
            assert_int_equal(near.node, 1);
            assert_true(hit || n > 10); /* links, folders, their names, files */
        }
        assert_int_equal(t_open_descriptors(), descriptors);
    }
    for (unsigned n = 1; n <= 2; n++) {
        struct rti_near near;
        int r;

        fault_begin(n);
        r = rti_near_find(&near, "/proc", folder_path, &ear);
        assert_true(fault_end());
        assert_int_equal(r, n == 1 ? -EACCES : 0);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, folder_remove)
    const struct CMUnitTest tests[] = {
        TEST(a_disk_is_near_the_node_of_the_nearest_folder_above_that_has_one),
        TEST(a_partition_is_where_its_disk_is),
        TEST(a_disk_of_a_virtual_machine_has_no_node_and_it_is_said),
        TEST(a_mapped_device_is_where_all_its_disks_are),
        TEST(disks_of_several_nodes_are_near_none),
        TEST(one_disk_without_a_node_makes_the_whole_unknown),
        TEST(a_shared_nvme_disk_is_where_its_controllers_are),
        TEST(a_loop_device_names_its_file),
        TEST(what_the_kernel_does_not_show_is_unknown),
        TEST(a_wide_array_is_cut_in_the_text_only),
        TEST(a_path_that_is_not_there_is_an_error),
        TEST(a_file_system_without_a_device_is_named),
        TEST(a_file_is_where_its_file_system_is),
        TEST(whatever_call_fails_no_wrong_node_is_told),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
