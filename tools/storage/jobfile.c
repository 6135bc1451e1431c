/* SPDX-License-Identifier: MIT */
/*
 * Jobfile: see jobfile.h.
 *
 * A section is read into a draft, which begins as a copy of [global]'s draft at that place; its end
 * makes the draft a job. Names and values stay where they are in the text, with terminators put
 * behind them. After an error reading goes on, so that one run tells them all.
 */
#include "jobfile.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/types.h>

#include "resolve.h"
#include "setting.h"
#include "source.h"

#define ERRORS_MAX 20 /* then it is probably no job file */

enum section { SECTION_NONE, SECTION_GLOBAL, SECTION_JOB };

struct reader {
    struct source source;
    struct jobfile *out;
    struct draft global;
    struct draft draft; /* of the section that is being read, for SECTION_JOB */
    enum section section;
    uint32_t section_line;
    uint32_t section_errors; /* how many errors there were before it */
    bool global_wrong;       /* there was one in [global] */
    uint32_t stage;
    struct job_option *options; /* of all sections, in the order of the file */
    size_t option_count;
    size_t option_first; /* the first one of the section */
};

/* The job's options: those of [global] above it, and its own. */
static void collect_options(struct reader *reader, struct job *job)
{
    struct job_option *options = memory_take(&reader->out->memory, reader->option_count,
                                             sizeof(*options));

    for (size_t i = 0; i < reader->option_count; i++) {
        if (reader->options[i].global || i >= reader->option_first) {
            options[job->option_count++] = reader->options[i];
        }
    }
    job->options = options;
}

static void finish_job(struct reader *reader)
{
    struct jobfile *out = reader->out;
    struct job *job = &reader->draft.job;

    if (!draft_finish(&reader->source, &reader->draft, &out->memory)) {
        return;
    }
    reader->stage += reader->draft.stonewall && out->count > 0;
    job->stage = reader->stage;
    job->line = reader->section_line;
    collect_options(reader, job);
    out->jobs[out->count++] = *job;
}

/* With an error above, what is wrong with the whole might come of that only: not looked at. */
static void end_section(struct reader *reader)
{
    const uint32_t line = reader->source.line;
    const bool wrong = reader->source.error_count > reader->section_errors;

    if (reader->section == SECTION_GLOBAL) {
        reader->global_wrong |= wrong;
    } else if (reader->section == SECTION_JOB && !wrong && !reader->global_wrong) {
        reader->source.line = reader->section_line;
        reader->source.column = 1;
        finish_job(reader);
        reader->source.line = line;
    }
}

/* The line is "[NAME]", without blanks around it. */
static bool begin_section(struct reader *reader, char *line)
{
    const size_t length = strlen(line);

    reader->section = SECTION_JOB;
    reader->section_line = reader->source.line;
    reader->section_errors = reader->source.error_count;
    reader->draft = reader->global;
    reader->draft.job.name = line + 1;
    reader->option_first = reader->option_count;
    if (line[length - 1] != ']') {
        return source_refuse(&reader->source, "%s: a section ends with ]", line);
    }
    if (length == strlen("[]")) {
        return source_refuse(&reader->source, "[]: a section needs a name");
    }
    line[length - 1] = '\0';
    if (strcmp(line + 1, "global") == 0) {
        reader->section = SECTION_GLOBAL;
    } else if (reader->out->count == JOBFILE_JOBS_MAX) {
        return source_refuse(&reader->source, "more than %d jobs", JOBFILE_JOBS_MAX);
    }
    return true;
}

/* Takes blanks off the end; returns the first byte that is none. */
static char *trim(char *text)
{
    size_t length;

    while (isspace((unsigned char)*text)) {
        text++;
    }
    length = strlen(text);
    while (length > 0 && isspace((unsigned char)text[length - 1])) {
        length--;
    }
    text[length] = '\0';
    return text;
}

/* "NAME=VALUE" or "NAME"; `start` is where its line begins. */
static bool read_option(struct reader *reader, char *text, const char *start)
{
    struct source *source = &reader->source;
    struct draft *draft = reader->section == SECTION_GLOBAL ? &reader->global : &reader->draft;
    char *equals = strchr(text, '=');
    const struct setting *setting;
    char *value = NULL;

    if (reader->section == SECTION_NONE) {
        return source_refuse(source, "%s: an option needs a section above it, such as [global]",
                             text);
    }
    if (equals != NULL) {
        *equals = '\0';
        value = trim(equals + 1);
    }
    text = trim(text);
    if (equals == NULL && strncmp(text, "include ", strlen("include ")) == 0) {
        return source_refuse(source, "include is not supported; write the options here");
    }
    setting = setting_find(source, text);
    if (setting == NULL) {
        return false;
    }
    if (value != NULL) {
        source->column = (uint32_t)(value - start) + 1;
        if (strstr(value, "${") != NULL) {
            return source_refuse(source, "%s=%s: variables of the environment are not supported",
                                 text, value);
        }
    }
    if (!setting_read(source, setting, value, draft)) {
        return false;
    }
    reader->options[reader->option_count++] = (struct job_option){
        .name = setting_name(setting),
        .value = value != NULL ? value : "",
        .line = source->line,
        .global = reader->section == SECTION_GLOBAL,
    };
    return true;
}

static void read_line(struct reader *reader, char *line)
{
    char *text;

    line[strcspn(line, ";#")] = '\0';
    text = trim(line);
    reader->source.column = (uint32_t)(text - line) + 1;
    if (text[0] == '[') {
        end_section(reader);
        reader->source.column = (uint32_t)(text - line) + 1;
        (void)begin_section(reader, text);
    } else if (text[0] != '\0') {
        (void)read_option(reader, text, line);
    }
}

static void read_lines(struct reader *reader, char *text)
{
    while (text != NULL && reader->source.error_count < ERRORS_MAX) {
        char *next = strchr(text, '\n');

        if (next != NULL) {
            *next++ = '\0';
        }
        reader->source.line++;
        read_line(reader, text);
        text = next;
    }
    end_section(reader);
}

/* How many parts the byte cuts the text into: what is between, before and behind. */
static size_t count_parts(const char *text, char byte)
{
    size_t count = 1;

    while ((text = strchr(text, byte)) != NULL) {
        text++;
        count++;
    }
    return count;
}

/* `text` is in out->memory, with a terminator. */
static int parse(struct jobfile *out, const char *path, char *text, size_t length, FILE *errors)
{
    struct reader reader = {
        .source = { .path = path, .errors = errors, .column = 1 },
        .out = out,
        .global = draft_default,
    };
    size_t jobs_max;

    if (strlen(text) != length) {
        reader.source.line = 1;
        (void)source_refuse(&reader.source, "there is a byte 0 in it: not a text");
        return -EINVAL;
    }
    jobs_max = count_parts(text, '[');
    jobs_max = jobs_max < JOBFILE_JOBS_MAX ? jobs_max : JOBFILE_JOBS_MAX;
    out->jobs = memory_take(&out->memory, jobs_max, sizeof(out->jobs[0]));
    reader.options = memory_take(&out->memory, count_parts(text, '\n'), sizeof(reader.options[0]));
    read_lines(&reader, text);
    if (reader.source.error_count == 0 && out->count == 0) {
        reader.source.column = 1;
        (void)source_refuse(&reader.source, "there is no job; a section such as [random] is one");
    }
    return reader.source.error_count > 0 ? -EINVAL : 0;
}

int jobfile_parse(struct jobfile *out, const char *path, const char *text, size_t length,
                  FILE *errors)
{
    char *copy;
    int r;

    *out = (struct jobfile){ 0 };
    copy = memory_take(&out->memory, length + 1, 1);
    memcpy(copy, text, length);
    r = parse(out, path, copy, length, errors);
    if (r < 0) {
        jobfile_free(out);
    }
    return r;
}

/* How many bytes were read into `text`, which has room for one more than may be there. */
static ssize_t read_all(const char *path, char *text)
{
    FILE *stream = fopen(path, "re");
    size_t bytes;
    ssize_t r;

    if (stream == NULL) {
        return -errno;
    }
    bytes = fread(text, 1, JOBFILE_BYTES_MAX + 1, stream);
    r = ferror(stream) ? -errno : (ssize_t)bytes;
    (void)fclose(stream); /* it was only read */
    return r <= JOBFILE_BYTES_MAX ? r : -EFBIG;
}

int jobfile_read(struct jobfile *out, const char *path, FILE *errors)
{
    char *text;
    ssize_t r;

    *out = (struct jobfile){ 0 };
    text = memory_take(&out->memory, JOBFILE_BYTES_MAX + 2, 1); /* with a terminator */
    r = read_all(path, text);
    if (r < 0) {
        fprintf(errors, "%s: %s\n", path, strerror((int)-r));
    } else {
        r = parse(out, path, text, (size_t)r, errors);
    }
    if (r < 0) {
        jobfile_free(out);
    }
    return (int)r;
}

void jobfile_free(struct jobfile *jobfile)
{
    memory_free(&jobfile->memory);
}
