/* SPDX-License-Identifier: MIT */
/* Files: see files.h. */
#include "files.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notes.h"

/* Files of /proc have no size before they are read. */
static char *read_all(FILE *file)
{
    char *text = or_exit(malloc(1));
    size_t length = 0;
    char part[4096];
    size_t n;

    while ((n = fread(part, 1, sizeof(part), file)) > 0) {
        text = or_exit(realloc(text, length + n + 1));
        memcpy(text + length, part, n);
        length += n;
    }
    if (length > 0 && text[length - 1] == '\n') {
        length--;
    }
    text[length] = '\0';
    return text;
}

char *file_read(const char *root, const char *path, ...)
{
    char name[PATH_MAX];
    const int used = snprintf(name, sizeof(name), "%s", root);
    va_list arguments;
    FILE *file;
    char *text;

    if (used < 0 || (size_t)used >= sizeof(name)) {
        return NULL;
    }
    va_start(arguments, path);
    (void)vsnprintf(name + used, sizeof(name) - (size_t)used, path, arguments);
    va_end(arguments);
    file = fopen(name, "re");
    if (file == NULL) {
        return NULL;
    }
    text = read_all(file);
    if (ferror(file)) {
        free(text);
        text = NULL;
    }
    (void)fclose(file);
    return text;
}

long file_number(const char *root, const char *path, long otherwise)
{
    char *text = file_read(root, "%s", path);
    char *end;
    long number;

    if (text == NULL) {
        return otherwise;
    }
    number = strtol(text, &end, 10);
    if (end == text) {
        number = otherwise;
    }
    free(text);
    return number;
}

char *file_status(const char *root, const char *field)
{
    char *status = file_read(root, "/proc/self/status");
    const size_t length = strlen(field);
    char *rest = status;
    char *line;
    char *value = NULL;

    while (value == NULL && (line = strsep(&rest, "\n")) != NULL) {
        if (strncmp(line, field, length) == 0 && line[length] == ':') {
            line += length + 1;
            value = text_of("%s", line + strspn(line, " \t"));
        }
    }
    free(status);
    return value;
}
