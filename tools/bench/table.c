/* SPDX-License-Identifier: MIT */
/* Results for people: see table.h. */
#include "table.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES   128
#define NAME_WIDTH   22
#define CELL_WIDTH   11
#define TABLE_CPUS   8 /* columns of the table by core that fit a line */
#define MATRIX_CPUS  16 /* beyond, the report in HTML shows more than a terminal can */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text == NULL ? "" : text;
}

static double number_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return json_is_number(value) ? json_number_value(value) : NAN;
}

static bool is_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

/* Three digits or so, with the unit that fits: "5.77 ns", "36.8 us", "113 M/s". */
static void format_figure(char *text, double value, bool rate)
{
    static const char *const times[] = { "ns", "us", "ms", "s" };
    static const char *const rates[] = { "/s", "k/s", "M/s", "G/s" };
    size_t scale = 0;

    if (!isfinite(value)) {
        snprintf(text, TEXT_BYTES, "-");
        return;
    }
    while (scale < 3 && fabs(value) >= (rate ? 1000 : 10000)) {
        value /= 1000;
        scale++;
    }
    snprintf(text, TEXT_BYTES, "%.*f %s",
             value < 10    ? 2
             : value < 100 ? 1
                           : 0,
             value, rate ? rates[scale] : times[scale]);
}

static bool is_rate(const json_t *result)
{
    return strcmp(text_of(result, "unit"), "ns") != 0;
}

static void format_place(char *text, const json_t *result)
{
    const json_t *second = json_object_get(result, "core2");
    int n = snprintf(text, TEXT_BYTES, "%.0f", number_of(result, "core"));

    if (json_is_integer(second)) {
        snprintf(text + n, TEXT_BYTES - (size_t)n, ",%.0f", json_number_value(second));
    }
}

/* The lines, as results come */

void table_begin(const json_t *machine)
{
    printf("shardrt %s (%s), Linux %s, %s\n%s with %s\n\n", text_of(machine, "version"),
           text_of(machine, "build"), text_of(machine, "kernel"), text_of(machine, "processor"),
           text_of(machine, "engine"), text_of(machine, "features"));
    printf("%-*s %-7s %*s %-8s %*s  %-24s %s\n", NAME_WIDTH, "row", "CPU", CELL_WIDTH, "shardrt",
           "+-", CELL_WIDTH, "limit", "times worse [interval]", "  heap enters");
    fflush(stdout);
}

/* What was seen per unit: allocations and enters of the ring. */
static void print_counts(const json_t *result)
{
    const double allocations = number_of(result, "allocations");
    const double enters = number_of(result, "enters");

    if (isfinite(allocations)) {
        printf(" %6.4g", allocations < 0.0005 ? 0 : allocations);
    } else {
        printf(" %6s", "-");
    }
    if (isfinite(enters)) {
        printf(" %6.2g", enters);
    } else {
        printf(" %6s", "-");
    }
}

static void print_peers(const json_t *result)
{
    size_t i;
    const json_t *peer;

    json_array_foreach (json_object_get(result, "peers"), i, peer) {
        char value[TEXT_BYTES];

        format_figure(value, number_of(peer, "value"), is_rate(result));
        printf("  %-*s %-5s %*s", NAME_WIDTH - 2, text_of(peer, "name"), "", CELL_WIDTH + 3, value);
        if (isfinite(number_of(peer, "ratio"))) {
            printf(" %*s %6.2f", 9 + CELL_WIDTH, "", number_of(peer, "ratio"));
        }
        putchar('\n');
    }
}

static void print_figures(const json_t *result)
{
    char value[TEXT_BYTES];
    char limit[TEXT_BYTES];
    char ratio[TEXT_BYTES] = "";
    char spread[TEXT_BYTES] = "";
    const bool rate = is_rate(result);
    const double figure = number_of(result, "value");

    format_figure(value, figure, rate);
    format_figure(limit, number_of(result, "limit"), rate);
    if (isfinite(figure)) {
        snprintf(spread, sizeof(spread), "%.1f %%", 100 * number_of(result, "mad") / figure);
    }
    if (isfinite(number_of(result, "ratio"))) {
        snprintf(ratio, sizeof(ratio), "%6.2f [%.2f..%.2f]%s", number_of(result, "ratio"),
                 number_of(result, "ratio_low"), number_of(result, "ratio_high"),
                 is_true(result, "over_goal") ? " !" : "");
    }
    printf("%*s %-8s %*s  %-24s", CELL_WIDTH, value, spread, CELL_WIDTH, limit, ratio);
    print_counts(result);
}

void table_result(json_t *result, void *arg)
{
    char place[TEXT_BYTES];
    const json_t *error = json_object_get(result, "error");

    (void)arg;
    format_place(place, result);
    printf("%-*s %-7s ", NAME_WIDTH, text_of(result, "name"), place);
    if (json_is_string(error)) {
        printf("failed: %s\n", json_string_value(error));
        return;
    }
    print_figures(result);
    if (is_true(result, "disturbed")) {
        printf("  disturbed: %s", text_of(result, "disturbance"));
    }
    putchar('\n');
    print_peers(result);
    fflush(stdout);
}

/* The tables */

/* The result of a row at a place; NULL: there is none. `second` below 0: of one core. */
static const json_t *find(const json_t *results, const char *name, double first, double second)
{
    size_t i;
    const json_t *one;

    json_array_foreach (results, i, one) {
        const double core2 = number_of(one, "core2");

        if (strcmp(text_of(one, "name"), name) == 0 && number_of(one, "core") == first &&
            (second < 0 ? isnan(core2) : core2 == second)) {
            return one;
        }
    }
    return NULL;
}

/* The CPUs of results, in the machine's order: neighbours stand together. */
static size_t find_cpus(const json_t *document, bool of_pairs, double *cpus)
{
    const json_t *results = json_object_get(document, "results");
    size_t count = 0;
    size_t i;
    const json_t *cpu;

    json_array_foreach (json_object_get(json_object_get(document, "machine"), "cpus"), i, cpu) {
        const double number = number_of(cpu, "number");
        size_t k;
        const json_t *one;

        json_array_foreach (results, k, one) {
            if (number_of(one, "core") == number && of_pairs == isfinite(number_of(one, "core2"))) {
                cpus[count++] = number;
                break;
            }
        }
    }
    return count;
}

static bool is_first(const json_t *results, size_t number, bool of_pairs)
{
    const json_t *like = json_array_get(results, number);

    for (size_t i = 0; i < number; i++) {
        const json_t *one = json_array_get(results, i);

        if (strcmp(text_of(one, "name"), text_of(like, "name")) == 0 &&
            of_pairs == isfinite(number_of(one, "core2"))) {
            return false;
        }
    }
    return of_pairs == isfinite(number_of(like, "core2"));
}

static void print_cell(const json_t *result)
{
    char text[TEXT_BYTES];
    char marked[TEXT_BYTES + 2];

    format_figure(text, result == NULL ? NAN : number_of(result, "value"),
                  result != NULL && is_rate(result));
    snprintf(marked, sizeof(marked), "%s%s", text,
             result != NULL && text_of(result, "outlier")[0] != '\0' ? " *" : "");
    printf(" %*s", CELL_WIDTH + 2, marked);
}

static void print_core_table(const json_t *results, const double *cpus, size_t count)
{
    size_t i;
    const json_t *one;

    printf("\n%-*s", NAME_WIDTH, "by CPU");
    for (size_t k = 0; k < count; k++) {
        printf(" %*.0f", CELL_WIDTH + 2, cpus[k]);
    }
    putchar('\n');
    json_array_foreach (results, i, one) {
        if (is_first(results, i, false)) {
            printf("%-*s", NAME_WIDTH, text_of(one, "name"));
            for (size_t k = 0; k < count; k++) {
                print_cell(find(results, text_of(one, "name"), cpus[k], -1));
            }
            putchar('\n');
        }
    }
}

static void print_outliers(const json_t *results)
{
    size_t i;
    const json_t *one;

    json_array_foreach (results, i, one) {
        if (text_of(one, "outlier")[0] != '\0') {
            printf("* CPU %.0f stands out in %s: %s\n", number_of(one, "core"),
                   text_of(one, "name"), text_of(one, "outlier"));
        }
    }
}

static const json_t *find_cpu(const json_t *machine, double number)
{
    size_t i;
    const json_t *cpu;

    json_array_foreach (json_object_get(machine, "cpus"), i, cpu) {
        if (number_of(cpu, "number") == number) {
            return cpu;
        }
    }
    return NULL;
}

/* What lies between two CPUs: the nearest thing that they share. */
static const char *between(const json_t *machine, double a, double b)
{
    static const char *const keys[] = { "core", "cache", "node", "package" };
    static const char *const names[] = { "one core", "one cache", "one node", "one package" };
    const json_t *first = find_cpu(machine, a);
    const json_t *second = find_cpu(machine, b);

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const double one = number_of(first, keys[i]);

        if (isfinite(one) && one == number_of(second, keys[i])) {
            return names[i];
        }
    }
    return "two packages";
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Of all pairs that are equally near: how many, and least, middle and most. */
static void print_group(const json_t *document, const char *name, const char *group)
{
    const json_t *results = json_object_get(document, "results");
    double *values = calloc(json_array_size(results), sizeof(double));
    char text[3][TEXT_BYTES];
    bool rate = false;
    size_t count = 0;
    size_t i;
    const json_t *one;

    json_array_foreach (results, i, one) {
        if (values != NULL && strcmp(text_of(one, "name"), name) == 0 &&
            isfinite(number_of(one, "value")) &&
            strcmp(between(json_object_get(document, "machine"), number_of(one, "core"),
                           number_of(one, "core2")),
                   group) == 0) {
            values[count++] = number_of(one, "value");
            rate = is_rate(one);
        }
    }
    if (count > 0) {
        qsort(values, count, sizeof(double), by_value);
        format_figure(text[0], values[0], rate);
        format_figure(text[1], values[count / 2], rate);
        format_figure(text[2], values[count - 1], rate);
        printf("  %-12s %4zu pairs: %s (%s to %s)\n", group, count, text[1], text[0], text[2]);
    }
    free(values);
}

static void print_matrix(const json_t *document, const char *name, const double *cpus, size_t count)
{
    static const char *const groups[] = { "one core", "one cache", "one node", "one package",
                                          "two packages" };
    const json_t *results = json_object_get(document, "results");

    printf("\n%s, from the CPU on the left to the one above:\n", name);
    if (count > MATRIX_CPUS) {
        printf("  %zu CPUs are too many for a terminal: --html draws them\n", count);
    }
    for (size_t row = 0; count <= MATRIX_CPUS && row <= count; row++) {
        if (row == 0) {
            printf("%5s", "");
        } else {
            printf("%5.0f", cpus[row - 1]);
        }
        for (size_t column = 0; column < count; column++) {
            if (row == 0) {
                printf(" %*.0f", CELL_WIDTH + 2, cpus[column]);
            } else {
                print_cell(find(results, name, cpus[row - 1], cpus[column]));
            }
        }
        putchar('\n');
    }
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        print_group(document, name, groups[i]);
    }
}

static size_t count_pairs(const json_t *results, const char *name)
{
    size_t count = 0;
    size_t i;
    const json_t *one;

    json_array_foreach (results, i, one) {
        count += strcmp(text_of(one, "name"), name) == 0;
    }
    return count;
}

static void print_matrices(const json_t *document)
{
    const json_t *machine = json_object_get(document, "machine");
    const json_t *results = json_object_get(document, "results");
    double *cpus = calloc(json_array_size(json_object_get(machine, "cpus")) + 1, sizeof(double));
    const size_t count = cpus == NULL ? 0 : find_cpus(document, true, cpus);
    size_t i;
    const json_t *one;

    json_array_foreach (results, i, one) {
        if (is_first(results, i, true) && count_pairs(results, text_of(one, "name")) > 1) {
            print_matrix(document, text_of(one, "name"), cpus, count);
        }
    }
    free(cpus);
}

static void print_cores(const json_t *document)
{
    const json_t *machine = json_object_get(document, "machine");
    const json_t *results = json_object_get(document, "results");
    double *cpus = calloc(json_array_size(json_object_get(machine, "cpus")) + 1, sizeof(double));
    const size_t count = cpus == NULL ? 0 : find_cpus(document, false, cpus);

    for (size_t i = 0; count > 1 && i < count; i += TABLE_CPUS) {
        print_core_table(results, cpus + i, count - i < TABLE_CPUS ? count - i : TABLE_CPUS);
    }
    print_outliers(results);
    free(cpus);
}

void table_end(const json_t *document)
{
    const json_t *machine = json_object_get(document, "machine");
    size_t i;
    const json_t *one;

    print_cores(document);
    print_matrices(document);
    if (json_is_string(json_object_get(machine, "hardware_counters"))) {
        printf("\nno instructions and cycles: %s\n", text_of(machine, "hardware_counters"));
    }
    json_array_foreach (json_object_get(machine, "warnings"), i, one) {
        printf("warning: %s\n", json_string_value(one));
    }
    fflush(stdout);
}
