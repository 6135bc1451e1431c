/* SPDX-License-Identifier: MIT */
/* Files: see read_file.h. */
#include "read_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define FIRST_BYTES 16384

ssize_t read_file(const char *name, char *text, size_t bytes)
{
    const int fd = open(name, O_RDONLY | O_CLOEXEC);
    size_t got = 0;
    ssize_t n = -1;

    if (fd < 0) {
        return -1;
    }
    while (got + 1 < bytes && (n = read(fd, text + got, bytes - 1 - got)) > 0) {
        got += (size_t)n;
    }
    close(fd);
    text[got] = '\0';
    return n < 0 ? -1 : (ssize_t)got;
}

char *read_whole_file(const char *name)
{
    char *text = NULL;

    for (size_t bytes = FIRST_BYTES;; bytes *= 2) {
        char *more = realloc(text, bytes);
        const ssize_t n = more == NULL ? -1 : read_file(name, more, bytes);

        text = more == NULL ? text : more;
        if (n < 0) {
            free(text);
            return NULL;
        }
        if ((size_t)n + 1 < bytes) {
            return text;
        }
    }
}
