/* SPDX-License-Identifier: MIT */
/*
 * For dump_process_test.py and gdb_commands_test.py: a program with a task in each
 * state, which dumps itself or is dumped by a signal. The first argument says what
 * it does:
 *
 *     states   shard 0 has a task in each state; dumps itself as JSON, then all shards
 *                as brief JSON, then itself as text, to standard output
 *     abort    the same, but aborts instead: for a debugger, or to leave a core file
 *     many     shard 0 has 5000 tasks that sleep; the same
 *     idle     both shards wait until SIGTERM
 *     stuck    the same, but a task of shard 1 computes until SIGUSR2
 *     stop     stops at once, with a task that does not heed its cancel until SIGUSR2
 *     run      one shard by rt_run(), which waits until SIGUSR2
 *
 * It says "ready" on standard output when all that is so.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rt/rt.h"

#define MANY 5000

static const char *mode;
static int released;     /* atomic, by SIGUSR2 */
static uint32_t settled; /* atomic: shards that are as the mode wants them */

static void release(int number)
{
    (void)number;
    __atomic_store_n(&released, 1, __ATOMIC_SEQ_CST);
}

static bool is_released(void)
{
    return __atomic_load_n(&released, __ATOMIC_SEQ_CST) != 0;
}

static void say_ready_when(uint32_t all)
{
    if (__atomic_add_fetch(&settled, 1, __ATOMIC_SEQ_CST) == all) {
        printf("ready\n");
        fflush(stdout);
    }
}

static int sleeper(void *arg)
{
    (void)arg;
    return rt_sleep_until(RT_NEVER);
}

static int joiner(void *arg)
{
    return rt_join(arg, NULL, RT_NEVER);
}

static int parker(void *arg)
{
    (void)arg;
    while (rt_park(RT_NEVER) == 0) {
    }
    return 0;
}

static int done(void *arg)
{
    (void)arg;
    return 7;
}

static int yielder(void *arg)
{
    (void)arg;
    while (!rt_cancelled()) {
        rt_yield();
    }
    return 0;
}

/* For the loader, so that a dump can name it. */
int poll_sleep(struct rt_future *future);

int poll_sleep(struct rt_future *future)
{
    return rt_poll_sleep(future, RT_NEVER);
}

/* Waits although it is cancelled: for a task of its group, which is not. */
static int leaver(void *arg)
{
    struct rt_group *group = arg;

    return rt_group_leave(group, RT_NEVER);
}

static struct rt_task *spawn(const char *name, rt_task_fn fn, void *arg)
{
    struct rt_spawn_options options = RT_SPAWN_OPTIONS_INIT;
    struct rt_task *task = NULL;

    options.name = name;
    if (rt_spawn_with(&task, fn, arg, &options) < 0) {
        fprintf(stderr, "dump_program: '%s' was not spawned\n", name);
    }
    return task;
}

static int dump_thrice(void)
{
    int r = rt_dump(STDOUT_FILENO, RT_DUMP_JSON);

    if (r == 0) {
        r = rt_dump_all(STDOUT_FILENO, RT_DUMP_JSON | RT_DUMP_BRIEF, rt_in(RT_SECONDS(20)));
    }
    return r < 0 ? r : rt_dump(STDOUT_FILENO, 0);
}

/* Until its first task has returned: what is called there runs behind that. */
static int await_the_other_shard(void)
{
    while (__atomic_load_n(&settled, __ATOMIC_SEQ_CST) < rt_shard_count()) {
        rt_yield();
    }
    return rt_call(1, done, NULL, NULL, RT_NEVER);
}

static int show_states(void)
{
    static struct rt_group group = RT_GROUP_INIT;
    static struct rt_future future = RT_FUTURE_INIT(poll_sleep, NULL);
    struct rt_spawn_options options = RT_SPAWN_OPTIONS_INIT;
    struct rt_task *joined = spawn("joined", sleeper, NULL);
    struct rt_task *tasks[7];
    int r = await_the_other_shard();

    if (r < 0) {
        return r;
    }
    tasks[0] = spawn("joiner", joiner, joined);
    tasks[1] = spawn("parker", parker, NULL);
    tasks[2] = spawn("done", done, NULL);
    tasks[3] = spawn("a \"name\"\n\\ \xff \xc3\xa9", sleeper, NULL);
    if (rt_group_spawn(&group, sleeper, NULL) < 0) {
        return -1;
    }
    tasks[4] = spawn("leaver", leaver, &group);
    tasks[5] = spawn("yielder", yielder, NULL);
    options.name = "future";
    r = rt_spawn_future_with(&tasks[6], &future, &options);
    if (r < 0) {
        return r;
    }
    rt_yield();
    rt_yield();
    rt_cancel(tasks[4]);
    rt_yield();
    rt_detach(spawn("new", done, NULL));
    if (strcmp(mode, "abort") == 0) {
        abort();
    }
    r = dump_thrice();
    rt_group_cancel(&group);
    rt_cancel(joined);
    for (int i = 0; i < 7; i++) {
        rt_cancel(tasks[i]);
        (void)rt_join(tasks[i], NULL, RT_NEVER);
    }
    (void)rt_group_leave(&group, 0);
    return r;
}

static int show_many(void)
{
    struct rt_group group = RT_GROUP_INIT;
    int r = 0;

    for (int i = 0; r == 0 && i < MANY; i++) {
        r = rt_group_spawn(&group, sleeper, NULL);
    }
    rt_yield();
    if (r == 0) {
        r = dump_thrice();
    }
    (void)rt_group_leave(&group, 0);
    return r;
}

/* Does not heed its cancel. */
static int stubborn(void *arg)
{
    (void)arg;
    say_ready_when(1);
    while (!is_released()) {
        rt_yield();
    }
    return 0;
}

static void compute(void)
{
    say_ready_when(2);
    while (!is_released()) {
    }
}

static int idle(void)
{
    rt_self_set_name("idle");
    say_ready_when(rt_shard_count());
    while (rt_park(RT_NEVER) == 0) { /* a wake may be for nothing */
    }
    return 0;
}

static int first(void *arg)
{
    (void)arg;
    if (strcmp(mode, "states") == 0 || strcmp(mode, "abort") == 0) {
        (void)__atomic_add_fetch(&settled, 1, __ATOMIC_SEQ_CST);
        return rt_shard_index() == 0 ? show_states() : 0;
    }
    if (strcmp(mode, "many") == 0) {
        return rt_shard_index() == 0 ? show_many() : 0;
    }
    if (strcmp(mode, "stop") == 0) {
        if (rt_shard_index() == 0) {
            rt_detach(spawn("stubborn", stubborn, NULL));
        }
        return 0;
    }
    if (strcmp(mode, "stuck") == 0 && rt_shard_index() == 1) {
        compute();
    }
    return idle();
}

static int first_of_run(void *arg)
{
    (void)arg;
    rt_self_set_name("alone");
    say_ready_when(1);
    while (!is_released()) {
        rt_yield();
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct rt_config config = RT_CONFIG_INIT;
    const struct sigaction action = { .sa_handler = release, .sa_flags = SA_RESTART };

    if (rt_config_parse(&config, &argc, argv) < 0 || argc != 2 ||
        sigaction(SIGUSR2, &action, NULL) != 0) {
        return 2;
    }
    mode = argv[1];
    config.name = "dumped";
    if (strcmp(mode, "run") == 0) {
        return rt_run(&config, first_of_run, NULL) < 0;
    }
    config.shards = 2;
    config.place = RT_PLACE_UNBOUND;
    return rt_start(&config, first, NULL) < 0;
}
