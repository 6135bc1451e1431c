/* SPDX-License-Identifier: MIT */
/*
 * The report is a page that a person wrote (report/), with three marks in it.
 * In their places go the style, the document and the script. All drawing is
 * done by the script, from the document: so what a page shows and what it
 * contains are never two things, and a page can be read by programs too.
 */
#include "html.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* report/embed.S */
extern const char bench_report_html[];
extern const char bench_report_css[];
extern const char bench_report_js[];

/* Write `page` up to a mark; return what follows the mark. */
static const char *write_until(FILE *out, const char *page, const char *mark)
{
    const char *end = strstr(page, mark);

    assert(end != NULL); /* the page and this file belong together */
    fwrite(page, 1, (size_t)(end - page), out);
    return end + strlen(mark);
}

/*
 * In a page, a document ends at the first "</script", and "<!--" changes how
 * the rest is read. JSON has "<" in strings only, where it may be escaped.
 */
static void write_json(FILE *out, const char *text)
{
    while (*text != '\0') {
        const size_t len = strcspn(text, "<");

        fwrite(text, 1, len, out);
        text += len;
        if (*text == '<') {
            fputs("\\u003c", out);
            text++;
        }
    }
}

int bench_html_write(FILE *out, const char *json_text)
{
    const char *page = bench_report_html;

    page = write_until(out, page, "@report.css@");
    fputs(bench_report_css, out);
    page = write_until(out, page, "@document@");
    write_json(out, json_text);
    page = write_until(out, page, "@report.js@");
    fputs(bench_report_js, out);
    fputs(page, out);
    return fflush(out) != 0 || ferror(out) != 0 ? -EIO : 0;
}
