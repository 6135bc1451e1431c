/* SPDX-License-Identifier: MIT */
/*
 * A million tasks that wait: what one takes of memory.
 *
 *     million_tasks [tasks]                 1000000 unless said otherwise
 *
 * Makes so many fibers with stacks of 16, 64 and 256 KiB, so many futures with 64
 * bytes of state, and so many of those that have no room for a wait. Lets each run
 * until it waits, and prints by how much the memory of the process has grown: VmRSS,
 * and VmPTE, the kernel's page tables. Then it wakes them all, and prints what is left
 * a second after the last has ended.
 */
#include <errno.h>
#include <inttypes.h>
#include <rt/rt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Memory */

/* Of a line such as "VmRSS:      1234 kB". */
static int64_t line_bytes(const char *status, const char *name)
{
    const char *found = strstr(status, name);

    return found == NULL ? 0 : strtoll(found + strlen(name), NULL, 10) * 1024;
}

static int64_t used_bytes(void)
{
    FILE *file = fopen("/proc/self/status", "re");
    char status[4096];
    size_t n;

    if (file == NULL) {
        return 0;
    }
    n = fread(status, 1, sizeof(status) - 1, file);
    status[n] = '\0';
    fclose(file);
    return line_bytes(status, "\nVmRSS:") + line_bytes(status, "\nVmPTE:");
}

/* Tasks that wait for one event */

static struct rt_event go;

static int fiber(void *arg)
{
    (void)arg;
    return rt_event_wait(&go, RT_NEVER);
}

struct future {
    struct rt_future future;
    uint64_t state[8]; /* 64 bytes, for whatever it works on */
};

static int poll_future(struct rt_future *future)
{
    return rt_poll_event(future, &go, RT_NEVER);
}

/* Has no room for a wait: it must be woken. */
struct small {
    struct rt_small_future future;
    struct rt_waker waker; /* 64 bytes with the state */
    uint64_t state[6];
};

static int poll_small(struct rt_future *future)
{
    ((struct small *)future)->waker = rt_waker_self();
    return rt_event_is_set(&go) ? 0 : RT_PENDING;
}

/* A scene: one kind of task, in a runtime of its own */

struct scene {
    const char *name;
    uint32_t stack_bytes; /* 0: futures */
    uint32_t tasks;
    size_t bytes; /* of the caller's, for each */
    int (*spawn)(struct scene *scene, uint32_t i);
    void *memory;
    struct rt_group group;
};

static int spawn_fiber(struct scene *scene, uint32_t i)
{
    (void)i;
    return rt_group_spawn(&scene->group, fiber, NULL);
}

static int spawn_future(struct scene *scene, uint32_t i)
{
    struct future *self = (struct future *)scene->memory + i;

    self->future = (struct rt_future)RT_FUTURE_INIT(poll_future, NULL);
    return rt_group_spawn_future(&scene->group, &self->future);
}

static int spawn_small(struct scene *scene, uint32_t i)
{
    struct small *self = (struct small *)scene->memory + i;

    self->future = (struct rt_small_future)RT_SMALL_FUTURE_INIT(poll_small, NULL);
    return rt_group_spawn_future(&scene->group, rt_future_of(&self->future));
}

/* Of the tasks, `count` were made and have run. */
static void wake_all(const struct scene *scene, uint32_t count)
{
    const struct small *small = scene->memory;

    rt_event_set(&go);
    for (uint32_t i = 0; scene->spawn == spawn_small && small != NULL && i < count; i++) {
        rt_wake(small[i].waker);
    }
}

static int play(void *arg)
{
    struct scene *scene = arg;
    const int64_t before = used_bytes();
    uint32_t count = 0;
    int64_t with;
    int left;
    int r;

    scene->memory = calloc(scene->tasks, scene->bytes);
    r = scene->memory == NULL ? -ENOMEM : 0;
    while (r == 0 && count < scene->tasks) {
        r = scene->spawn(scene, count);
        count += r == 0;
    }
    rt_yield(); /* they run, and wait now */
    with = used_bytes();
    wake_all(scene, count);
    left = rt_group_leave(&scene->group, RT_NEVER);
    free(scene->memory);
    if (r < 0 || left < 0) {
        return r < 0 ? r : left;
    }
    r = rt_sleep_until(rt_in(RT_SECONDS(1)));
    printf("%-14s  %6" PRId64 " bytes each while they wait, %4" PRId64 " a second after the end\n",
           scene->name, (with - before) / scene->tasks, (used_bytes() - before) / scene->tasks);
    return r;
}

int main(int argc, char *argv[])
{
    const long tasks = argc > 1 ? strtol(argv[1], NULL, 10) : 1000000;
    struct scene scenes[] = {
        { .name = "fiber, 16 KiB", .stack_bytes = 16 << 10, .bytes = 1, .spawn = spawn_fiber },
        { .name = "fiber, 64 KiB", .stack_bytes = 64 << 10, .bytes = 1, .spawn = spawn_fiber },
        { .name = "fiber, 256 KiB", .stack_bytes = 256 << 10, .bytes = 1, .spawn = spawn_fiber },
        { .name = "future", .bytes = sizeof(struct future), .spawn = spawn_future },
        { .name = "small future", .bytes = sizeof(struct small), .spawn = spawn_small },
    };

    if (argc > 2 || tasks < 1 || tasks > 1000000) {
        fprintf(stderr, "usage: million_tasks [tasks, 1..1000000]\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
        struct rt_config config = RT_CONFIG_INIT;
        int r;

        go = (struct rt_event)RT_EVENT_INIT;
        config.stack_bytes = scenes[i].stack_bytes;
        config.stall_threshold = RT_STALL_OFF; /* to wake a million takes 100 ms */
        scenes[i].tasks = (uint32_t)tasks;
        scenes[i].group = (struct rt_group)RT_GROUP_INIT;
        r = rt_run(&config, play, &scenes[i]);
        if (r < 0) {
            fprintf(stderr, "million_tasks: %s: %s\n", scenes[i].name, rt_strerror(r));
            return 1;
        }
    }
    return 0;
}
