/* SPDX-License-Identifier: MIT */
/*
 * rt-bench: measures the primitives of the runtime beside their limits, on each
 * core and between cores; compares runs; shows them.
 *
 * All results are one JSON document (docs/tools/bench.md). A run makes it; the
 * table, the lines of --csv and the page of --html are made from it.
 */
#include <errno.h>
#include <jansson.h>
#include <rt/rt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "campaign.h"
#include "compare.h"
#include "csv.h"
#include "document.h"
#include "html.h"
#include "json_text.h"
#include "machine.h"
#include "options.h"
#include "own_group.h"
#include "peers.h"
#include "repetition.h"
#include "rowset.h"
#include "table.h"

#define EXIT_INPUT    2
#define QUICK_SECONDS 24.0 /* of 30: the rest is for starting, the last row, and writing */
#define JSON_STYLE    (JSON_INDENT(1) | JSON_REAL_PRECISION(9))

/* What the measuring process is given. */
struct run {
    const struct options *options;
    struct campaign campaign;
    int argc;
    char **argv;
};

/* Output of a document */

static bool write_page(const json_t *document, const char *file)
{
    char *text = json_dumps(document, JSON_COMPACT | JSON_REAL_PRECISION(9));
    FILE *out = text == NULL ? NULL : fopen(file, "we");
    int r = out == NULL ? -errno : bench_html_write(out, text);

    if (out != NULL && fclose(out) != 0 && r == 0) {
        r = -errno;
    }
    free(text);
    if (r < 0) {
        fprintf(stderr, "rt-bench: --html %s: %s\n", file, rt_strerror(r));
    }
    return r == 0;
}

/* All that was asked for, but the table's lines, which came before. */
static bool write_document(const json_t *document, const struct options *options)
{
    bool ok = true;

    if (options->json) {
        ok = json_dumpf(document, stdout, JSON_STYLE) == 0 && putchar('\n') != EOF;
    } else if (options->csv) {
        csv_write(document);
    } else {
        table_end(document);
    }
    if (!ok || fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "rt-bench: cannot write the results\n");
        return false;
    }
    return options->html == NULL || write_page(document, options->html);
}

/* Measuring */

static json_t *describe_settings(const struct run *run)
{
    const struct settings *settings = &run->campaign.settings;
    char command[1024] = "";
    size_t used = 0;

    for (int i = 0; i < run->argc && used < sizeof(command); i++) {
        used += (size_t)snprintf(command + used, sizeof(command) - used, "%s%s", i > 0 ? " " : "",
                                 i > 0 ? run->argv[i] : program_invocation_short_name);
    }
    return json_pack("{s:f, s:i, s:b, s:I, s:b, s:o}", "seconds", settings->seconds, "passes",
                     (int)run->campaign.passes, "quick", settings->quick, "seed",
                     (json_int_t)settings->seed, "at_once", settings->at_once, "command",
                     json_text(command));
}

static bool has_failed(const json_t *results)
{
    size_t i;
    const json_t *one;

    json_array_foreach (results, i, one) {
        if (json_is_string(json_object_get(one, "error"))) {
            return true;
        }
    }
    return false;
}

/* In the process of its own group. */
static int measure_all(void *arg, const char *no_preference)
{
    struct run *run = arg;
    const struct options *options = run->options;
    json_t *document = json_object();
    json_t *results = json_array();
    const char *no_counters = counters_open();
    const bool table = !options->json && !options->csv;
    json_t *machine = machine_describe(no_counters, repetition_calibrate());
    bool ok;

    if (machine == NULL) {
        return EXIT_INPUT; /* it has said why */
    }
    if (no_preference != NULL) {
        machine_warn(machine, no_preference);
    }
    if (table) {
        table_begin(machine);
        run->campaign.show = table_result;
    }
    ok = campaign_run(&run->campaign, machine, results);
    campaign_find_outliers(results);
    json_object_set_new(document, "schema", json_string(DOCUMENT_SCHEMA));
    json_object_set_new(document, "machine", machine);
    json_object_set_new(document, "settings", describe_settings(run));
    json_object_set_new(document, "results", results);
    ok = ok && write_document(document, options) && !has_failed(results);
    json_decref(document);
    return ok ? 0 : 1;
}

/* The CPUs to measure, as the planner chooses them for shards. */
static bool find_cpus(struct campaign *campaign, struct rt_plan **plan, const char *list)
{
    struct rt_config config = RT_CONFIG_INIT;
    int32_t *cpus;

    config.cpus = list;
    config.place = list == NULL ? RT_PLACE_CORE : RT_PLACE_PU; /* each one of a list */
    if (rt_plan_create(plan, &config) < 0) {
        return false; /* it has said why */
    }
    cpus = calloc((*plan)->shard_count, sizeof(*cpus));
    for (uint32_t i = 0; cpus != NULL && i < (*plan)->shard_count; i++) {
        cpus[i] = (*plan)->shards[i].cpu;
    }
    campaign->cpus = cpus;
    campaign->cpu_count = cpus == NULL ? 0 : (*plan)->shard_count;
    return cpus != NULL;
}

/* Before all is measured, not after it. */
static bool can_write(const struct options *options)
{
    struct stat folder = { .st_mode = S_IFDIR };
    FILE *page = options->html == NULL ? NULL : fopen(options->html, "ae");

    if (options->html != NULL && page == NULL) {
        fprintf(stderr, "rt-bench: --html %s: %s\n", options->html, strerror(errno));
        return false;
    }
    if (page != NULL) {
        fclose(page);
    }
    errno = 0;
    if (options->histograms != NULL &&
        ((mkdir(options->histograms, 0777) != 0 && errno != EEXIST) ||
         stat(options->histograms, &folder) != 0 || !S_ISDIR(folder.st_mode))) {
        fprintf(stderr, "rt-bench: --histograms %s: %s\n", options->histograms,
                strerror(S_ISDIR(folder.st_mode) ? errno : ENOTDIR));
        return false;
    }
    return true;
}

static bool prepare(struct run *run)
{
    const struct options *options = run->options;
    struct campaign *campaign = &run->campaign;

    campaign->pairs = options->pairs;
    campaign->passes = options->quick ? 1 : options->passes;
    campaign->quick_seconds = options->quick ? QUICK_SECONDS : 0;
    campaign->settings = (struct settings){ .seconds = options->seconds,
                                            .passes = campaign->passes,
                                            .seed = options->seed,
                                            .quick = options->quick,
                                            .at_once = options->at_once,
                                            .histograms = options->histograms };
    if (campaign_count(campaign) == 0) {
        fprintf(stderr, "rt-bench: these rows want two CPUs, and there is one to use\n");
        return false;
    }
    if (!can_write(options)) {
        return false;
    }
    if (options->peers) {
        campaign->settings.peers = peers_find(options->peers_directory);
    }
    return !options->peers || campaign->settings.peers != NULL;
}

static int run_command(struct run *run)
{
    struct rt_plan *plan = NULL;
    int status = EXIT_INPUT;

    if (find_cpus(&run->campaign, &plan, run->options->cpus) && prepare(run)) {
        status = own_group_run(measure_all, run);
    }
    peers_free(run->campaign.settings.peers);
    free((void *)run->campaign.cpus);
    rt_plan_destroy(plan);
    return status;
}

/* The other commands */

static int list_command(const struct rowset *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        const struct rt_bench_row *row = rows->rows[i];

        printf("%-22s %-4s  %s\n", row->name, row->kind == RT_BENCH_CORE ? "core" : "pair",
               row->summary);
    }
    return 0;
}

static int report_command(const struct options *options)
{
    struct document document;
    bool ok;
    size_t i;
    json_t *one;

    if (!document_open(&document, options->files[0])) {
        return EXIT_INPUT;
    }
    if (!options->json && !options->csv) {
        table_begin(json_object_get(document.root, "machine"));
        json_array_foreach (json_object_get(document.root, "results"), i, one) {
            table_result(one, NULL);
        }
    }
    ok = write_document(document.root, options);
    document_close(&document);
    return ok ? 0 : 1;
}

/* With the rows that are wanted. */
static int with_rows(struct run *run)
{
    const struct options *options = run->options;
    struct rowset *rows = &run->campaign.rows;
    bool ok = rowset_create(rows);
    int status = EXIT_INPUT;

    for (size_t i = 0; ok && i < options->load_count; i++) {
        ok = rowset_load(rows, options->loads[i]);
    }
    ok = ok && (options->filter == NULL || rowset_filter(rows, options->filter));
    if (ok && strcmp(options->command, "list") == 0) {
        status = list_command(rows);
    } else if (ok) {
        if (options->filter == NULL) {
            rowset_drop_long(rows);
        }
        status = run_command(run);
    }
    rowset_destroy(rows);
    return status;
}

/* What was written may still be in a buffer. */
static int finish(int status)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "rt-bench: cannot write: %s\n", strerror(errno));
        return status == 0 ? 1 : status;
    }
    return status;
}

int main(int argc, char **argv)
{
    struct options options;
    struct run run = { .options = &options, .argc = argc, .argv = argv };
    const int outcome = options_read(&options, argc, argv);

    if (outcome != 0) {
        return finish(outcome == 1 ? 0 : EXIT_INPUT);
    }
    if (strcmp(options.command, "compare") == 0) {
        return finish(bench_compare(options.files[0], options.files[1], &options.compare, stdout));
    }
    return finish(strcmp(options.command, "report") == 0 ? report_command(&options)
                                                         : with_rows(&run));
}
