/* SPDX-License-Identifier: MIT */
/* What rt-kv is told on its command line. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <rt/start.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

/* As in Redis, where no string is longer. */
#define VALUE_MAX_MAX (512 * MIB)

static void usage(FILE *stream)
{
    fputs("usage: rt-kv [options]\n"
          "\n"
          "A sharded key-value server in memory, for clients of Redis.\n"
          "\n"
          "  --port N             listen on this TCP port; 0: one that is free (6379)\n"
          "  --bind ADDR          listen on this numeric address (127.0.0.1)\n"
          "  --drain SECONDS      connections may finish so long after SIGTERM (1)\n"
          "  --connections-max N  connections of all shards together (10000)\n"
          "  --key-max BYTES      longest key (4k)\n"
          "  --value-max BYTES    longest value (1m)\n"
          "  --pipeline-max N     requests of a connection that are answered in one go (1024)\n"
          "  --memory-max BYTES   memory for keys and values; 0: no limit (0)\n"
          "  --help               this text\n"
          "  --version            the version\n"
          "\n"
          "BYTES may end in k, m or g. Of the runtime:\n"
          "\n",
          stream);
    fputs(rt_config_help(), stream);
}

static bool wrong(const char *name, const char *text, const char *expected)
{
    fprintf(stderr, "rt-kv: --%s %s: expected %s\n", name, text, expected);
    return false;
}

/* A number with an optional unit behind it, in low..high. */
static bool read_bytes(const char *name, const char *text, uint64_t low, uint64_t high,
                       uint64_t *out)
{
    static const char units[] = "kmg";
    char expected[80];
    const char *unit;
    uint64_t factor = 1;
    uint64_t value;
    char *end;

    errno = 0;
    value = strtoull(text, &end, 10);
    unit = *end != '\0' ? strchr(units, *end | 0x20) : NULL;
    if (unit != NULL) {
        factor = UINT64_C(1) << (10 * (unit - units + 1));
        end++;
    }
    if (errno != 0 || text[0] < '0' || text[0] > '9' || *end != '\0' ||
        value > UINT64_MAX / factor || value * factor < low || value * factor > high) {
        (void)snprintf(expected, sizeof(expected), "bytes in %llu..%llu", (unsigned long long)low,
                       (unsigned long long)high);
        return wrong(name, text, expected);
    }
    *out = value * factor;
    return true;
}

static bool read_count(const char *name, const char *text, uint32_t low, uint32_t high,
                       uint32_t *out)
{
    char expected[80];
    unsigned long value;
    char *end;

    errno = 0;
    value = strtoul(text, &end, 10);
    if (errno != 0 || text[0] < '0' || text[0] > '9' || *end != '\0' || value < low ||
        value > high) {
        (void)snprintf(expected, sizeof(expected), "a number in %u..%u", low, high);
        return wrong(name, text, expected);
    }
    *out = (uint32_t)value;
    return true;
}

static bool read_seconds(const char *name, const char *text, rt_time *out)
{
    char *end;
    const double value = strtod(text, &end);

    if (text[0] < '0' || text[0] > '9' || *end != '\0' || !(value <= 3600.0)) {
        return wrong(name, text, "seconds in 0..3600");
    }
    *out = (rt_time)(value * 1e9);
    return true;
}

static bool read_option(struct options *options, char option, const char *name, const char *text)
{
    uint64_t bytes = 0;
    bool good;

    switch (option) {
    case 'p':
        return read_count(name, text, 0, 65535, &options->port);
    case 'b':
        options->bind = text;
        return true;
    case 'd':
        return read_seconds(name, text, &options->drain);
    case 'c':
        return read_count(name, text, 1, 1000000, &options->connections_max);
    case 'k':
        good = read_bytes(name, text, 1, VALUE_MAX_MAX, &bytes);
        options->key_max = (uint32_t)bytes;
        return good;
    case 'v':
        good = read_bytes(name, text, 1, VALUE_MAX_MAX, &bytes);
        options->value_max = (uint32_t)bytes;
        return good;
    case 'l':
        return read_count(name, text, 1, 65536, &options->pipeline_max);
    case 'm':
        return read_bytes(name, text, 0, UINT64_C(1) << 48, &options->memory_max);
    default: /* getopt_long() has said why */
        fputs("rt-kv --help lists the options\n", stderr);
        return false;
    }
}

enum options_result options_parse(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {
        { "port", required_argument, NULL, 'p' },
        { "bind", required_argument, NULL, 'b' },
        { "drain", required_argument, NULL, 'd' },
        { "connections-max", required_argument, NULL, 'c' },
        { "key-max", required_argument, NULL, 'k' },
        { "value-max", required_argument, NULL, 'v' },
        { "pipeline-max", required_argument, NULL, 'l' },
        { "memory-max", required_argument, NULL, 'm' },
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },
        { NULL, 0, NULL, 0 },
    };
    int index = 0;
    int c;

    *options = (struct options){
        .bind = "127.0.0.1",
        .port = 6379,
        .drain = RT_SECONDS(1),
        .connections_max = 10000,
        .key_max = 4 * KIB,
        .value_max = MIB,
        .pipeline_max = 1024,
    };
    while ((c = getopt_long(argc, argv, "", known, &index)) != -1) {
        if (c == 'h') {
            usage(stdout);
            return OPTIONS_DONE;
        }
        if (c == 'V') {
            printf("rt-kv %s\n", RT_VERSION);
            return OPTIONS_DONE;
        }
        if (!read_option(options, (char)c, known[index].name, optarg)) {
            return OPTIONS_WRONG;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "rt-kv: %s: expected options only; see --help\n", argv[optind]);
        return OPTIONS_WRONG;
    }
    return OPTIONS_RUN;
}

bool options_address(const struct options *options, char *text, size_t bytes)
{
    const bool brackets = strchr(options->bind, ':') != NULL && options->bind[0] != '[';
    const int len = snprintf(text, bytes, brackets ? "[%s]:%u" : "%s:%u", options->bind,
                             options->port);

    return len > 0 && (size_t)len < bytes;
}
