/* SPDX-License-Identifier: MIT */
/*
 * Harness: what tests that run inside tasks need.
 *
 * A failed assertion of cmocka leaves the test function by longjmp. On a
 * fiber that would jump off the stack, so code in tasks uses T_CHECK: it
 * prints what failed and where, and the test function asserts at its end that
 * nothing did:
 *
 *     T_CHECK(rt_join(task, &result, RT_NEVER) == 0);     in a task
 *     assert_int_equal(t_failures(), 0);                  in the test function
 */
#ifndef RT_TEST_HARNESS_H
#define RT_TEST_HARNESS_H

#include <setjmp.h> /* cmocka.h needs these four */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>

#define T_EXIT_SKIPPED 77

static unsigned t_failure_count;

static inline void t_fail(const char *condition, const char *file, int line)
{
    t_failure_count++;
    if (t_failure_count <= 10) {
        fprintf(stderr, "%s:%d: check failed: %s\n", file, line, condition);
    }
}

#define T_CHECK(condition) ((condition) ? (void)0 : t_fail(#condition, __FILE__, __LINE__))

/* Failures since the last call. */
static inline unsigned t_failures(void)
{
    const unsigned count = t_failure_count;

    t_failure_count = 0;
    return count;
}

/* Descriptors that this process has open. */
static inline unsigned t_open_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    unsigned count = 0;

    if (directory != NULL) {
        while (readdir(directory) != NULL) {
            count++;
        }
        closedir(directory);
    }
    return count;
}

/* Mappings that this process has. */
static inline unsigned t_mappings(void)
{
    FILE *file = fopen("/proc/self/maps", "re");
    unsigned count = 0;
    int c;

    if (file != NULL) {
        while ((c = fgetc(file)) != EOF) {
            count += c == '\n';
        }
        fclose(file);
    }
    return count;
}

/* The first two CPUs that this process may use, or what of them there is: the others stay. */
static inline void t_first_cpus(int32_t cpus[2])
{
    cpu_set_t allowed;
    unsigned found = 0;

    CPU_ZERO(&allowed);
    (void)sched_getaffinity(0, sizeof(allowed), &allowed);
    for (int32_t cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++) {
        if (CPU_ISSET((size_t)cpu, &allowed)) {
            cpus[found++] = cpu;
        }
    }
}

#endif /* RT_TEST_HARNESS_H */
