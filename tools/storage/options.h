/* SPDX-License-Identifier: MIT */
/* Options: what rt-storage is told on its command line. */
#ifndef STORAGE_OPTIONS_H
#define STORAGE_OPTIONS_H

#include <rt/base.h>
#include <stdbool.h>

enum options_command {
    COMMAND_RUN,       /* files[0] is a job file */
    COMMAND_COMPARE,   /* files[0] and files[1] are results */
    COMMAND_CALIBRATE, /* files[0] is what lies on the device */
};

struct options {
    const char *files[2];
    const char *output; /* the report goes to this file; NULL: to standard output */
    const char *html;   /* and as a page to this one; NULL: no page */
    double threshold;   /* for COMMAND_COMPARE: what a change must be more than, 0.03 for 3 % */
    rt_time time;       /* for COMMAND_CALIBRATE: of each measurement */
    enum options_command command;
    bool json; /* the report is fio's JSON, not a text for people */
    bool allow_overwrite;
    bool parse_only;
    bool config; /* for COMMAND_CALIBRATE: the report is what the library reads */
    bool write;  /* for COMMAND_CALIBRATE: writes are measured too */
};

enum options_result {
    OPTIONS_RUN,
    OPTIONS_DONE,  /* --help or --version was printed */
    OPTIONS_WRONG, /* and a text said so */
};

/* Reads the options of rt-storage; those of rt_config_parse() were taken out of argv before. */
enum options_result options_parse(struct options *options, int argc, char **argv);

#endif /* STORAGE_OPTIONS_H */
