/* SPDX-License-Identifier: MIT */
/* rt-storage: pinned storage workloads from job files. */
#include <errno.h>
#include <rt/rt.h>
#include <rt/start.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "calibrate.h"
#include "compare.h"
#include "job_print.h"
#include "jobfile.h"
#include "options.h"
#include "report.h"
#include "runner.h"

#define STATUS_WRONG 2 /* of what was asked; nothing was run */
#define FAULT_BYTES  256

/* The jobs as a job file, with all that was left to defaults. */
static int print_jobs(const struct jobfile *jobfile, FILE *out)
{
    for (size_t i = 0; i < jobfile->count; i++) {
        const struct job *job = &jobfile->jobs[i];

        job_print(job, i > 0 && job->stage > jobfile->jobs[i - 1].stage, out);
        fputs(i + 1 < jobfile->count ? "\n" : "", out);
    }
    return EXIT_SUCCESS;
}

/* Where reports go. */
struct outputs {
    FILE *report;
    FILE *page; /* NULL: none is wanted */
};

static int print_reports(const struct options *options, const struct result *result,
                         const struct outputs *outputs)
{
    int r = options->json ? report_json(outputs->report, result)
                          : report_text(outputs->report, result);

    if (r == 0 && outputs->page != NULL) {
        r = report_html(outputs->page, result);
    }
    if (r < 0) {
        fprintf(stderr, "rt-storage: writing the report: %s\n", rt_strerror(r));
    }
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Each failure is told here too: a report may go to a program. */
static int status_of(const struct result *result)
{
    int status = result->interrupted ? EXIT_FAILURE : EXIT_SUCCESS;

    for (size_t i = 0; i < result->count; i++) {
        if (result->jobs[i].error != 0) {
            fprintf(stderr, "rt-storage: job %s: %s\n", result->jobs[i].job->name,
                    result->jobs[i].error_text);
            status = EXIT_FAILURE;
        }
    }
    return status;
}

static int run_jobs(const struct options *options, const struct rt_config *config,
                    const struct jobfile *jobfile, const struct outputs *outputs)
{
    const struct run_options run_options = {
        .config = *config,
        .allow_overwrite = options->allow_overwrite,
        .progress = isatty(STDERR_FILENO) == 1,
    };
    struct result result;
    int status = EXIT_FAILURE;

    if (storage_run(jobfile->jobs, jobfile->count, &run_options, &result) == 0) {
        status = status_of(&result);
        if (print_reports(options, &result, outputs) != EXIT_SUCCESS) {
            status = EXIT_FAILURE;
        }
    }
    result_fini(&result);
    return status;
}

/* `path` NULL: standard output. */
static FILE *open_output(const char *path)
{
    FILE *out = path != NULL ? fopen(path, "we") : stdout;

    if (out == NULL) {
        fprintf(stderr, "rt-storage: %s: %s\n", path, strerror(errno));
    }
    return out;
}

/* The status to leave with: that of what was done, if it could be written. */
static int close_output(const char *path, FILE *out, int status)
{
    const bool lost = ferror(out) != 0;

    if (fclose(out) == 0 && !lost) {
        return status;
    }
    fprintf(stderr, "rt-storage: %s: %s\n", path != NULL ? path : "standard output",
            strerror(errno));
    return EXIT_FAILURE;
}

static int run_into(const struct options *options, const struct rt_config *config,
                    const struct jobfile *jobfile, FILE *out)
{
    struct outputs outputs = { .report = out };
    int status;

    if (options->parse_only) {
        return print_jobs(jobfile, out);
    }
    if (options->html != NULL) {
        outputs.page = open_output(options->html);
        if (outputs.page == NULL) {
            return STATUS_WRONG;
        }
    }
    status = run_jobs(options, config, jobfile, &outputs);
    return outputs.page != NULL ? close_output(options->html, outputs.page, status) : status;
}

/* Outputs are opened before the jobs run, so that none has run for nothing. */
static int run(const struct options *options, const struct rt_config *config)
{
    struct jobfile jobfile;
    int status = STATUS_WRONG;
    FILE *out;

    if (jobfile_read(&jobfile, options->files[0], stderr) < 0) {
        return STATUS_WRONG;
    }
    out = open_output(options->output);
    if (out != NULL) {
        status = run_into(options, config, &jobfile, out);
        status = close_output(options->output, out, status);
    }
    jobfile_free(&jobfile);
    return status;
}

static int print_model(const struct options *options, const struct model *model, FILE *out)
{
    const int r = options->json     ? model_print_json(model, out)
                  : options->config ? model_print_config(model, out)
                                    : model_print_text(model, out);
    char fault[FAULT_BYTES];
    unsigned i = 0;

    if (r < 0) {
        fprintf(stderr, "rt-storage: writing the model: %s\n", rt_strerror(r));
        return EXIT_FAILURE;
    }
    for (; model_fault(model, i, fault, sizeof(fault)); i++) {
        if (options->json || options->config) { /* the text says it */
            fprintf(stderr, "rt-storage: the model is bad: %s\n", fault);
        }
    }
    return i > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run_calibrate(const struct options *options, const struct rt_config *config)
{
    const struct calibrate_options calibrate_options = {
        .path = options->files[0],
        .config = *config,
        .time = options->time,
        .write = options->write,
        .allow_overwrite = options->allow_overwrite,
        .progress = isatty(STDERR_FILENO) == 1,
    };
    FILE *out = open_output(options->output);
    struct model model;
    int status = EXIT_FAILURE;

    if (out == NULL) {
        return STATUS_WRONG;
    }
    if (calibrate(&model, &calibrate_options) == 0) {
        status = print_model(options, &model, out);
    }
    return close_output(options->output, out, status);
}

static int run_compare(const struct options *options)
{
    FILE *out = open_output(options->output);

    if (out == NULL) {
        return STATUS_WRONG;
    }
    return close_output(
        options->output, out,
        compare(options->files[0], options->files[1], options->threshold, options->json, out));
}

int main(int argc, char **argv)
{
    struct rt_config config = RT_CONFIG_INIT;
    struct options options;

    config.name = "rt-storage";
    if (rt_config_parse(&config, &argc, argv) < 0) {
        return STATUS_WRONG;
    }
    switch (options_parse(&options, argc, argv)) {
    case OPTIONS_DONE:
        return EXIT_SUCCESS;
    case OPTIONS_WRONG:
        return STATUS_WRONG;
    case OPTIONS_RUN:
        break;
    }
    switch (options.command) {
    case COMMAND_COMPARE:
        return run_compare(&options);
    case COMMAND_CALIBRATE:
        return run_calibrate(&options, &config);
    case COMMAND_RUN:
        break;
    }
    return run(&options, &config);
}
