/* SPDX-License-Identifier: MIT */
/* The command line: see options.h. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <rt/rt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS     1.0
#define SECONDS_MIN 0.01
#define SECONDS_MAX 3600.0
#define SEED        1
#define PASSES      4
#define PASSES_MAX  16

static void usage(FILE *stream)
{
    fputs(
        "usage: rt-bench [options]              measure\n"
        "       rt-bench list [--load FILE]     name the rows, and what a unit of each is\n"
        "       rt-bench compare A.json B.json  say which rows of B are slower than those of A\n"
        "       rt-bench report A.json          show stored results (--csv, --html FILE)\n"
        "\n"
        "Measures each primitive of shardrt beside its limit: a program that does the same\n"
        "work with nothing around it. Both run in turn; what counts is their ratio.\n"
        "\n"
        "What to measure:\n"
        "  --filter REGEX    only rows whose name matches; the long ones run only so\n"
        "  --cpus LIST       these CPUs, such as 0-3,8; default: one CPU of each core\n"
        "  --at-once         each row on all CPUs at the same time, not on one after the other\n"
        "  --pairs           round trips and streams between all pairs of CPUs, not one pair\n"
        "  --load FILE.so    also the rows of this shared object (rt/bench.h); repeatable\n"
        "  --peers           also other libraries that do the same work, where they are built\n"
        "  --peers-dir DIR   where their programs lie; default: peers, beside this program\n"
        "\n"
        "How long:\n"
        "  --time SECONDS    for one row at one place; default 1\n"
        "  --passes N        go through all rows so many times, each time with a part of their\n"
        "                    repetitions; default 4\n"
        "  --quick           all together in less than 30 s\n"
        "  --seed N          of what is random; default 1\n"
        "\n"
        "What to show; a table without these:\n"
        "  --json            one JSON document on standard output\n"
        "  --csv             a line for each row and place on standard output\n"
        "  --html FILE       also a page with plots, which needs no other file\n"
        "  --histograms DIR  also the latencies of a unit, as files that the plotters of\n"
        "                    HdrHistogram read\n"
        "\n"
        "For compare:\n"
        "  --by value|ratio  by the figures, or by their ratios to the limits; default: by the\n"
        "                    ratio where both files have one\n"
        "  --threshold PCT   a change below this is none; default 3\n"
        "  --json            the verdicts as JSON\n"
        "It exits with 0 when no row is slower beyond noise, with 1 when one is, with 2 when the\n"
        "files cannot be compared.\n"
        "\n"
        "  --help            this text\n"
        "  --version         the version\n",
        stream);
}

static bool read_number(const char *name, const char *text, double least, double most, double *out)
{
    char *end;

    errno = 0;
    *out = strtod(text, &end);
    if (errno != 0 || end == text || *end != '\0' || !(*out >= least && *out <= most)) {
        fprintf(stderr, "rt-bench: --%s %s: expected a number from %g to %g\n", name, text, least,
                most);
        return false;
    }
    return true;
}

static bool read_whole(const char *name, const char *text, double least, double most, double *out)
{
    if (!read_number(name, text, least, most, out)) {
        return false;
    }
    if (*out != floor(*out)) {
        fprintf(stderr, "rt-bench: --%s %s: expected a whole number\n", name, text);
        return false;
    }
    return true;
}

static bool read_by(struct options *options, const char *text)
{
    const bool ok = bench_compare_by_parse(&options->compare.by, text);

    if (!ok) {
        fprintf(stderr, "rt-bench: --by %s: expected value or ratio\n", text);
    }
    return ok;
}

static bool add_load(struct options *options, const char *file)
{
    if (options->load_count == LOADS_MAX) {
        fprintf(stderr, "rt-bench: --load: more than %d files\n", LOADS_MAX);
        return false;
    }
    options->loads[options->load_count++] = file;
    return true;
}

/* Where an option that takes a text puts it; NULL: it is another kind of option. */
static const char **text_of(struct options *options, int option)
{
    switch (option) {
    case 'f':
        return &options->filter;
    case 'c':
        return &options->cpus;
    case 'D':
        return &options->peers_directory;
    case 'H':
        return &options->html;
    case 'G':
        return &options->histograms;
    default:
        return NULL;
    }
}

/* The same for one that is said or not. */
static bool *flag_of(struct options *options, int option)
{
    switch (option) {
    case 'a':
        return &options->at_once;
    case 'p':
        return &options->pairs;
    case 'P':
        return &options->peers;
    case 'q':
        return &options->quick;
    case 'j':
        return &options->json;
    case 'v':
        return &options->csv;
    default:
        return NULL;
    }
}

/* The others. 0 to go on, 1 or 2 to leave. */
static int take_other(struct options *options, int option)
{
    double number = 0;
    bool ok = true;

    switch (option) {
    case 'l':
        ok = add_load(options, optarg);
        break;
    case 't':
        ok = read_number("time", optarg, SECONDS_MIN, SECONDS_MAX, &options->seconds);
        break;
    case 'n':
        ok = read_whole("passes", optarg, 1, PASSES_MAX, &number);
        options->passes = (unsigned)number;
        break;
    case 's':
        ok = read_whole("seed", optarg, 0, 1e15, &number);
        options->seed = (uint64_t)number;
        break;
    case 'b':
        ok = read_by(options, optarg);
        break;
    case 'T':
        ok = read_number("threshold", optarg, 0, 1000, &number);
        options->compare.threshold = number / 100;
        break;
    case 'h':
        usage(stdout);
        return 1;
    case 'V':
        printf("rt-bench %s\n", RT_VERSION);
        return 1;
    default:
        fputs("rt-bench --help lists the options\n", stderr);
        return 2;
    }
    return ok ? 0 : 2;
}

static int take(struct options *options, int option)
{
    const char **text = text_of(options, option);
    bool *flag = flag_of(options, option);

    if (text != NULL) {
        *text = optarg;
    } else if (flag != NULL) {
        *flag = true;
    } else {
        return take_other(options, option);
    }
    return 0;
}

static int complain(const char *text)
{
    fprintf(stderr, "rt-bench: %s; see --help\n", text);
    return 2;
}

static const struct option known[] = {
    { "filter", required_argument, NULL, 'f' },
    { "cpus", required_argument, NULL, 'c' },
    { "at-once", no_argument, NULL, 'a' },
    { "pairs", no_argument, NULL, 'p' },
    { "load", required_argument, NULL, 'l' },
    { "peers", no_argument, NULL, 'P' },
    { "peers-dir", required_argument, NULL, 'D' },
    { "time", required_argument, NULL, 't' },
    { "passes", required_argument, NULL, 'n' },
    { "quick", no_argument, NULL, 'q' },
    { "seed", required_argument, NULL, 's' },
    { "json", no_argument, NULL, 'j' },
    { "csv", no_argument, NULL, 'v' },
    { "html", required_argument, NULL, 'H' },
    { "histograms", required_argument, NULL, 'G' },
    { "by", required_argument, NULL, 'b' },
    { "threshold", required_argument, NULL, 'T' },
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, 'V' },
    { NULL, 0, NULL, 0 },
};

/* An option that would do nothing is an error. */
static int check_letters(const char *command, const char *given, const char *letters)
{
    const size_t good = strspn(given, letters);

    if (given[good] == '\0') {
        return 0;
    }
    for (const struct option *option = known; option->name != NULL; option++) {
        if (option->val == given[good]) {
            fprintf(stderr, "rt-bench: --%s means nothing to %s; see --help\n", option->name,
                    strcmp(command, "run") == 0 ? "a run" : command);
        }
    }
    return 2;
}

/* What the command is, and whether what was given fits it. */
static int check(struct options *options, int argc, char **argv, const char *given_letters)
{
    static const struct {
        const char *name;
        int files;
        const char *letters; /* of the options that mean something there */
    } commands[] = { { "run", 0, "facplPDtnqsjvHG" },
                     { "list", 0, "fl" },
                     { "compare", 2, "bTj" },
                     { "report", 1, "jvH" } };
    const int given = argc - optind;

    if (options->json && options->csv) {
        return complain("--json or --csv, not both");
    }
    if (options->quick && options->seconds > 0) {
        return complain("--quick or --time, not both");
    }
    options->command = given == 0 ? "run" : argv[optind];
    options->files = argv + optind + 1;
    options->file_count = given == 0 ? 0 : given - 1;
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(options->command, commands[i].name) != 0) {
            continue;
        }
        if (options->file_count != commands[i].files) {
            fprintf(stderr, "rt-bench: %s takes %d files, not %d; see --help\n", options->command,
                    commands[i].files, options->file_count);
            return 2;
        }
        return check_letters(options->command, given_letters, commands[i].letters);
    }
    fprintf(stderr, "rt-bench: there is no command \"%s\"; see --help\n", options->command);
    return 2;
}

int options_read(struct options *options, int argc, char **argv)
{
    char given[sizeof(known) / sizeof(known[0])] = "";
    int option;
    int outcome;

    *options = (struct options){ .seed = SEED, .passes = PASSES, .compare = BENCH_COMPARE_OPTIONS };
    while ((option = getopt_long(argc, argv, "", known, NULL)) >= 0) {
        outcome = take(options, option);
        if (outcome != 0) {
            return outcome;
        }
        if (strchr(given, option) == NULL) {
            given[strlen(given)] = (char)option; /* each once, so there is room */
        }
    }
    options->peers = options->peers || options->peers_directory != NULL;
    options->compare.json = options->json;
    outcome = check(options, argc, argv, given);
    if (options->seconds <= 0) {
        options->seconds = SECONDS;
    }
    return outcome;
}
