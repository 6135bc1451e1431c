/* SPDX-License-Identifier: MIT */
/*
 * A page that a person wrote (page/page.html), with a mark in it; in its place goes the document.
 * The page's script draws all from that, so page and document never tell different things.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

#define MARK "@document@"

extern const char storage_page[]; /* page/embed.S */

/* In a page a document ends at the first "</script", and "<!--" changes how the rest is read. JSON
 * has "<" in strings only, where it may be escaped. */
static void write_document(FILE *out, const char *text)
{
    while (*text != '\0') {
        const size_t length = strcspn(text, "<");

        fwrite(text, 1, length, out);
        text += length;
        if (*text == '<') {
            fputs("\\u003c", out);
            text++;
        }
    }
}

int report_html(FILE *out, const struct result *result)
{
    const char *mark = strstr(storage_page, MARK);
    char *text = NULL;
    size_t bytes = 0;
    FILE *memory = open_memstream(&text, &bytes);
    int r;

    assert(mark != NULL); /* the page and this file belong together */
    if (memory == NULL) {
        return -ENOMEM;
    }
    r = report_json(memory, result);
    if (fclose(memory) != 0 && r == 0) {
        r = -ENOMEM;
    }
    if (r == 0) {
        fwrite(storage_page, 1, (size_t)(mark - storage_page), out);
        write_document(out, text);
        fputs(mark + strlen(MARK), out);
        r = fflush(out) != 0 || ferror(out) != 0 ? -EIO : 0;
    }
    free(text);
    return r;
}
