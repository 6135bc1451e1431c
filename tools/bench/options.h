/* SPDX-License-Identifier: MIT */
/* The command line of rt-bench. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compare.h"

#define LOADS_MAX 32

struct options {
    const char *command; /* "run", "list", "compare" or "report" */
    char **files;        /* what follows the command */
    int file_count;
    const char *filter, *cpus, *html, *histograms, *peers_directory;
    const char *loads[LOADS_MAX];
    size_t load_count;
    double seconds;
    unsigned passes;
    uint64_t seed;
    bool quick, json, csv, peers, pairs, at_once;
    struct bench_compare_options compare;
};

/* 0 to go on; 1: all is said, leave with status 0; 2: leave with status 2, after a message. */
int options_read(struct options *options, int argc, char **argv);

#endif /* BENCH_OPTIONS_H */
