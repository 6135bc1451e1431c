/* SPDX-License-Identifier: MIT */
/*
 * The kernel's threads for I/O run where config.io_worker_place says, on the real kernel.
 *
 * Method: a shard on a CPU asks for an fsync, which the kernel always gives to such a
 * thread. It is found among the threads of the process by its name, and asked for the CPUs
 * that it may use. Each shard has a thread of its own, since these threads belong to it, and
 * not to its ring: those of the first would serve the second.
 */
#include "support/harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rt/rt.h"

struct answer {
    cpu_set_t set; /* of the worker */
    bool found;
};

struct shard {
    struct rt_config config;
    struct answer answer;
    int result;
};

static bool is_worker(int folder, const char *thread)
{
    char path[280];
    char name[32] = "";
    int fd;

    snprintf(path, sizeof(path), "%s/comm", thread);
    fd = openat(folder, path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!read(fd, name, sizeof(name) - 1);
        (void)close(fd);
    }
    return strncmp(name, "iou-wrk", 7) == 0;
}

static void look_for_worker(struct answer *answer)
{
    DIR *folder = opendir("/proc/self/task");
    const struct dirent *entry;

    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) {
        if (is_worker(dirfd(folder), entry->d_name)) {
            const pid_t worker = (pid_t)strtol(entry->d_name, NULL, 10);

            assert_int_equal(sched_getaffinity(worker, sizeof(answer->set), &answer->set), 0);
            answer->found = true;
        }
    }
    (void)closedir(folder);
}

static int sync_a_file(void *arg)
{
    struct rt_file *file;

    T_CHECK(rt_file_open(&file, ".", O_TMPFILE | O_RDWR, 0600, RT_NEVER) == 0);
    T_CHECK(rt_file_sync(file, RT_NEVER) == 0);
    look_for_worker(arg); /* it waits some seconds for more to do */
    rt_file_close(file);
    return 0;
}

static void *run_shard(void *arg)
{
    struct shard *shard = arg;

    shard->result = rt_run(&shard->config, sync_a_file, &shard->answer);
    return NULL;
}

static struct answer worker_of(unsigned cpu, enum rt_io_worker_place place)
{
    struct shard shard = { .config = RT_CONFIG_INIT, .result = -1 };
    pthread_t thread;
    char text[16];

    snprintf(text, sizeof(text), "%u", cpu);
    shard.config.cpus = text;
    shard.config.io_worker_place = place;
    assert_int_equal(pthread_create(&thread, NULL, run_shard, &shard), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(shard.result, 0);
    assert_true(shard.answer.found);
    return shard.answer;
}

static unsigned first_of(const cpu_set_t *set)
{
    unsigned cpu = 0;

    while (!CPU_ISSET(cpu, set)) {
        cpu++;
    }
    return cpu;
}

static void it_runs_on_the_shards_cpu(void **state)
{
    struct answer answer;
    cpu_set_t allowed;
    unsigned cpu;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
    cpu = first_of(&allowed);
    answer = worker_of(cpu, RT_IO_WORKER_SHARD);
    assert_int_equal(CPU_COUNT(&answer.set), 1);
    assert_true(CPU_ISSET(cpu, &answer.set));
}

static void it_runs_on_all_others(void **state)
{
    struct answer answer;
    cpu_set_t others;
    unsigned cpu;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof(others), &others), 0);
    cpu = first_of(&others);
    CPU_CLR(cpu, &others);
    if (CPU_COUNT(&others) == 0) {
        skip();
    }
    answer = worker_of(cpu, RT_IO_WORKER_OTHERS);
    assert_true(CPU_EQUAL(&answer.set, &others));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_runs_on_the_shards_cpu),
        cmocka_unit_test(it_runs_on_all_others),
    };

    (void)unsetenv("RT_DISABLE"); /* it would leave the place to the kernel */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
