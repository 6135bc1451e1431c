/* SPDX-License-Identifier: MIT */
/* A document of rt-bench as a page for a browser: one file, which needs no other and no network. */
#ifndef BENCH_HTML_H
#define BENCH_HTML_H

#include <stdio.h>

/*
 * Write the page for `json_text`, a whole document, to `out`, and flush it.
 * 0, or -EIO when not all could be written. What is wrong with the document
 * itself, the page says.
 */
int bench_html_write(FILE *out, const char *json_text);

#endif /* BENCH_HTML_H */
