/* SPDX-License-Identifier: MIT */
/* Options, repetition and spread of rt-primitives and rt-xcore. */
#include "harness.h"

#include <errno.h>
#include <rt/base.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint.h"

/* An odd number, so that the median is a measured value. */
#define ROUNDS     21
#define ROUNDS_MAX 999

_Noreturn void harness_give_up(const char *what, int result)
{
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, rt_strerror(result));
    exit(1);
}

struct spread {
    double median, mad, min, max;
};

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

double harness_median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof(double), compare);
    return values[count / 2];
}

/* Sorts the values, and then puts their distances from the median in their place. */
static struct spread spread_of(double *values, int count)
{
    struct spread out = { .median = harness_median(values, count) };

    out.min = values[0];
    out.max = values[count - 1];
    for (int i = 0; i < count; i++) {
        values[i] = values[i] < out.median ? out.median - values[i] : values[i] - out.median;
    }
    out.mad = harness_median(values, count);
    return out;
}

static void print_spread(const char *name, struct spread s, bool json)
{
    if (json) {
        printf(", \"%s\": {\"median\": %.3f, \"mad\": %.3f, \"min\": %.3f, \"max\": %.3f}", name,
               s.median, s.mad, s.min, s.max);
    } else {
        printf("  %8.2f +-%5.2f [%.2f..%.2f]", s.median, s.mad, s.min, s.max);
    }
}

static double repeat(const char *name, harness_side side, const void *row, bool of_limit)
{
    double ns = side(row, of_limit);

    if (ns <= 0) {
        fprintf(stderr, "%s: row %s failed in its %s\n", program_invocation_short_name, name,
                of_limit ? "limit" : "runtime");
        exit(1);
    }
    return ns;
}

static void print_start(struct harness *harness)
{
    if (!harness->begun) {
        printf("%s",
               harness->json ? "[" : "row               limit, ns (then runtime, ns, and ratio)\n");
    } else if (harness->json) {
        printf(",\n ");
    }
    harness->begun = true;
}

void harness_row(struct harness *harness, const char *name, harness_side side, bool both,
                 const void *row)
{
    double limit[ROUNDS_MAX];
    double runtime[ROUNDS_MAX];
    double ratio[ROUNDS_MAX];
    bool json = harness->json;

    if (regexec(&harness->wanted, name, 0, NULL, 0) != 0) {
        return;
    }
    for (int i = 0; i < harness->rounds; i++) {
        limit[i] = repeat(name, side, row, true);
        runtime[i] = both ? repeat(name, side, row, false) : 0;
        ratio[i] = runtime[i] / limit[i]; /* of neighbours in time: the machine drifts */
    }
    print_start(harness);
    printf(json ? "{\"row\": \"%s\"" : "%-17s", name);
    print_spread("limit_ns", spread_of(limit, harness->rounds), json);
    if (both) {
        print_spread("runtime_ns", spread_of(runtime, harness->rounds), json);
        print_spread("ratio", spread_of(ratio, harness->rounds), json);
    }
    printf(json ? "}" : "\n");
    fflush(stdout);
}

bool harness_end(struct harness *harness)
{
    regfree(&harness->wanted);
    if (!harness->begun) {
        fprintf(stderr, "%s: --filter fits no row\n", program_invocation_short_name);
        return false;
    }
    printf("%s", harness->json ? "]\n" : "");
    return true;
}

static void print_help(const char *summary, const struct harness_option *own)
{
    printf("Usage: %s [OPTIONS]\n\n%s\n\n"
           "Each figure is the median in ns, the median absolute deviation, and [min..max]; the\n"
           "ratio is taken between neighbouring repetitions. Rows without a counterpart in the\n"
           "runtime's public calls, and bare ones, have one figure.\n\n",
           program_invocation_short_name, summary);
    for (; own->name != NULL; own++) {
        printf("  --%s %s\n", own->name, own->help);
    }
    printf("  --filter REGEX  only rows whose name matches\n"
           "  --rounds N      repetitions; default %d\n"
           "  --json          print an array of objects\n"
           "  --help          print this\n",
           ROUNDS);
}

static const struct harness_option *find_option(const struct harness_option *options,
                                                const char *argument)
{
    for (; options->name != NULL; options++) {
        if (strncmp(argument, "--", 2) == 0 && strcmp(argument + 2, options->name) == 0) {
            return options;
        }
    }
    return NULL;
}

/* 0 to go on, 1 to leave with status 0, 2 to leave with status 2. */
static int read_options(struct harness *harness, int argc, char **argv,
                        const struct harness_option *common, const struct harness_option *own)
{
    for (int i = 1; i < argc; i++) {
        const struct harness_option *option = find_option(common, argv[i]);

        if (option == NULL) {
            option = find_option(own, argv[i]);
        }
        if (strcmp(argv[i], "--help") == 0) {
            return 1;
        }
        if (strcmp(argv[i], "--json") == 0) {
            harness->json = true;
        } else if (option != NULL && i + 1 < argc) {
            *option->value = argv[++i];
        } else {
            fprintf(stderr, "%s: \"%s\" is not expected here, or lacks its value; see --help\n",
                    program_invocation_short_name, argv[i]);
            return 2;
        }
    }
    return 0;
}

bool harness_begin(struct harness *harness, int argc, char **argv, const char *summary,
                   const struct harness_option *own, int *status)
{
    const char *filter = "";
    const char *rounds_text = NULL;
    const struct harness_option common[] = { { "filter", NULL, &filter },
                                             { "rounds", NULL, &rounds_text },
                                             { NULL, NULL, NULL } };
    double rounds = ROUNDS;
    int outcome;

    memset(harness, 0, sizeof(*harness));
    outcome = read_options(harness, argc, argv, common, own);
    *status = outcome == 1 ? 0 : 2;
    if (outcome == 1) {
        print_help(summary, own);
    }
    if (outcome != 0 ||
        (rounds_text != NULL && !option_number("rounds", rounds_text, 1, ROUNDS_MAX, &rounds))) {
        return false;
    }
    harness->rounds = (int)rounds;
    if (regcomp(&harness->wanted, filter, REG_EXTENDED | REG_NOSUB) != 0) {
        fprintf(stderr, "%s: --filter \"%s\" is no regular expression\n",
                program_invocation_short_name, filter);
        return false;
    }
    *status = 0;
    return true;
}
