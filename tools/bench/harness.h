/* SPDX-License-Identifier: MIT */
/*
 * What the programs that set the runtime beside its limits share: options,
 * repetition in turn (limit, runtime, limit, runtime ...), median and spread.
 */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include <regex.h>
#include <stdbool.h>
#include <stdint.h>

/* An option with a value that a program has of its own. */
struct harness_option {
    const char *name;   /* "cpu", given as --cpu VALUE */
    const char *help;   /* "VALUE  what it means", one line */
    const char **value; /* untouched when the option is not given */
};

struct harness {
    int rounds;
    bool json;
    bool begun; /* a row was printed */
    regex_t wanted;
};

/* One repetition of a row, of its limit or of the runtime: ns per unit; 0 or below is a failure,
 * whose text was printed. */
typedef double (*harness_side)(const void *row, bool of_limit);

/*
 * Read the command line. `own` ends with a name of NULL; the options that all
 * have are --filter, --rounds, --json and --help. Returns true to go on; false
 * to leave main() with *status, after --help or a message.
 */
bool harness_begin(struct harness *harness, int argc, char **argv, const char *summary,
                   const struct harness_option *own, int *status);

/* Measure a row and print it, if the user wants it. `both`: the runtime has this row too. */
void harness_row(struct harness *harness, const char *name, harness_side side, bool both,
                 const void *row);

/* End the output. False, and a message, when no row was wanted. */
bool harness_end(struct harness *harness);

/* The middle of `count` values; sorts them. */
double harness_median(double *values, int count);

/* End the program: `what` has failed with `result`, an error of the runtime. */
_Noreturn void harness_give_up(const char *what, int result);

#endif /* BENCH_HARNESS_H */
