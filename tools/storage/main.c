/* SPDX-License-Identifier: MIT */
/* rt-storage: pinned storage workloads from job files. */
#include <rt/rt.h>
#include <rt/start.h>
#include <stdio.h>
#include <stdlib.h>

#include "job_print.h"
#include "jobfile.h"
#include "options.h"

#define STATUS_WRONG 2 /* of what was asked; nothing was run */

/* The jobs as a job file, with all that was left to defaults. */
static int print_jobs(const struct jobfile *jobfile)
{
    for (size_t i = 0; i < jobfile->count; i++) {
        const struct job *job = &jobfile->jobs[i];

        job_print(job, i > 0 && job->stage > jobfile->jobs[i - 1].stage, stdout);
        fputs(i + 1 < jobfile->count ? "\n" : "", stdout);
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("rt-storage: standard output");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct rt_config config = RT_CONFIG_INIT;
    struct jobfile jobfile;
    struct options options;
    int status = STATUS_WRONG;

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
    if (jobfile_read(&jobfile, options.jobfile, stderr) < 0) {
        return STATUS_WRONG;
    }
    if (options.parse_only) {
        status = print_jobs(&jobfile);
    } else {
        fputs("rt-storage: this build only checks job files: say --parse-only\n", stderr);
    }
    jobfile_free(&jobfile);
    return status;
}
