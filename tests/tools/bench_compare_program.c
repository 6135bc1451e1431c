/* SPDX-License-Identifier: MIT */
/* bench_compare() and nothing around it, for bench_compare_test.py: rt-bench itself is not built
 * with sanitizers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"

/* bench_compare_program table|json best|value|ratio THRESHOLD A B */
int main(int argc, char **argv)
{
    struct bench_compare_options options = BENCH_COMPARE_OPTIONS;

    if (argc != 6 ||
        (strcmp(argv[2], "best") != 0 && !bench_compare_by_parse(&options.by, argv[2]))) {
        fprintf(stderr, "bench_compare_program: wrong arguments\n");
        return 99;
    }
    options.json = strcmp(argv[1], "json") == 0;
    options.threshold = strtod(argv[3], NULL);
    return bench_compare(argv[4], argv[5], &options, stdout);
}
