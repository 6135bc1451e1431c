/* SPDX-License-Identifier: MIT */
/* Reading a document of rt-bench. Each check says where it stands. */
#include "document.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stats.h"

/* Where in the document: "machine" or "results[3]". */
struct place {
    const char *path;
    const char *section;
    int64_t index; /* -1: the section is an object */
};

__attribute__((format(printf, 3, 4))) static bool bad(const struct place *place, const char *key,
                                                      const char *format, ...)
{
    va_list args;

    fprintf(stderr, "%s: %s: %s", program_invocation_short_name, place->path, place->section);
    if (place->index >= 0) {
        fprintf(stderr, "[%" PRId64 "]", place->index);
    }
    fprintf(stderr, "%s%s: ", *place->section != '\0' && *key != '\0' ? "." : "", key);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\n");
    return false;
}

static const char *type_name(const json_t *value)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "an object",     [JSON_ARRAY] = "an array",
        [JSON_STRING] = "a text",        [JSON_INTEGER] = "a whole number",
        [JSON_REAL] = "a broken number", [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",          [JSON_NULL] = "null",
    };

    return names[json_typeof(value)];
}

/* Kinds of values, as a set. */
enum kind { TEXT = 1, NUMBER = 2, WHOLE = 4, BOOLEAN = 8, ARRAY = 16, OBJECT = 32, NONE = 64 };

static const struct {
    enum kind kind;
    const char *name;
} kinds[] = {
    { TEXT, "a text" },
    { NUMBER, "a number" },
    { WHOLE, "a whole number" },
    { BOOLEAN, "true or false" },
    { ARRAY, "an array" },
    { OBJECT, "an object" },
    { NONE, "null" },
};

static unsigned kind_of(const json_t *value)
{
    static const unsigned of_type[] = {
        [JSON_OBJECT] = OBJECT,          [JSON_ARRAY] = ARRAY, [JSON_STRING] = TEXT,
        [JSON_INTEGER] = NUMBER | WHOLE, [JSON_REAL] = NUMBER, [JSON_TRUE] = BOOLEAN,
        [JSON_FALSE] = BOOLEAN,          [JSON_NULL] = NONE,
    };

    return of_type[json_typeof(value)];
}

/* The value of `key`, if it is one of `wanted`; else NULL, and a message. */
static json_t *get(const struct place *place, const json_t *object, const char *key,
                   unsigned wanted)
{
    json_t *value = json_object_get(object, key);
    char names[128] = "";
    size_t used = 0;

    if (value == NULL) {
        bad(place, key, "is missing; was the file written by rt-bench --json, and to its end?");
        return NULL;
    }
    if ((kind_of(value) & wanted) != 0) {
        return value;
    }
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if ((wanted & kinds[i].kind) != 0) {
            used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s",
                                     used > 0 ? " or " : "", kinds[i].name);
        }
    }
    bad(place, key, "is %s, and must be %s", type_name(value), names);
    return NULL;
}

/* The numbers of an array; NULL in *out when there are none. */
static bool get_numbers(const struct place *place, const json_t *object, const char *key,
                        double **out, size_t *count)
{
    const json_t *array = get(place, object, key, ARRAY);

    *out = NULL;
    *count = json_array_size(array);
    if (array == NULL || *count == 0) {
        return array != NULL;
    }
    if (*count > BENCH_VALUES_MAX) {
        return bad(place, key, "has %zu numbers, more than %d", *count, BENCH_VALUES_MAX);
    }
    *out = calloc(*count, sizeof(**out));
    if (*out == NULL) {
        return bad(place, key, "no memory for %zu numbers", *count);
    }
    for (size_t i = 0; i < *count; i++) {
        (*out)[i] = json_number_value(json_array_get(array, i)); /* 0 for what is none */
        if ((*out)[i] <= 0) {
            return bad(place, key, "number %zu must be one above 0", i + 1);
        }
    }
    return true;
}

static bool read_key(const struct place *place, const json_t *object, struct document_row *row)
{
    const json_t *name = get(place, object, "name", TEXT);
    const json_t *core = name != NULL ? get(place, object, "core", WHOLE) : NULL;
    const json_t *core2 = core != NULL ? get(place, object, "core2", WHOLE | NONE) : NULL;
    const json_t *unit = core2 != NULL ? get(place, object, "unit", TEXT) : NULL;

    if (unit == NULL) {
        return false;
    }
    row->name = json_string_value(name);
    row->core = json_integer_value(core);
    row->core2 = json_is_null(core2) ? -1 : json_integer_value(core2);
    row->unit = json_string_value(unit);
    if (strcmp(row->unit, "ns") != 0 && strcmp(row->unit, "per_s") != 0) {
        return bad(place, "unit", "is \"%s\", and must be \"ns\" or \"per_s\"", row->unit);
    }
    return true;
}

static bool read_row(const struct place *place, const json_t *object, struct document_row *row)
{
    const json_t *error;
    const json_t *disturbed;
    size_t limit_count;

    if (!json_is_object(object)) {
        return bad(place, "", "is %s, and must be an object", type_name(object));
    }
    if (!read_key(place, object, row) ||
        (error = get(place, object, "error", TEXT | NONE)) == NULL) {
        return false;
    }
    row->error = json_string_value(error); /* NULL when it is null */
    if (row->error != NULL) {
        return true; /* its figures are null, or of no use */
    }
    disturbed = get(place, object, "disturbed", BOOLEAN);
    if (disturbed == NULL) {
        return false;
    }
    row->disturbed = json_is_true(disturbed);
    if (!get_numbers(place, object, "values", &row->values, &row->count) ||
        !get_numbers(place, object, "limit_values", &row->limits, &limit_count)) {
        return false;
    }
    if (row->values != NULL && row->limits != NULL && row->count != limit_count) {
        return bad(place, "limit_values", "has %zu numbers, and must have %zu as `values` has",
                   limit_count, row->count);
    }
    return true;
}

static bool read_rows(struct document *document)
{
    struct place place = { document->path, "", -1 };
    const json_t *results = get(&place, document->root, "results", ARRAY);

    if (results == NULL) {
        return false;
    }
    place.section = "results";
    document->rows = calloc(json_array_size(results) + 1, sizeof(*document->rows));
    if (document->rows == NULL) {
        return bad(&place, "", "no memory for %zu rows", json_array_size(results));
    }
    for (size_t i = 0; i < json_array_size(results); i++) {
        place.index = (int64_t)i;
        document->count++;
        if (!read_row(&place, json_array_get(results, i), &document->rows[i])) {
            return false;
        }
    }
    return true;
}

static bool check_schema(const struct document *document)
{
    const char *schema = json_string_value(json_object_get(document->root, "schema"));
    const struct place top = { document->path, "", -1 };

    if (schema == NULL) {
        return bad(&top, "schema", "is missing: this is no document of rt-bench --json");
    }
    if (strcmp(schema, DOCUMENT_SCHEMA) != 0) {
        return bad(&top, "schema",
                   "is \"%s\", and this rt-bench reads " DOCUMENT_SCHEMA
                   ": take both documents with one version",
                   schema);
    }
    return get(&top, document->root, "machine", OBJECT) != NULL &&
           get(&top, document->root, "settings", OBJECT) != NULL;
}

bool document_open(struct document *out, const char *path)
{
    json_error_t error;
    FILE *file = fopen(path, "re");

    *out = (struct document){ .path = path };
    if (file == NULL) {
        fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, path, strerror(errno));
        return false;
    }
    out->root = json_loadf(file, JSON_REJECT_DUPLICATES, &error);
    fclose(file);
    if (out->root == NULL) {
        fprintf(stderr, "%s: %s:%d:%d: no JSON: %s\n", program_invocation_short_name, path,
                error.line, error.column, error.text);
        return false;
    }
    if (!check_schema(out) || !read_rows(out)) {
        document_close(out);
        return false;
    }
    return true;
}

void document_close(struct document *document)
{
    for (size_t i = 0; i < document->count; i++) {
        free(document->rows[i].values);
        free(document->rows[i].limits);
    }
    free(document->rows);
    json_decref(document->root);
}
