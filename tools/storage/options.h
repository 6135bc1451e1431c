/* SPDX-License-Identifier: MIT */
/* Options: what rt-storage is told on its command line. */
#ifndef STORAGE_OPTIONS_H
#define STORAGE_OPTIONS_H

#include <stdbool.h>

struct options {
    const char *jobfile;
    const char *output; /* the report goes to this file; NULL: to standard output */
    const char *html;   /* and as a page to this one; NULL: no page */
    bool json;          /* the report is fio's JSON, not a text for people */
    bool allow_overwrite;
    bool parse_only;
};

enum options_result {
    OPTIONS_RUN,
    OPTIONS_DONE,  /* --help or --version was printed */
    OPTIONS_WRONG, /* and a text said so */
};

/* Reads the options of rt-storage; those of rt_config_parse() were taken out of argv before. */
enum options_result options_parse(struct options *options, int argc, char **argv);

#endif /* STORAGE_OPTIONS_H */
