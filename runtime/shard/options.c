/* SPDX-License-Identifier: MIT */
/*
 * Options: a configuration from the command line and from the environment.
 *
 * One table names the fields that can be set so. The left column of the help is
 * the key to all: "  --log-level error|info" is the option, the variable
 * RT_LOG_LEVEL and the words that can be chosen, so none can differ from another.
 *
 * What is decided here is whether a text can be read. Whether the value is in
 * bounds is for rti_config_read(), which serves programs that set it themselves
 * as well.
 */
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "rt/start.h"

enum kind {
    TEXT,
    NEAR,
    COUNT,
    SIZE,
    TIME,
    SPIN,
    STALL,
    SIGNAL,
    PLACE,
    POLICY,
    WORKERS,
    LEVEL,
    FORMAT
};

/* clang-format off */
#define OPTIONS(ROW) \
    ROW(TEXT, cpus, \
        "  --cpus LIST          CPUs to use, such as 0-3,8 (all that are allowed)\n") \
    ROW(COUNT, shards, \
        "  --shards N           how many shards (as many as there are places)\n") \
    ROW(PLACE, place, \
        "  --place core|pu|spread|pack|unbound|near\n" \
        "                       where shards run (core: one on each core)\n") \
    ROW(NEAR, near, \
        "  --near PATH          place near: at the disk below this file, folder or device\n") \
    ROW(SPIN, spin, \
        "  --spin TIME|off      look for work so long before sleeping (off)\n") \
    ROW(POLICY, spin_policy, \
        "  --spin-policy fixed|adaptive\n" \
        "                       look always, or while that finds something (fixed)\n") \
    ROW(STALL, stall_threshold, \
        "  --stall TIME|off     report a task that holds its core longer (10ms)\n") \
    ROW(STALL, wait_cycles, \
        "  --wait-cycles TIME|off\n" \
        "                       look so often for tasks that wait for each other (off)\n") \
    ROW(TIME, timer_slack, \
        "  --timer-slack TIME   a sleeping shard may meet deadlines so much late (0ms)\n") \
    ROW(COUNT, tasks_max, \
        "  --tasks-max N        live tasks of a shard at most (1048576)\n") \
    ROW(COUNT, port_entries, \
        "  --port-entries N     slots for what one shard sends another (128)\n") \
    ROW(COUNT, posts_max, \
        "  --posts-max N        posts of one shard to another not yet started (64)\n") \
    ROW(COUNT, ring_entries, \
        "  --ring-entries N     submission queue of a shard's ring (256)\n") \
    ROW(SIZE, stack_bytes, \
        "  --stack SIZE         stack of a task: 16k, 64k or 256k (64k)\n") \
    ROW(TIME, task_quota, \
        "  --task-quota TIME    tasks run so long before I/O is looked at (500us)\n") \
    ROW(TIME, stop_timeout, \
        "  --stop-timeout TIME  a stop that takes longer aborts the program (30s)\n") \
    ROW(COUNT, io_workers, \
        "  --io-workers N       kernel threads of a shard for other I/O (8)\n") \
    ROW(WORKERS, io_worker_place, \
        "  --io-worker-place shard|others\n" \
        "                       CPUs that these run on (shard: the shard's own)\n") \
    ROW(TEXT, disk_models, \
        "  --disk-models FILE|learn\n" \
        "                       by what task queues share disks: as rt-storage calibrate\n" \
        "                       measured, or as is learned (they do not share)\n") \
    ROW(LEVEL, log_level, \
        "  --log-level error|warning|info\n" \
        "                       the least important lines to log (warning)\n") \
    ROW(SIGNAL, dump_signal, \
        "  --dump-signal NAME   dump all tasks when it comes, such as USR1 (none)\n") \
    ROW(TEXT, dump_path, \
        "  --dump-file PATH     the file to add such dumps to (standard error)\n") \
    ROW(FORMAT, dump_flags, \
        "  --dump-format text|json\n" \
        "                       what such dumps are (text)\n") \
    ROW(TEXT, disable, \
        "  --disable LIST       optional features to go without (none)\n")
/* clang-format on */

static const struct option {
    enum kind kind;
    size_t offset; /* of the field in struct rt_config */
    size_t bytes;
    const char *usage; /* "  --name VALUE", a space or a newline, and more */
} options[] = {
#define ROW(kind, field, usage) \
    { kind, offsetof(struct rt_config, field), sizeof(((struct rt_config *)0)->field), usage },
    OPTIONS(ROW)
#undef ROW
};

/* How a number is written, by kind. A unit stands behind it. */
static const struct quantity {
    const char *expected;
    uint64_t max;
    struct {
        const char *name;
        uint64_t factor;
    } units[5];
} quantities[] = {
#define TIMES { { "ns", 1 }, { "us", 1000 }, { "ms", 1000000 }, { "s", 1000000000 } }
    [COUNT] = { "a number, such as 1024", UINT32_MAX, { { "", 1 } } },
    [SIZE] = { "a number of bytes, such as 65536 or 64k",
               UINT32_MAX,
               { { "", 1 }, { "k", 1024 }, { "K", 1024 } } },
    [TIME] = { "a time with its unit (ns, us, ms or s), such as 500us", INT64_MAX, TIMES },
    [SPIN] = { "off or a time with its unit (ns, us, ms or s), such as 50us", INT64_MAX, TIMES },
    [STALL] = { "off or a time with its unit (ns, us, ms or s), such as 20ms", INT64_MAX, TIMES },
#undef TIMES
};

/* A configuration that is being read. */
struct reading {
    struct rt_config config;
    uint32_t bytes; /* of it that the program has too */
    struct rti_log log;
    char name[32]; /* of the option or variable at hand */
};

const char *rt_config_help(void)
{
#define ROW(kind, field, usage) usage
    return OPTIONS(ROW);
#undef ROW
}

/* "--name" of the option. It is not terminated. */
static const char *name_of(const struct option *option, size_t *length)
{
    const char *name = option->usage + strlen("  ");

    *length = strcspn(name, " ");
    return name;
}

/* What the usage says for the value. It is not terminated. */
static const char *value_of(const struct option *option, size_t *length)
{
    const char *name = name_of(option, length);
    const char *value = name + *length + 1;

    *length = strcspn(value, " \n");
    return value;
}

static int refuse(const struct reading *reading, const char *text, const char *expected)
{
    rti_log(&reading->log, RT_LOG_ERROR, "%s is \"%s\"; it must be %s", reading->name, text,
            expected);
    return -EINVAL;
}

/* "0" needs no unit. */
static int read_quantity(const struct reading *reading, const struct quantity *quantity,
                         const char *text, uint64_t *out)
{
    const char *unit = text;
    uint64_t number = 0;
    bool fits = true;

    for (; isdigit((unsigned char)*unit); unit++) {
        fits = fits && !__builtin_mul_overflow(number, 10u, &number) &&
               !__builtin_add_overflow(number, (uint64_t)(*unit - '0'), &number);
    }
    if (strcmp(text, "0") == 0) {
        *out = 0;
        return 0;
    }
    for (size_t i = 0; unit > text && quantity->units[i].name != NULL; i++) {
        if (strcmp(unit, quantity->units[i].name) == 0) {
            fits = fits && !__builtin_mul_overflow(number, quantity->units[i].factor, out) &&
                   *out <= quantity->max;
            return fits ? 0 : refuse(reading, text, "smaller");
        }
    }
    return refuse(reading, text, quantity->expected);
}

/* The place of the word among those of the usage: 1 for "b" of "a|b|c". */
static int read_choice(const struct reading *reading, const struct option *option, const char *text,
                       uint64_t *out)
{
    char words[64];
    size_t length;
    const char *word = value_of(option, &length);

    snprintf(words, sizeof(words), "%.*s", (int)length, word);
    word = words;
    for (uint64_t i = 0; *word != '\0'; i++) {
        length = strcspn(word, "|");
        if (strlen(text) == length && memcmp(word, text, length) == 0) {
            *out = i;
            return 0;
        }
        word += length + (word[length] == '|');
    }
    return refuse(reading, text, words);
}

/* Its name, with or without SIG. */
static int read_signal(const struct reading *reading, const char *text, uint64_t *out)
{
    const char *name = strncmp(text, "SIG", 3) == 0 ? text + 3 : text;

    for (int number = 1; number < NSIG; number++) {
        const char *known = sigabbrev_np(number);

        if (known != NULL && strcmp(name, known) == 0) {
            *out = (uint64_t)number;
            return 0;
        }
    }
    return refuse(reading, text, "the name of a signal, such as USR1 or QUIT");
}

static int read_number(const struct reading *reading, const struct option *option, const char *text,
                       uint64_t *out)
{
    int r;

    if ((option->kind == SPIN || option->kind == STALL) && strcmp(text, "off") == 0) {
        *out = option->kind == SPIN ? (uint64_t)RT_SPIN_OFF : (uint64_t)RT_STALL_OFF;
        return 0;
    }
    if (option->kind == SIGNAL) {
        return read_signal(reading, text, out);
    }
    if (option->kind <= STALL) {
        return read_quantity(reading, &quantities[option->kind], text, out);
    }
    r = read_choice(reading, option, text, out);
    if (option->kind == LEVEL) {
        *out += RT_LOG_ERROR;
    }
    return r;
}

/* Read the text (NULL: there is none) into the field of the option. */
static int set(struct reading *reading, const struct option *option, const char *text)
{
    char *const field = (char *)&reading->config + option->offset;
    uint64_t number = 0;
    int r;

    if (option->offset + option->bytes > reading->bytes) {
        rti_log(&reading->log, RT_LOG_ERROR,
                "%s: the program was built for an older library, which did not know this",
                reading->name);
        return -EINVAL;
    }
    if (text == NULL || *text == '\0') {
        size_t length;
        const char *value = value_of(option, &length);

        rti_log(&reading->log, RT_LOG_ERROR, "%s needs a value: %.*s", reading->name, (int)length,
                value);
        return -EINVAL;
    }
    if (option->kind == TEXT || option->kind == NEAR) {
        memcpy(field, &text, sizeof(text));
        if (option->kind == NEAR) {
            reading->config.place = RT_PLACE_NEAR; /* which it says, too */
        }
        return 0;
    }
    r = read_number(reading, option, text, &number);
    if (r < 0) {
        return r;
    }
    if (option->bytes == sizeof(uint32_t)) {
        const uint32_t narrow = (uint32_t)number;

        memcpy(field, &narrow, sizeof(narrow));
    } else {
        memcpy(field, &number, sizeof(number));
    }
    return 0;
}

/* A variable that is set to nothing is not set. */
static int read_environment(struct reading *reading)
{
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        size_t length;
        const char *name = name_of(&options[i], &length) + strlen("--");
        const char *text;
        int r;

        if (options[i].offset == offsetof(struct rt_config, disable)) {
            continue; /* every executor reads RT_DISABLE, and adds it to this */
        }
        snprintf(reading->name, sizeof(reading->name), "RT_%.*s", (int)length - 2, name);
        for (char *c = reading->name; *c != '\0'; c++) {
            *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
        }
        text = getenv(reading->name);
        if (text != NULL && *text != '\0') {
            r = set(reading, &options[i], text);
            if (r < 0) {
                return r;
            }
        }
    }
    return 0;
}

/* The option that an argument ("--name" or "--name=value") names, or NULL. */
static const struct option *find(const char *argument)
{
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        size_t length;
        const char *name = name_of(&options[i], &length);

        if (strncmp(argument, name, length) == 0 &&
            (argument[length] == '\0' || argument[length] == '=')) {
            return &options[i];
        }
    }
    return NULL;
}

/* The value of the option at argv[*i]; the argument behind it counts when it is used. */
static const char *value_at(int *i, int argc, char **argv)
{
    const char *equals = strchr(argv[*i], '=');

    if (equals != NULL) {
        return equals + 1;
    }
    if (*i + 1 == argc || strncmp(argv[*i + 1], "--", 2) == 0) {
        return NULL;
    }
    *i += 1;
    return argv[*i];
}

static int read_arguments(struct reading *reading, int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const struct option *option = find(argv[i]);
        int r;

        if (option != NULL) {
            snprintf(reading->name, sizeof(reading->name), "%.*s", (int)strcspn(argv[i], "="),
                     argv[i]);
            r = set(reading, option, value_at(&i, argc, argv));
            if (r < 0) {
                return r;
            }
        }
    }
    return 0;
}

/* Returns how many arguments are left. */
static int take_arguments(int argc, char **argv)
{
    bool looks = true;
    int left = 1;

    for (int i = 1; i < argc; i++) {
        looks = looks && strcmp(argv[i], "--") != 0;
        if (looks && find(argv[i]) != NULL) {
            (void)value_at(&i, argc, argv);
        } else {
            argv[left++] = argv[i];
        }
    }
    if (left >= argc) {
        return argc;
    }
    argv[left] = NULL;
    return left;
}

int rt_config_parse(struct rt_config *config, int *argc, char **argv)
{
    struct reading reading = { .bytes = config->size, .log.level = RT_LOG_ERROR };
    int r;

    if (reading.bytes == 0 || reading.bytes > sizeof(reading.config)) {
        reading.bytes = sizeof(reading.config);
    }
    memcpy(&reading.config, config, reading.bytes);
    reading.log.write = reading.config.log != NULL ? reading.config.log : rti_log_to_stderr;
    reading.log.arg = reading.config.log_arg;
    r = read_environment(&reading);
    if (r == 0) {
        r = read_arguments(&reading, *argc, argv);
    }
    if (r < 0) {
        return r;
    }
    memcpy(config, &reading.config, reading.bytes);
    *argc = take_arguments(*argc, argv);
    return 0;
}
