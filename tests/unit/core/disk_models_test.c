/* SPDX-License-Identifier: MIT */
/*
 * Disk models: what is read of a text, and what is said about a wrong one.
 *
 * Each wrong text differs from a right one in one place; the complaint must name the line of it.
 */
#include "core/disk_models.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "support/harness.h"

static char said[256];

static void keep_line(void *arg, enum rt_log_level level, const char *text)
{
    (void)arg;
    (void)level;
    snprintf(said, sizeof(said), "%s", text);
}

static const struct rti_log log_here = { .write = keep_line, .level = RT_LOG_WARNING };

static int parse(struct rti_disk_models *models, const char *text)
{
    char copy[512];

    said[0] = '\0';
    snprintf(copy, sizeof(copy), "%s", text);
    return rti_disk_models_parse(models, copy, "disks.conf", &log_here);
}

static const char right[] = "# a disk\n"
                            "\n"
                            "  [device 254:0]\r\n"
                            "read_request_ns = 7190\n"
                            "read_byte_ps=433\n"
                            "read_saturation_depth = 64\n"
                            "capacity_ns =1829000\n"
                            "[device 8:16]\n"
                            "capacity_ns = 1\n"
                            "read_request_ns = 1\n"
                            "read_byte_ps = 2\n"
                            "write_request_ns = 3\n"
                            "write_byte_ps = 4\n";

static void each_device_has_its_figures(void **state)
{
    struct rti_disk_models models;
    const struct rti_disk_figures *figures;

    (void)state;
    assert_int_equal(parse(&models, right), 0);
    assert_int_equal(models.count, 2);
    figures = rti_disk_models_find(&models, 254ull << 32);
    assert_non_null(figures);
    assert_int_equal(figures->request_ns[0], 7190);
    assert_int_equal(figures->byte_ps[0], 433);
    assert_int_equal(figures->request_ns[1], 7190); /* as reads */
    assert_int_equal(figures->byte_ps[1], 433);
    assert_int_equal(figures->capacity_ns, 1829000);
    figures = rti_disk_models_find(&models, (8ull << 32) | 16);
    assert_non_null(figures);
    assert_int_equal(figures->request_ns[1], 3);
    assert_int_equal(figures->byte_ps[1], 4);
    assert_null(rti_disk_models_find(&models, 8ull << 32));
    rti_disk_models_fini(&models);
    assert_int_equal(parse(&models, ""), 0);
    assert_int_equal(models.count, 0);
}

static void what_is_wrong_is_named_with_its_line(void **state)
{
    static const struct {
        const char *text;
        const char *says;
    } cases[] = {
        { "capacity_ns = 1\n", "line 1: stands before the first section" },
        { "\n[device vda]\n", "line 2: expected a section" },
        { "[device 1:2] \nfoo = 3\n", "line 2: no key is called: foo" },
        { "[device 1:2]\ncapacity_ns = -1\n", "line 2: expected KEY" },
        { "[device 1:2]\ncapacity_ns = 1.5\n", "line 2: expected KEY" },
        { "[device 1:2]\ncapacity_ns\n", "line 2: expected KEY" },
        { "[device 1:2]\ncapacity_ns = 100000000001\n", "line 2: larger than" },
        { "[device 1:2]\ncapacity_ns = 1\ncapacity_ns = 1\n", "line 3: this stands above" },
        { "[device 1:2]\ncapacity_ns = 1\nread_byte_ps = 1\n", "line 1: this device lacks a line" },
        { "[device 1:2]\n[device 1:3]\n", "line 1: this device lacks a line" },
        { "[device 1:2]\ncapacity_ns=0\nread_byte_ps=1\nread_request_ns=1\n", "line 1: a device" },
        { "[device 1:2]\ncapacity_ns=1\nread_byte_ps=1\nread_request_ns=1\nwrite_byte_ps=1\n",
          "line 1: this device has one of" },
        { "[device 1:2]\ncapacity_ns=1\nread_byte_ps=1\nread_request_ns=1\n[device 1:2]\n",
          "line 5: the device stands above" },
    };
    struct rti_disk_models models;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(parse(&models, cases[i].text), -EINVAL);
        if (strstr(said, cases[i].says) == NULL || strstr(said, "disks.conf, ") != said) {
            fail_msg("case %zu says: %s", i, said);
        }
        rti_disk_models_fini(&models);
    }
}

static void a_file_that_is_not_there_is_named(void **state)
{
    struct rti_disk_models models;

    (void)state;
    said[0] = '\0';
    assert_int_equal(rti_disk_models_read(&models, "nowhere/disks.conf", &log_here), -ENOENT);
    assert_non_null(strstr(said, "nowhere/disks.conf"));
    assert_int_equal(rti_disk_models_read(&models, NULL, &log_here), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_device_has_its_figures),
        cmocka_unit_test(what_is_wrong_is_named_with_its_line),
        cmocka_unit_test(a_file_that_is_not_there_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
