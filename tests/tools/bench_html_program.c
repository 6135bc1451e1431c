/* SPDX-License-Identifier: MIT */
/* Makes the document on standard input a report on standard output, for bench_html_test.py. */
#include <stdio.h>
#include <stdlib.h>

#include "html.h"

/* All that can be read, as text; NULL without memory or when it cannot be read. */
static char *read_all(FILE *in)
{
    size_t capacity = 65536;
    size_t len = 0;
    char *text = malloc(capacity);

    while (text != NULL) {
        char *more;

        len += fread(text + len, 1, capacity - len - 1, in);
        if (len < capacity - 1) {
            break;
        }
        capacity *= 2;
        more = realloc(text, capacity);
        if (more == NULL) {
            free(text);
        }
        text = more;
    }
    if (text != NULL && ferror(in) != 0) {
        free(text);
        return NULL;
    }
    if (text != NULL) {
        text[len] = '\0';
    }
    return text;
}

int main(void)
{
    char *text = read_all(stdin);
    int r;

    if (text == NULL) {
        fputs("bench_html_program: cannot read the document\n", stderr);
        return 1;
    }
    r = bench_html_write(stdout, text);
    free(text);
    return r < 0;
}
