/* SPDX-License-Identifier: MIT */
/* Disk models: see disk_models.h. */
#include "core/disk_models.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/sys.h"

/* More than any machine has disks, in lines. */
#define FILE_BYTES_MAX (1u << 20)
#define MODELS_MAX     4096u

enum kind { READ, WRITE };

/* 10 s for a request or 1 us for each of its bytes are no disk's, and fit what is made of them. */
static const struct key {
    const char *name;
    size_t offset;
    uint64_t max;
    bool is_needed;
} keys[] = {
#define KEY(name, field, max, is_needed) \
    { name, offsetof(struct rti_disk_figures, field), max, is_needed }
    KEY("read_request_ns", request_ns[READ], 10000000000, true),
    KEY("read_byte_ps", byte_ps[READ], 1000000, true),
    KEY("write_request_ns", request_ns[WRITE], 10000000000, false),
    KEY("write_byte_ps", byte_ps[WRITE], 1000000, false),
    KEY("capacity_ns", capacity_ns, 100000000000, true),
#undef KEY
};

#define KEYS (sizeof(keys) / sizeof(keys[0]))

struct parse {
    struct rti_disk_models *models;
    const struct rti_log *log;
    const char *path;
    unsigned line;
    unsigned section; /* line of the last section */
    bool seen[KEYS];  /* in that */
};

static int complain(const struct parse *parse, unsigned line, const char *what, const char *text)
{
    rti_log(parse->log, RT_LOG_ERROR, "%s, line %u: %s%s%s", parse->path, line, what,
            *text != '\0' ? ": " : "", text);
    return -EINVAL;
}

static struct rti_disk_figures *current(const struct parse *parse)
{
    return &parse->models->figures[parse->models->count - 1];
}

/* The section that ends here is whole. */
static int end_section(struct parse *parse)
{
    struct rti_disk_figures *figures;

    if (parse->models->count == 0) {
        return 0;
    }
    figures = current(parse);
    for (size_t i = 0; i < KEYS; i++) {
        if (keys[i].is_needed && !parse->seen[i]) {
            return complain(parse, parse->section, "this device lacks a line of", keys[i].name);
        }
    }
    if (parse->seen[2] != parse->seen[3]) {
        return complain(parse, parse->section,
                        "this device has one of write_request_ns and "
                        "write_byte_ps only",
                        "");
    }
    if (figures->capacity_ns == 0 || figures->request_ns[READ] + figures->byte_ps[READ] == 0) {
        return complain(parse, parse->section, "a device that takes no time", "");
    }
    if (!parse->seen[2]) {
        figures->request_ns[WRITE] = figures->request_ns[READ];
        figures->byte_ps[WRITE] = figures->byte_ps[READ];
    }
    return 0;
}

/* A whole number at `text`, up to `max`; what stands behind it, or NULL when there is none. */
static char *read_number(char *text, uint64_t max, uint64_t *value)
{
    char *end = NULL;

    if (*text < '0' || *text > '9') { /* no sign, and no space */
        return NULL;
    }
    errno = 0;
    *value = strtoull(text, &end, 10);
    return errno != 0 || *value > max ? NULL : end;
}

/* "[device 254:0]" */
static bool read_section(char *line, uint64_t *device)
{
    static const char begin[] = "[device ";
    uint64_t major;
    uint64_t minor;
    char *rest;

    if (strncmp(line, begin, sizeof(begin) - 1) != 0) {
        return false;
    }
    rest = read_number(line + sizeof(begin) - 1, UINT32_MAX, &major);
    if (rest == NULL || *rest != ':') {
        return false;
    }
    rest = read_number(rest + 1, UINT32_MAX, &minor);
    *device = rest != NULL ? major << 32 | minor : 0;
    return rest != NULL && strcmp(rest, "]") == 0;
}

static int begin_section(struct parse *parse, char *line)
{
    struct rti_disk_models *models = parse->models;
    struct rti_disk_figures *more;
    uint64_t device;
    int r = end_section(parse);

    if (r < 0) {
        return r;
    }
    if (!read_section(line, &device)) {
        return complain(parse, parse->line, "expected a section such as [device 254:0]", line);
    }
    if (rti_disk_models_find(models, device) != NULL) {
        return complain(parse, parse->line, "the device stands above too", line);
    }
    if (models->count == MODELS_MAX) {
        return complain(parse, parse->line, "there are 4096 devices at most", "");
    }
    more = rti_sys_alloc((models->count + 1) * sizeof(*more));
    if (more == NULL) {
        return -ENOMEM;
    }
    if (models->count > 0) {
        memcpy(more, models->figures, models->count * sizeof(*more));
    }
    rti_sys_free(models->figures);
    models->figures = more;
    models->count++;
    current(parse)->device = device;
    parse->section = parse->line;
    memset(parse->seen, 0, sizeof(parse->seen));
    return 0;
}

static bool is_for_people(const char *name)
{
    return strcmp(name, "read_saturation_depth") == 0 ||
           strcmp(name, "write_saturation_depth") == 0;
}

/* "key = 123" */
static bool read_value(char *line, char **name_end, uint64_t *value)
{
    char *rest = line + strspn(line, "abcdefghijklmnopqrstuvwxyz_");

    *name_end = rest;
    rest += strspn(rest, " \t");
    if (*name_end == line || *rest != '=') {
        return false;
    }
    rest++;
    rest = read_number(rest + strspn(rest, " \t"), UINT64_MAX, value);
    return rest != NULL && *rest == '\0';
}

static int take_value(struct parse *parse, char *line)
{
    char name[32];
    char *name_end;
    uint64_t value = 0;

    if (!read_value(line, &name_end, &value)) {
        return complain(parse, parse->line, "expected KEY = WHOLE NUMBER", line);
    }
    snprintf(name, sizeof(name), "%.*s", (int)(name_end - line), line);
    if (parse->models->count == 0) {
        return complain(parse, parse->line, "stands before the first section", line);
    }
    for (size_t i = 0; i < KEYS; i++) {
        if (strcmp(keys[i].name, name) != 0) {
            continue;
        }
        if (parse->seen[i]) {
            return complain(parse, parse->line, "this stands above too", name);
        }
        if (value > keys[i].max) {
            return complain(parse, parse->line, "larger than a disk can be", line);
        }
        parse->seen[i] = true;
        memcpy((char *)current(parse) + keys[i].offset, &(uint64_t){ value }, sizeof(uint64_t));
        return 0;
    }
    return is_for_people(name) ? 0 : complain(parse, parse->line, "no key is called", name);
}

/* Without what stands at its ends. */
static char *trim(char *line)
{
    size_t length;

    line += strspn(line, " \t\r");
    length = strlen(line);
    while (length > 0 && strchr(" \t\r", line[length - 1]) != NULL) {
        line[--length] = '\0';
    }
    return line;
}

int rti_disk_models_parse(struct rti_disk_models *models, char *text, const char *path,
                          const struct rti_log *log)
{
    struct parse parse = { .models = models, .log = log, .path = path };
    char *line;
    int r = 0;

    *models = (struct rti_disk_models){ 0 };
    while (r == 0 && (line = strsep(&text, "\n")) != NULL) {
        parse.line++;
        line = trim(line);
        if (*line == '[') {
            r = begin_section(&parse, line);
        } else if (*line != '\0' && *line != '#') {
            r = take_value(&parse, line);
        }
    }
    return r < 0 ? r : end_section(&parse);
}

static int read_whole(int fd, char *text)
{
    size_t length = 0;
    ssize_t n;

    do {
        n = rti_sys_read(fd, text + length, FILE_BYTES_MAX - length);
        length += n > 0 ? (size_t)n : 0;
    } while (n > 0 && length < FILE_BYTES_MAX);
    text[length < FILE_BYTES_MAX ? length : 0] = '\0';
    return n < 0 ? (int)n : length == FILE_BYTES_MAX ? -EFBIG : 0;
}

int rti_disk_models_read(struct rti_disk_models *models, const char *path,
                         const struct rti_log *log)
{
    char *text;
    int fd;
    int r;

    *models = (struct rti_disk_models){ 0 };
    models->learns = path != NULL && strcmp(path, "learn") == 0;
    if (path == NULL || models->learns) {
        return 0;
    }
    text = rti_sys_alloc(FILE_BYTES_MAX);
    if (text == NULL) {
        return -ENOMEM;
    }
    fd = rti_sys_open_to_read(path);
    r = fd < 0 ? fd : read_whole(fd, text);
    if (fd >= 0) {
        (void)rti_sys_close(fd);
    }
    if (r < 0) {
        rti_log(log, RT_LOG_ERROR, "config.disk_models: %s cannot be read: %s", path,
                strerrordesc_np(-r));
    } else {
        r = rti_disk_models_parse(models, text, path, log);
    }
    rti_sys_free(text);
    return r;
}

void rti_disk_models_fini(struct rti_disk_models *models)
{
    rti_sys_free(models->figures);
    *models = (struct rti_disk_models){ 0 };
}

const struct rti_disk_figures *rti_disk_models_find(const struct rti_disk_models *models,
                                                    uint64_t device)
{
    for (size_t i = 0; i < models->count; i++) {
        if (models->figures[i].device == device) {
            return &models->figures[i];
        }
    }
    return NULL;
}
