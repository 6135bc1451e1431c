/* SPDX-License-Identifier: MIT */
/* Campaign: see campaign.h. */
#include "campaign.h"

#include <fcntl.h>
#include <math.h>
#include <rt/rt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "counters.h"
#include "figures.h"
#include "machine.h"
#include "own_group.h"
#include "stats.h"

#define PASS_LEAST   0.02 /* seconds for a row at a place in one pass */
#define PASS_SEEDS   1000 /* of the repetitions of a pass */
#define QUICK_LEAST  0.2  /* seconds for a row at a place: calibration, 3 repetitions, each pass */
#define TEXT_BYTES   160

/* How far it is. */
struct progress {
    size_t done, all; /* measurements: each pass of each row at each place is one */
    unsigned pass;
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
    char note[2 * TEXT_BYTES];

    if (progress->done > 0) {
        const double each = (double)(rt_now() - progress->begun) / (double)progress->done;

        snprintf(left, sizeof(left), ", %.0f s left",
                 ceil(each * (double)(progress->all - progress->done) / 1e9));
    }
    if (cpus != NULL) {
        snprintf(place, sizeof(place), cpus[1] < 0 ? "CPU %d" : "CPUs %d, %d", cpus[0], cpus[1]);
    }
    snprintf(note, sizeof(note), "row %s on %s", row, place);
    own_group_note(note);
    if (progress->shown) {
        fprintf(stderr, "\r\033[K[%zu/%zu] %s on %s%s ", progress->done + 1, progress->all, row,
                place, left);
    }
}

static void clear_progress(const struct progress *progress)
{
    if (progress->shown) {
        fprintf(stderr, "\r\033[K");
    }
}

/* The result of a pass joins those of the passes before it. After the last it has its figures. */
static void take_result(const struct campaign *campaign, json_t *results, size_t number,
                        json_t *pass, struct progress *progress)
{
    json_t *result;

    if (progress->pass == 0) {
        json_array_append_new(results, pass);
    } else {
        figures_add(json_array_get(results, number), pass);
        json_decref(pass);
    }
    result = json_array_get(results, number);
    clear_progress(progress);
    progress->done++;
    if (progress->pass + 1 == campaign->passes) {
        figures_set(result);
        if (campaign->show != NULL) {
            campaign->show(result, campaign->show_arg);
        }
    }
}

/* What passes differ in: their seeds, the last one records, and where all together have a deadline,
 * what is left of the time is divided anew. */
static struct settings settings_of(const struct campaign *campaign, const struct progress *progress)
{
    struct settings settings = campaign->settings;

    settings.seconds /= campaign->passes;
    if (campaign->quick_seconds > 0) {
        const double used = (double)(rt_now() - progress->begun) / 1e9;

        settings.seconds = fmax(PASS_LEAST, (campaign->quick_seconds - used) /
                                                (double)(progress->all - progress->done));
    }
    settings.seed += (uint64_t)progress->pass * PASS_SEEDS;
    settings.record = progress->pass + 1 == campaign->passes;
    return settings;
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

size_t campaign_count(const struct campaign *campaign)
{
    size_t all = 0;

    for (size_t i = 0; i < campaign->rows.count; i++) {
        all += places_of(campaign, campaign->rows.rows[i]);
    }
    return all;
}

/* The time of --quick is over: what has not begun is left out. */
static bool is_late(const struct campaign *campaign, const struct progress *progress)
{
    return campaign->quick_seconds > 0 &&
           (double)(rt_now() - progress->begun) / 1e9 > campaign->quick_seconds;
}

/* Results begin at `number`. */
static void measure_in_turn(const struct campaign *campaign, const struct rt_bench_row *row,
                            json_t *results, size_t number, struct progress *progress)
{
    for (size_t i = 0; i < places_of(campaign, row) && !is_late(campaign, progress); i++) {
        const struct settings settings = settings_of(campaign, progress);
        int32_t cpus[2];

        find_place(campaign, row, i, cpus);
        show_progress(progress, row->name, cpus);
        take_result(campaign, results, number + i, measure(row, cpus, &settings), progress);
    }
}

/* All cores at once */

/* What a worker is told to do. */
struct order {
    size_t row;
    struct settings settings;
};

/* The worker's: for each row that it is told to, measure and write the result. */
static _Noreturn void work(const struct campaign *campaign, size_t core, FILE *go, FILE *results,
                           pid_t parent)
{
    const int32_t cpus[2] = { campaign->cpus[core], -1 };
    struct order order;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(1);
    }
    if (go == NULL || results == NULL) {
        _exit(1);
    }
    (void)counters_open(); /* the parent's count the parent */
    while (fread(&order, sizeof(order), 1, go) == 1) {
        json_t *result = measure(campaign->rows.rows[order.row], cpus, &order.settings);

        if (json_dumpf(result, results, JSON_COMPACT) != 0 || fflush(results) != 0) {
            _exit(1);
        }
        json_decref(result);
    }
    _exit(0);
}

static bool start_worker(const struct campaign *campaign, size_t core, struct worker *worker)
{
    int go[2];
    int results[2];
    pid_t parent;

    *worker = (struct worker){ .pid = -1 };
    if (pipe2(go, O_CLOEXEC) < 0 || pipe2(results, O_CLOEXEC) < 0) { /* peers get no copies */
        perror("rt-bench: pipe");
        return false;
    }
    fflush(NULL);
    parent = getpid();
    worker->pid = fork();
    if (worker->pid == 0) {
        close(go[1]);
        close(results[0]);
        work(campaign, core, fdopen(go[0], "r"), fdopen(results[1], "w"), parent);
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

/* One that has ended in the middle of a row: the row has failed there, and a new one goes on. */
static json_t *replace_worker(const struct campaign *campaign, size_t row, size_t core,
                              struct worker *worker)
{
    const int32_t cpus[2] = { campaign->cpus[core], -1 };
    char text[TEXT_BYTES];
    int status = 0;

    fclose(worker->go);
    fclose(worker->results);
    (void)waitpid(worker->pid, &status, 0);
    if (WIFSIGNALED(status)) {
        snprintf(text, sizeof(text), "its process has ended by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    } else {
        snprintf(text, sizeof(text), "it has ended its process with status %d",
                 WEXITSTATUS(status));
    }
    return start_worker(campaign, core, worker)
               ? measure_failed(campaign->rows.rows[row], cpus, &campaign->settings, text)
               : NULL;
}

/* Tell all of them at the same time, then wait for each. */
static bool measure_at_once(const struct campaign *campaign, size_t row, struct worker *workers,
                            json_t *results, size_t number, struct progress *progress)
{
    struct order order = { row, settings_of(campaign, progress) };

    if (campaign->quick_seconds > 0) { /* all at once take the time of one */
        order.settings.seconds *= (double)campaign->cpu_count;
    }
    show_progress(progress, campaign->rows.rows[row]->name, NULL);
    for (size_t i = 0; i < campaign->cpu_count; i++) {
        if (fwrite(&order, sizeof(order), 1, workers[i].go) != 1 || fflush(workers[i].go) != 0) {
            return false;
        }
    }
    for (size_t i = 0; i < campaign->cpu_count; i++) {
        json_t *result = json_loadf(workers[i].results, JSON_DISABLE_EOF_CHECK, NULL);

        if (result == NULL) {
            result = replace_worker(campaign, row, i, &workers[i]);
        }
        if (result == NULL) {
            return false;
        }
        take_result(campaign, results, number + i, result, progress);
    }
    return true;
}

/* Each one ends with its input. The later ones have copies of it: so all are closed first. */
static void stop_workers(struct worker *workers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (workers[i].go != NULL &&
            workers[i].results != NULL) { /* else it could not be replaced */
            fclose(workers[i].go);
            fclose(workers[i].results);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (workers[i].pid > 0) {
            (void)waitpid(workers[i].pid, NULL, 0);
        }
    }
}

static bool start_workers(const struct campaign *campaign, struct worker **workers)
{
    size_t started = 0;

    *workers = calloc(campaign->cpu_count, sizeof(**workers));
    while (*workers != NULL && started < campaign->cpu_count) {
        if (!start_worker(campaign, started, &(*workers)[started])) {
            stop_workers(*workers, started);
            return false;
        }
        started++;
    }
    return *workers != NULL;
}

/* All rows at all places once. `workers`: of --at-once, else NULL. */
static bool run_pass(const struct campaign *campaign, struct worker *workers, json_t *results,
                     struct progress *progress)
{
    size_t number = 0;

    for (size_t i = 0; i < campaign->rows.count; i++) {
        const struct rt_bench_row *row = campaign->rows.rows[i];

        if (is_late(campaign, progress)) {
            break;
        }
        if (workers == NULL || row->kind == RT_BENCH_PAIR) {
            measure_in_turn(campaign, row, results, number, progress);
        } else if (!measure_at_once(campaign, i, workers, results, number, progress)) {
            fprintf(stderr, "rt-bench: --at-once: the process of a core has failed\n");
            return false;
        }
        number += places_of(campaign, row);
    }
    return true;
}

/* Divide the time of --quick. When there are too many places for it, the first CPUs must do. */
static void divide_time(struct campaign *campaign, json_t *machine)
{
    const size_t cpus = campaign->cpu_count;
    char text[TEXT_BYTES];

    while (campaign->cpu_count > 2 &&
           (double)campaign_count(campaign) * QUICK_LEAST > campaign->quick_seconds) {
        campaign->cpu_count--;
    }
    if (campaign->cpu_count < cpus) {
        snprintf(text, sizeof(text),
                 "--quick has time for %zu of %zu CPUs; without it all are measured",
                 campaign->cpu_count, cpus);
        machine_warn(machine, text);
    }
    campaign->settings.seconds = campaign->quick_seconds / (double)campaign_count(campaign);
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

static void warn_of_lateness(const struct progress *progress, json_t *machine)
{
    char text[TEXT_BYTES];

    snprintf(text, sizeof(text),
             "--quick had no time for %zu of %zu measurements; without it all are made",
             progress->all - progress->done, progress->all);
    machine_warn(machine, text);
}

bool campaign_run(struct campaign *campaign, json_t *machine, json_t *results)
{
    struct progress progress = { .begun = rt_now(), .shown = isatty(STDERR_FILENO) == 1 };
    struct worker *workers = NULL;
    bool ok = true;

    warn_of_rows_left_out(campaign, machine);
    if (campaign->quick_seconds > 0) {
        divide_time(campaign, machine);
    }
    progress.all = campaign_count(campaign) * campaign->passes;
    if (campaign->settings.at_once && !start_workers(campaign, &workers)) {
        free(workers);
        return false;
    }
    for (; ok && progress.pass < campaign->passes; progress.pass++) {
        ok = run_pass(campaign, workers, results, &progress);
    }
    if (workers != NULL) {
        stop_workers(workers, campaign->cpu_count);
        free(workers);
    }
    if (ok && progress.done < progress.all) {
        warn_of_lateness(&progress, machine);
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

    json_array_foreach (results, i, one) {
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
    json_t **alike = calloc(most, sizeof(void *));
    struct bench_summary *cores = calloc(most, sizeof(*cores));
    size_t i;
    json_t *one;

    json_array_foreach (results, i, one) {
        json_object_set_new(one, "outlier", json_null());
    }
    json_array_foreach (results, i, one) {
        const size_t count = alike == NULL || cores == NULL ? 0 : find_alike(results, one, alike);

        if (count > 0 && alike[0] == one) { /* once for each row */
            name_outliers(alike, cores, count);
        }
    }
    free(alike);
    free(cores);
}
