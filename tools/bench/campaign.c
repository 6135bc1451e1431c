/* SPDX-License-Identifier: MIT */
/* Campaign: see campaign.h. */
#include "campaign.h"

#include <errno.h>
#include <math.h>
#include <rt/rt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "counters.h"
#include "machine.h"
#include "stats.h"

#define QUICK_LEAST 0.15 /* seconds for a row at a place: calibration, and 3 repetitions */
#define TEXT_BYTES  160

/* How far it is. */
struct progress {
    size_t done, all;
    rt_time begun;
    bool shown; /* standard error is a terminal */
};

/* A process that measures on one core while others do on theirs. */
struct worker {
    pid_t pid;
    FILE *go, *results;
};

static void show_progress(struct progress *progress, const char *row, const int32_t *cpus)
{
    char left[TEXT_BYTES] = "";
    char place[TEXT_BYTES] = "all CPUs";

    if (!progress->shown) {
        return;
    }
    if (progress->done > 0) {
        const double each = (double)(rt_now() - progress->begun) / (double)progress->done;

        snprintf(left, sizeof(left), ", %.0f s left",
                 ceil(each * (double)(progress->all - progress->done) / 1e9));
    }
    if (cpus != NULL) {
        snprintf(place, sizeof(place), cpus[1] < 0 ? "CPU %d" : "CPUs %d, %d", cpus[0], cpus[1]);
    }
    fprintf(stderr, "\r\033[K[%zu/%zu] %s on %s%s ", progress->done + 1, progress->all, row, place,
            left);
}

static void clear_progress(const struct progress *progress)
{
    if (progress->shown) {
        fprintf(stderr, "\r\033[K");
    }
}

static void take_result(const struct campaign *campaign, json_t *results, json_t *result,
                        struct progress *progress)
{
    json_array_append_new(results, result);
    clear_progress(progress);
    progress->done++;
    if (campaign->show != NULL) {
        campaign->show(result, campaign->show_arg);
    }
}

static bool is_in_matrix(const struct campaign *campaign, const struct rt_bench_row *row)
{
    return campaign->pairs && row->kind == RT_BENCH_PAIR && (row->flags & RT_BENCH_MATRIX) != 0;
}

static size_t places_of(const struct campaign *campaign, const struct rt_bench_row *row)
{
    const size_t n = campaign->cpu_count;

    if (row->kind == RT_BENCH_CORE) {
        return n;
    }
    return n < 2 ? 0 : is_in_matrix(campaign, row) ? n * (n - 1) : 1;
}

/* The place of this number, from 0. */
static void find_place(const struct campaign *campaign, const struct rt_bench_row *row,
                       size_t number, int32_t cpus[2])
{
    const size_t others = campaign->cpu_count - 1;

    if (row->kind == RT_BENCH_CORE) {
        cpus[0] = campaign->cpus[number];
        cpus[1] = -1;
        return;
    }
    cpus[0] = campaign->cpus[number / others];
    cpus[1] = campaign->cpus[number % others + (number % others >= number / others ? 1 : 0)];
}

static size_t count_all(const struct campaign *campaign)
{
    size_t all = 0;

    for (size_t i = 0; i < campaign->rows.count; i++) {
        all += places_of(campaign, campaign->rows.rows[i]);
    }
    return all;
}

static void measure_in_turn(struct campaign *campaign, const struct rt_bench_row *row,
                            json_t *results, struct progress *progress)
{
    for (size_t i = 0; i < places_of(campaign, row); i++) {
        int32_t cpus[2];

        find_place(campaign, row, i, cpus);
        show_progress(progress, row->name, cpus);
        take_result(campaign, results, measure(row, cpus, &campaign->settings), progress);
    }
}

/* All cores at once */

/* The worker's: for each row that it is told to, measure and write the result. */
static _Noreturn void work(const struct campaign *campaign, size_t core, FILE *go, FILE *results)
{
    const int32_t cpus[2] = { campaign->cpus[core], -1 };
    int number;

    (void)counters_open(); /* the parent's count the parent */
    while ((number = fgetc(go)) != EOF) {
        size_t row = (size_t)number << 8;

        row |= (size_t)(number = fgetc(go));
        if (number == EOF ||
            json_dumpf(measure(campaign->rows.rows[row], cpus, &campaign->settings), results,
                       JSON_COMPACT) != 0 ||
            fputc('\n', results) == EOF || fflush(results) != 0) {
            _exit(1);
        }
    }
    _exit(0);
}

static bool start_worker(const struct campaign *campaign, size_t core, struct worker *worker)
{
    int go[2];
    int results[2];

    if (pipe(go) < 0 || pipe(results) < 0) {
        perror("rt-bench: pipe");
        return false;
    }
    fflush(NULL);
    worker->pid = fork();
    if (worker->pid == 0) {
        close(go[1]);
        close(results[0]);
        work(campaign, core, fdopen(go[0], "r"), fdopen(results[1], "w"));
    }
    close(go[0]);
    close(results[1]);
    worker->go = fdopen(go[1], "w");
    worker->results = fdopen(results[0], "r");
    if (worker->pid < 0) {
        perror("rt-bench: fork");
    }
    return worker->pid > 0 && worker->go != NULL && worker->results != NULL;
}

/* Tell all of them at the same time, then wait for each. */
static bool measure_at_once(struct campaign *campaign, size_t row, struct worker *workers,
                            json_t *results, struct progress *progress)
{
    show_progress(progress, campaign->rows.rows[row]->name, NULL);
    for (size_t i = 0; i < campaign->cpu_count; i++) {
        fputc((int)(row >> 8), workers[i].go);
        fputc((int)(row & 255), workers[i].go);
        if (fflush(workers[i].go) != 0) {
            return false;
        }
    }
    for (size_t i = 0; i < campaign->cpu_count; i++) {
        json_t *result = json_loadf(workers[i].results, JSON_DISABLE_EOF_CHECK, NULL);

        if (result == NULL) {
            return false;
        }
        (void)fgetc(workers[i].results); /* the end of the line */
        take_result(campaign, results, result, progress);
    }
    return true;
}

/* Each one ends with its input. The later ones have copies of it: so all are closed first. */
static void stop_workers(struct worker *workers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fclose(workers[i].go);
        fclose(workers[i].results);
    }
    for (size_t i = 0; i < count; i++) {
        (void)waitpid(workers[i].pid, NULL, 0);
    }
}

static bool run_at_once(struct campaign *campaign, json_t *results, struct progress *progress)
{
    struct worker *workers = calloc(campaign->cpu_count, sizeof(*workers));
    size_t started = 0;
    bool ok = workers != NULL;

    while (ok && started < campaign->cpu_count) {
        ok = start_worker(campaign, started, &workers[started]);
        started += ok;
    }
    for (size_t i = 0; ok && i < campaign->rows.count; i++) {
        if (campaign->rows.rows[i]->kind == RT_BENCH_CORE) {
            ok = measure_at_once(campaign, i, workers, results, progress);
        }
    }
    if (!ok) {
        fprintf(stderr, "rt-bench: --at-once: a process of a core has failed\n");
    }
    stop_workers(workers, started);
    free(workers);
    return ok;
}

/* Divide the time of --quick. When there are too many places for it, the first CPUs must do. */
static void divide_time(struct campaign *campaign, json_t *machine)
{
    const size_t cpus = campaign->cpu_count;
    char text[TEXT_BYTES];

    while (campaign->cpu_count > 2 &&
           (double)count_all(campaign) * QUICK_LEAST > campaign->quick_seconds) {
        campaign->cpu_count--;
    }
    if (campaign->cpu_count < cpus) {
        snprintf(text, sizeof(text),
                 "--quick has time for %zu of %zu CPUs; without it all are measured",
                 campaign->cpu_count, cpus);
        machine_warn(machine, text);
    }
    campaign->settings.seconds = campaign->quick_seconds / (double)count_all(campaign);
}

static void warn_of_rows_left_out(const struct campaign *campaign, json_t *machine)
{
    for (size_t i = 0; i < campaign->rows.count; i++) {
        if (places_of(campaign, campaign->rows.rows[i]) == 0) {
            machine_warn(machine, "rows between two CPUs are left out: there is only one to use");
            return;
        }
    }
}

bool campaign_run(struct campaign *campaign, json_t *machine, json_t *results)
{
    struct progress progress = { .begun = rt_now(), .shown = isatty(STDERR_FILENO) == 1 };
    bool ok = true;

    warn_of_rows_left_out(campaign, machine);
    if (campaign->quick_seconds > 0) {
        divide_time(campaign, machine);
    }
    progress.all = count_all(campaign);
    if (campaign->settings.at_once) {
        ok = run_at_once(campaign, results, &progress);
    }
    for (size_t i = 0; ok && i < campaign->rows.count; i++) {
        if (!campaign->settings.at_once || campaign->rows.rows[i]->kind == RT_BENCH_PAIR) {
            measure_in_turn(campaign, campaign->rows.rows[i], results, &progress);
        }
    }
    return ok;
}

/* Outliers */

/* The results of the same row on single cores, without those that failed. Returns how many. */
static size_t find_alike(json_t *results, const json_t *like, json_t **alike)
{
    size_t count = 0;
    size_t i;
    json_t *one;

    json_array_foreach(results, i, one)
    {
        if (json_is_real(json_object_get(one, "value")) &&
            json_is_null(json_object_get(one, "core2")) &&
            json_equal(json_object_get(one, "name"), json_object_get(like, "name"))) {
            alike[count++] = one;
        }
    }
    return count;
}

static void name_outliers(json_t **alike, struct bench_summary *cores, size_t count)
{
    const bool rate = strcmp(json_string_value(json_object_get(alike[0], "unit")), "ns") != 0;
    char text[TEXT_BYTES];

    for (size_t i = 0; i < count; i++) {
        cores[i].median = json_real_value(json_object_get(alike[i], "value"));
        cores[i].mad = json_real_value(json_object_get(alike[i], "mad"));
        cores[i].low = json_real_value(json_object_get(alike[i], "low"));
        cores[i].high = json_real_value(json_object_get(alike[i], "high"));
    }
    for (size_t i = 0; count > 1 && i < count; i++) {
        const double by = bench_outlier_of(cores, count, i, rate);

        if (by != 0) {
            snprintf(text, sizeof(text), "%.0f %% %s the median of the other cores", fabs(by) * 100,
                     by > 0 ? "above" : "below");
            json_object_set_new(alike[i], "outlier", json_string(text));
        }
    }
}

void campaign_find_outliers(json_t *results)
{
    const size_t most = json_array_size(results);
    json_t **alike = calloc(most, sizeof(*alike));
    struct bench_summary *cores = calloc(most, sizeof(*cores));
    size_t i;
    json_t *one;

    json_array_foreach(results, i, one)
    {
        json_object_set_new(one, "outlier", json_null());
    }
    json_array_foreach(results, i, one)
    {
        const size_t count = alike == NULL || cores == NULL ? 0 : find_alike(results, one, alike);

        if (count > 0 && alike[0] == one) { /* once for each row */
            name_outliers(alike, cores, count);
        }
    }
    free(alike);
    free(cores);
}
