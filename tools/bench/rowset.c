/* SPDX-License-Identifier: MIT */
/* Rows: see rowset.h. */
#include "rowset.h"

#include <dlfcn.h>
#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rows/rows.h"

static bool say(const char *file, const char *what)
{
    fprintf(stderr, "rt-bench: --load %s: %s\n", file, what);
    return false;
}

static bool add(struct rowset *set, const struct rt_bench_row *rows, size_t count)
{
    const struct rt_bench_row **more = realloc(set->rows, (set->count + count) * sizeof(void *));

    if (more == NULL) {
        fprintf(stderr, "rt-bench: no memory for rows\n");
        return false;
    }
    set->rows = more;
    for (size_t i = 0; i < count; i++) {
        set->rows[set->count++] = &rows[i];
    }
    return true;
}

bool rowset_create(struct rowset *set)
{
    *set = (struct rowset){ .count = 0 };
    return add(set, bench_rows_core, bench_rows_core_count) &&
           add(set, bench_rows_batch, bench_rows_batch_count) &&
           add(set, bench_rows_tasks, bench_rows_tasks_count) &&
           add(set, bench_rows_queues, bench_rows_queues_count) &&
           add(set, bench_rows_locks, bench_rows_locks_count) &&
           add(set, bench_rows_channels, bench_rows_channels_count) &&
           add(set, bench_rows_xcore, bench_rows_xcore_count) &&
           add(set, bench_rows_service, bench_rows_service_count) &&
           add(set, bench_rows_nop, bench_rows_nop_count) &&
           add(set, bench_rows_file, bench_rows_file_count) &&
           add(set, bench_rows_stream, bench_rows_stream_count) &&
           add(set, bench_rows_read_many, bench_rows_read_many_count) &&
           add(set, bench_rows_names, bench_rows_names_count) &&
           add(set, bench_rows_blocking, bench_rows_blocking_count) &&
           add(set, bench_rows_echo, bench_rows_echo_count) &&
           add(set, bench_rows_foreign, bench_rows_foreign_count) &&
           add(set, bench_rows_start, bench_rows_start_count) &&
           add(set, bench_rows_time, bench_rows_time_count);
}

void rowset_destroy(struct rowset *set)
{
    free(set->rows);
    *set = (struct rowset){ .count = 0 };
}

static bool has_name(const struct rowset *set, const char *name)
{
    for (size_t i = 0; i < set->count; i++) {
        if (strcmp(set->rows[i]->name, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool check_row(const struct rowset *set, const struct rt_bench_row *row, const char *file)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    const uint32_t flags = RT_BENCH_SLEEPS | RT_BENCH_RECORDS | RT_BENCH_PLAIN | RT_BENCH_RATE |
                           RT_BENCH_MATRIX | RT_BENCH_LONG | RT_BENCH_WORKERS;

    if (row->name == NULL || row->name[0] == '\0' ||
        row->name[strspn(row->name, letters)] != '\0') {
        return say(file, "a row's name is missing, or has more than letters, digits and _");
    }
    if (has_name(set, row->name)) {
        fprintf(stderr, "rt-bench: --load %s: there is a row \"%s\" already\n", file, row->name);
        return false;
    }
    if (row->summary == NULL || (row->run == NULL && row->limit == NULL && row->bare == NULL) ||
        row->kind > RT_BENCH_PAIR || (row->flags & ~flags) != 0 || !(row->goal >= 0)) {
        fprintf(stderr,
                "rt-bench: --load %s: row \"%s\" lacks its summary or every side, or has a kind, "
                "flag or goal that there is not\n",
                file, row->name);
        return false;
    }
    return true;
}

bool rowset_load(struct rowset *set, const char *file)
{
    void *object = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    const struct rt_bench_module *module;

    if (object == NULL) {
        fprintf(stderr, "rt-bench: --load: %s%s\n", dlerror(),
                strchr(file, '/') == NULL ? " (for a file of this directory, write ./NAME)" : "");
        return false;
    }
    module = dlsym(object, "rt_bench_module");
    if (module == NULL) {
        return say(file, "it has no rows: RT_BENCH_ROWS() of rt/bench.h is missing");
    }
    if (module->version != RT_BENCH_VERSION || module->row_bytes != sizeof(struct rt_bench_row)) {
        return say(file, "it was compiled with another version of rt/bench.h: compile it again");
    }
    if (module->count == 0) {
        return say(file, "it has no rows: the array is empty");
    }
    for (uint32_t i = 0; i < module->count; i++) {
        if (!check_row(set, &module->rows[i], file) || !add(set, &module->rows[i], 1)) {
            return false;
        }
    }
    return true;
}

bool rowset_filter(struct rowset *set, const char *pattern)
{
    regex_t wanted;
    size_t kept = 0;
    const int r = regcomp(&wanted, pattern, REG_EXTENDED | REG_NOSUB);

    if (r != 0) {
        char text[128];

        regerror(r, &wanted, text, sizeof(text));
        fprintf(stderr, "rt-bench: --filter \"%s\": %s\n", pattern, text);
        return false;
    }
    for (size_t i = 0; i < set->count; i++) {
        if (regexec(&wanted, set->rows[i]->name, 0, NULL, 0) == 0) {
            set->rows[kept++] = set->rows[i];
        }
    }
    regfree(&wanted);
    set->count = kept;
    if (kept == 0) {
        fprintf(stderr, "rt-bench: --filter \"%s\" fits no row; rt-bench list shows them\n",
                pattern);
    }
    return kept > 0;
}

void rowset_drop_long(struct rowset *set)
{
    size_t kept = 0;

    for (size_t i = 0; i < set->count; i++) {
        if ((set->rows[i]->flags & RT_BENCH_LONG) == 0) {
            set->rows[kept++] = set->rows[i];
        }
    }
    set->count = kept;
}
