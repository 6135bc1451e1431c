/* SPDX-License-Identifier: MIT */
/*
 * life_of_a_task [--third] [--cancel] [FILE]: shows each step that two tasks go
 * through while one waits for the other, and the other for a file.
 *
 * Not one line about scheduling, running, waiting, waking or completion is
 * printed by the tasks: all of them come from the executor's trace hook, as the
 * steps happen. The tasks print only what they do themselves, marked with ">".
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <rt/rt.h>
#include <stdio.h>
#include <stdlib.h>

struct options {
    const char *path;
    int third;  /* spawn a third task, which only yields */
    int cancel; /* cancel the second task before it has run */
};

static const char *step_text(uint32_t kind)
{
    static const char *const texts[RT_TRACE_KINDS] = {
        [RT_TRACE_SPAWN] = "is made",
        [RT_TRACE_SCHEDULE] = "stands in the queue",
        [RT_TRACE_RUN] = "runs",
        [RT_TRACE_YIELD] = "lets others run",
        [RT_TRACE_WAIT] = "is suspended until",
        [RT_TRACE_SUBMIT] = "hands to the kernel:",
        [RT_TRACE_COMPLETE] = "gets from the kernel:",
        [RT_TRACE_TIMEOUT] = "has waited long enough for",
        [RT_TRACE_WAKE] = "is woken",
        [RT_TRACE_CANCEL] = "is asked to end",
        [RT_TRACE_RETURN] = "returns",
        [RT_TRACE_JOINED] = "gives its result",
        [RT_TRACE_FREE] = "is gone",
        [RT_TRACE_SLEEP] = "sleeps in the ring",
        [RT_TRACE_AWAKE] = "is awake again, completions:",
    };

    return kind < RT_TRACE_KINDS ? texts[kind] : "?";
}

static void print_step(void *arg, const struct rt_trace_event *event)
{
    const rt_time start = *(const rt_time *)arg;

    printf("%8.1f us  ", (double)(event->time - start) / 1e3);
    if (event->task == RT_TRACE_NO_TASK) {
        printf("executor  ");
    } else {
        printf("task %u '%s'  ", event->task, event->task_name != NULL ? event->task_name : "");
    }
    printf("%-9s %s", rt_trace_kind_name(event->kind), step_text(event->kind));
    if (event->what != NULL) {
        printf(" %s", event->what);
    }
    if (event->other != RT_TRACE_NO_TASK) {
        printf("%s task %u", event->kind == RT_TRACE_WAIT ? " of" : " by", event->other);
    }
    if (event->kind == RT_TRACE_COMPLETE || event->kind == RT_TRACE_RETURN ||
        event->kind == RT_TRACE_JOINED || event->kind == RT_TRACE_AWAKE) {
        printf(" %lld", (long long)event->value);
    }
    printf("\n");
}

/* The second task: reads the beginning of a file. */
static int read_file(void *arg)
{
    const struct options *options = arg;
    struct rt_file *file;
    char buf[256];
    ssize_t n;
    int r;

    r = rt_file_open(&file, options->path, O_RDONLY, 0, RT_NEVER);
    if (r < 0) {
        printf("> cannot open %s: %s\n", options->path, rt_strerror(r));
        return r;
    }
    n = rt_file_read_at(file, buf, sizeof(buf), 0, RT_NEVER);
    if (n >= 0) {
        printf("> read %zd bytes of %s\n", n, options->path);
    }
    (void)rt_file_close(file);
    return (int)n;
}

/* The third task, with --third. */
static int yield_once(void *arg)
{
    (void)arg;
    rt_yield();
    return 0;
}

/* The first task: spawns the second and awaits it. */
static int first(void *arg)
{
    struct options *options = arg;
    struct rt_spawn_options spawn = RT_SPAWN_OPTIONS_INIT;
    struct rt_task *second;
    struct rt_task *third = NULL;
    int result = 0;
    int r;

    spawn.name = "second";
    r = rt_spawn_with(&second, read_file, options, &spawn);
    if (r < 0) {
        return r;
    }
    if (options->third) {
        spawn.name = "third";
        r = rt_spawn_with(&third, yield_once, NULL, &spawn);
    }
    if (options->cancel) {
        rt_cancel(second);
    }
    if (r == 0) {
        r = rt_join(second, &result, RT_NEVER);
    }
    if (third != NULL) {
        (void)rt_join(third, NULL, RT_NEVER);
    }
    if (r == 0) {
        printf("> the second task's result is %d\n", result);
    }
    return r < 0 ? r : result;
}

static void usage(FILE *stream)
{
    fputs("usage: life_of_a_task [--third] [--cancel] [FILE]\n"
          "\n"
          "A first task spawns a second, which reads the beginning of FILE (default: this\n"
          "program), and awaits it. Every step of the executor is printed as it happens.\n"
          "\n"
          "  --third   spawn a third task, which yields\n"
          "  --cancel  cancel the second task before it runs\n"
          "  --help    this text\n",
          stream);
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {
        { "third", no_argument, NULL, 't' },
        { "cancel", no_argument, NULL, 'c' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    struct options options = { .path = argv[0] };
    struct rt_config config = RT_CONFIG_INIT;
    rt_time start = rt_now();
    int c;

    while ((c = getopt_long(argc, argv, "tch", long_options, NULL)) != -1) {
        switch (c) {
        case 't':
            options.third = 1;
            break;
        case 'c':
            options.cancel = 1;
            break;
        default:
            usage(c == 'h' ? stdout : stderr);
            return c == 'h' ? 0 : 2;
        }
    }
    if (optind < argc) {
        options.path = argv[optind];
    }
    config.trace = print_step;
    config.trace_arg = &start;
    return rt_run(&config, first, &options) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
