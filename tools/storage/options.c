/* SPDX-License-Identifier: MIT */
/* What rt-storage is told on its command line. */
#include "options.h"

#include <getopt.h>
#include <rt/rt.h>
#include <rt/start.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"

#define THRESHOLD_MAX 1000 /* percent */

static void usage(FILE *stream)
{
    fputs(
        "usage: rt-storage [options] JOBFILE\n"
        "       rt-storage compare [--json] [--output FILE] [--threshold PCT] OLD NEW\n"
        "\n"
        "Runs the storage jobs of a job file in fio's syntax, each instance pinned to a shard of\n"
        "its own. rt-storage(1) lists the options of job files. Or says which jobs of one result\n"
        "(--json, or fio's) are slower than those of another.\n"
        "\n"
        "  --json             report in fio's JSON, not as text\n"
        "  --output FILE      the report goes to this file, not to standard output\n"
        "  --html FILE        also a page with plots, which needs no other file\n"
        "  --allow-overwrite  jobs may write to block devices, and to files that rt-storage has\n"
        "                     not made\n"
        "  --parse-only       check the job file, show its jobs with all defaults, run nothing\n"
        "  --threshold PCT    for compare: a change below this is none; default 3\n"
        "  --help             this text\n"
        "  --version          the version\n"
        "\n"
        "Exit status: 0 when all went well; 1 when a job failed, was interrupted, or is slower\n"
        "than it was; 2 when the command line or a file is wrong, and then nothing was run.\n"
        "\n"
        "Of the runtime:\n"
        "\n",
        stream);
    fputs(rt_config_help(), stream);
}

static bool read_threshold(struct options *options, const char *text)
{
    char *end;
    const double percent = strtod(text, &end);

    if (end == text || *end != '\0' || !(percent >= 0 && percent <= THRESHOLD_MAX)) {
        fprintf(stderr, "rt-storage: --threshold %s: expected a percent, 0 to %d\n", text,
                THRESHOLD_MAX);
        return false;
    }
    options->threshold = percent / 100;
    return true;
}

static bool take(struct options *options, int option)
{
    switch (option) {
    case 't':
        return read_threshold(options, optarg);
    case 'j':
        options->json = true;
        return true;
    case 'o':
        options->output = optarg;
        return true;
    case 'H':
        options->html = optarg;
        return true;
    case 'w':
        options->allow_overwrite = true;
        return true;
    case 'p':
        options->parse_only = true;
        return true;
    default: /* getopt_long() has said why */
        fputs("rt-storage --help lists the options\n", stderr);
        return false;
    }
}

/* What the command is, and whether what was given fits it. */
static bool read_command(struct options *options, int count, char **arguments)
{
    const bool compares = count > 0 && strcmp(arguments[0], "compare") == 0;
    const int files = compares ? count - 1 : count;
    const int wanted = compares ? 2 : 1;

    if (files != wanted) {
        fprintf(stderr, "rt-storage: expected %s, not %d; see --help\n",
                compares ? "two results to compare" : "one job file", files);
        return false;
    }
    if (compares && (options->html != NULL || options->allow_overwrite || options->parse_only)) {
        fputs("rt-storage: compare takes --json, --output and --threshold only\n", stderr);
        return false;
    }
    if (!compares && options->threshold >= 0) {
        fputs("rt-storage: --threshold is for compare\n", stderr);
        return false;
    }
    options->command = compares ? COMMAND_COMPARE : COMMAND_RUN;
    for (int i = 0; i < files; i++) {
        options->files[i] = arguments[compares + i];
    }
    return true;
}

enum options_result options_parse(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {
        { "json", no_argument, NULL, 'j' },
        { "output", required_argument, NULL, 'o' },
        { "html", required_argument, NULL, 'H' },
        { "allow-overwrite", no_argument, NULL, 'w' },
        { "parse-only", no_argument, NULL, 'p' },
        { "threshold", required_argument, NULL, 't' },
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },
        { NULL, 0, NULL, 0 },
    };
    int option;

    *options = (struct options){ .threshold = -1 };
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == 'h') {
            usage(stdout);
            return OPTIONS_DONE;
        }
        if (option == 'V') {
            printf("rt-storage %s\n", RT_VERSION);
            return OPTIONS_DONE;
        }
        if (!take(options, option)) {
            return OPTIONS_WRONG;
        }
    }
    if (!read_command(options, argc - optind, argv + optind)) {
        return OPTIONS_WRONG;
    }
    if (options->threshold < 0) {
        options->threshold = COMPARE_THRESHOLD;
    }
    return OPTIONS_RUN;
}
