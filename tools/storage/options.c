/* SPDX-License-Identifier: MIT */
/* What rt-storage is told on its command line. */
#include "options.h"

#include <getopt.h>
#include <rt/rt.h>
#include <rt/start.h>
#include <stdio.h>

static void usage(FILE *stream)
{
    fputs(
        "usage: rt-storage [options] JOBFILE\n"
        "\n"
        "Runs the storage jobs of a job file in fio's syntax, each instance pinned to a shard of\n"
        "its own. rt-storage(1) lists the options of job files.\n"
        "\n"
        "  --json             report in fio's JSON, not as text\n"
        "  --output FILE      the report goes to this file, not to standard output\n"
        "  --html FILE        also a page with plots, which needs no other file\n"
        "  --allow-overwrite  jobs may write to block devices, and to files that rt-storage has\n"
        "                     not made\n"
        "  --parse-only       check the job file, show its jobs with all defaults, run nothing\n"
        "  --help             this text\n"
        "  --version          the version\n"
        "\n"
        "Exit status: 0 when all went well; 1 when a job failed or was interrupted; 2 when the\n"
        "command line or the job file is wrong, and then nothing was run.\n"
        "\n"
        "Of the runtime:\n"
        "\n",
        stream);
    fputs(rt_config_help(), stream);
}

static bool take(struct options *options, int option)
{
    switch (option) {
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

enum options_result options_parse(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {
        { "json", no_argument, NULL, 'j' },       { "output", required_argument, NULL, 'o' },
        { "html", required_argument, NULL, 'H' }, { "allow-overwrite", no_argument, NULL, 'w' },
        { "parse-only", no_argument, NULL, 'p' }, { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },    { NULL, 0, NULL, 0 },
    };
    int option;

    *options = (struct options){ 0 };
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
    if (argc - optind != 1) {
        fprintf(stderr, "rt-storage: expected one job file, not %d; see --help\n", argc - optind);
        return OPTIONS_WRONG;
    }
    options->jobfile = argv[optind];
    return OPTIONS_RUN;
}
