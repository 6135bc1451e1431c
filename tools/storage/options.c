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

#define THRESHOLD_MAX 1000  /* percent */
#define TIME_MIN      0.001 /* seconds */
#define TIME_MAX      3600.0
#define TIME_DEFAULT  RT_MILLISECONDS(200)

static void usage(FILE *stream)
{
    fputs(
        "usage: rt-storage [options] JOBFILE\n"
        "       rt-storage compare [--json] [--output FILE] [--threshold PCT] OLD NEW\n"
        "       rt-storage calibrate [--json | --config] [--write] [--time S] PATH\n"
        "\n"
        "Runs the storage jobs of a job file in fio's syntax, each instance pinned to a shard of\n"
        "its own. rt-storage(1) lists the options of job files. Or says which jobs of one result\n"
        "(--json, or fio's) are slower than those of another. Or measures what requests cost the\n"
        "device under a file, or under one that is made in a folder and removed.\n"
        "\n"
        "  --json             report in fio's JSON, not as text\n"
        "  --output FILE      the report goes to this file, not to standard output\n"
        "  --html FILE        also a page with plots, which needs no other file\n"
        "  --allow-overwrite  jobs may write to block devices, and to files that rt-storage has\n"
        "                     not made\n"
        "  --parse-only       check the job file, show its jobs with all defaults, run nothing\n"
        "  --threshold PCT    for compare: a change below this is none; default 3\n"
        "  --config           for calibrate: the model as the library reads it\n"
        "  --write            for calibrate: writes too, over what the file holds\n"
        "  --time S           for calibrate: seconds of each measurement; default 0.2\n"
        "  --help             this text\n"
        "  --version          the version\n"
        "\n"
        "Exit status: 0 when all went well; 1 when a job failed, was interrupted, or is slower\n"
        "than it was, or a model is bad; 2 when the command line or a file is wrong, and then\n"
        "nothing was run.\n"
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

static bool read_seconds(struct options *options, const char *text)
{
    char *end;
    const double seconds = strtod(text, &end);

    if (end == text || *end != '\0' || !(seconds >= TIME_MIN && seconds <= TIME_MAX)) {
        fprintf(stderr, "rt-storage: --time %s: expected seconds, %g to %g\n", text, TIME_MIN,
                TIME_MAX);
        return false;
    }
    options->time = (rt_time)(seconds * (double)RT_SECONDS(1));
    return true;
}

static bool take(struct options *options, int option)
{
    switch (option) {
    case 't':
        return read_threshold(options, optarg);
    case 'T':
        return read_seconds(options, optarg);
    case 'c':
        options->config = true;
        return true;
    case 'W':
        options->write = true;
        return true;
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

static const struct {
    const char *word; /* NULL: none */
    int files;
    const char *wants;
} commands[] = {
    [COMMAND_RUN] = { NULL, 1, "one job file" },
    [COMMAND_COMPARE] = { "compare", 2, "two results to compare" },
    [COMMAND_CALIBRATE] = { "calibrate", 1, "one file, device or folder to calibrate" },
};

/* Whether what was given fits the command. */
static bool check_options(const struct options *options)
{
    const bool runs = options->command == COMMAND_RUN;
    const bool compares = options->command == COMMAND_COMPARE;
    const bool calibrates = options->command == COMMAND_CALIBRATE;
    const struct {
        bool wrong;
        const char *text;
    } rules[] = {
        { compares && options->allow_overwrite, "compare does not take --allow-overwrite" },
        { !runs && options->html != NULL, "--html is for job files" },
        { !runs && options->parse_only, "--parse-only is for job files" },
        { !compares && options->threshold >= 0, "--threshold is for compare" },
        { !calibrates && options->config, "--config is for calibrate" },
        { !calibrates && options->write, "--write is for calibrate" },
        { !calibrates && options->time > 0, "--time is for calibrate; a job has its runtime" },
        { options->json && options->config, "--json or --config, not both" },
    };

    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (rules[i].wrong) {
            fprintf(stderr, "rt-storage: %s\n", rules[i].text);
            return false;
        }
    }
    return true;
}

/* What the command is, and what it works on. */
static bool read_command(struct options *options, int count, char **arguments)
{
    options->command = COMMAND_RUN;
    for (enum options_command c = COMMAND_COMPARE; c <= COMMAND_CALIBRATE; c++) {
        if (count > 0 && strcmp(arguments[0], commands[c].word) == 0) {
            options->command = c;
            arguments++;
            count--;
            break;
        }
    }
    if (count != commands[options->command].files) {
        fprintf(stderr, "rt-storage: expected %s, not %d; see --help\n",
                commands[options->command].wants, count);
        return false;
    }
    for (int i = 0; i < count; i++) {
        options->files[i] = arguments[i];
    }
    return check_options(options);
}

enum options_result options_parse(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {
        { "json", no_argument, NULL, 'j' },       { "output", required_argument, NULL, 'o' },
        { "html", required_argument, NULL, 'H' }, { "allow-overwrite", no_argument, NULL, 'w' },
        { "parse-only", no_argument, NULL, 'p' }, { "threshold", required_argument, NULL, 't' },
        { "config", no_argument, NULL, 'c' },     { "write", no_argument, NULL, 'W' },
        { "time", required_argument, NULL, 'T' }, { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },    { NULL, 0, NULL, 0 },
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
    if (options->time == 0) {
        options->time = TIME_DEFAULT;
    }
    return OPTIONS_RUN;
}
