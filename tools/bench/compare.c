/* SPDX-License-Identifier: MIT */
/* Matching the rows of two documents, the verdicts, and how they are said. */
#include "compare.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "stats.h"

/* The chance of any false verdict, over all rows. */
#define FALSE_ALARMS (1 - BENCH_LEVEL)

enum verdict { NO_VERDICT, WITHIN_NOISE, FASTER, SLOWER, FAILS, VERDICTS };

static const char *const verdict_names[VERDICTS] = {
    [NO_VERDICT] = "no verdict", [WITHIN_NOISE] = "within noise",
    [FASTER] = "faster",         [SLOWER] = "slower",
    [FAILS] = "fails",
};

/* A figure in both documents. */
struct figure {
    bool known;
    double a, b;
    struct bench_change change;
};

struct pair {
    const struct document_row *a;
    const struct document_row *b;
    struct figure value;
    struct figure ratio; /* times as long as the limit */
    struct figure limit; /* times, for rates too */
    bool by_ratio;
    enum verdict verdict;
    const char *why; /* there is no verdict; else NULL */
};

struct comparison {
    struct document a, b;
    const struct bench_compare_options *options;
    struct pair *pairs; /* in the order of A */
    size_t count;
    const struct document_row **only[2]; /* in A, in B */
    size_t only_count[2];
    size_t verdicts[VERDICTS];
    double level; /* of each interval */
};

bool bench_compare_by_parse(enum bench_compare_by *out, const char *text)
{
    if (strcmp(text, "value") != 0 && strcmp(text, "ratio") != 0) {
        return false;
    }
    *out = strcmp(text, "value") == 0 ? BENCH_BY_VALUE : BENCH_BY_RATIO;
    return true;
}

static int order(const void *left, const void *right)
{
    const struct document_row *a = *(const struct document_row *const *)left;
    const struct document_row *b = *(const struct document_row *const *)right;
    int names = strcmp(a->name, b->name);

    if (names != 0) {
        return names;
    }
    if (a->core != b->core) {
        return a->core < b->core ? -1 : 1;
    }
    return (a->core2 > b->core2) - (a->core2 < b->core2);
}

/* The place of a row as a text, "3" or "3-7". */
static const char *place_of(const struct document_row *row, char *out, size_t bytes)
{
    if (row->core2 < 0) {
        snprintf(out, bytes, "%" PRId64, row->core);
    } else {
        snprintf(out, bytes, "%" PRId64 "-%" PRId64, row->core, row->core2);
    }
    return out;
}

/* Zeroed, and never NULL. One more than asked for: none may be wanted. */
static void *room_for(size_t count, size_t bytes)
{
    void *room = calloc(count + 1, bytes);

    if (room == NULL) {
        fprintf(stderr, "%s: no memory to compare %zu rows\n", program_invocation_short_name,
                count);
        exit(2);
    }
    return room;
}

/* The rows of a document in order; NULL, and a message, when a row is there twice. */
static const struct document_row **sorted_rows(const struct document *document)
{
    const struct document_row **rows = room_for(document->count,
                                                sizeof(const struct document_row *));
    char place[48];

    for (size_t i = 0; i < document->count; i++) {
        rows[i] = &document->rows[i];
    }
    qsort(rows, document->count, sizeof(const struct document_row *), order);
    for (size_t i = 1; i < document->count; i++) {
        if (order(&rows[i - 1], &rows[i]) == 0) {
            fprintf(stderr, "%s: %s: row %s on CPU %s is there twice; compare single runs\n",
                    program_invocation_short_name, document->path, rows[i]->name,
                    place_of(rows[i], place, sizeof(place)));
            free(rows);
            return NULL;
        }
    }
    return rows;
}

/*
 * Put together what is in both. False, and a message, when nothing is, or when a row
 * is not the same thing in both.
 */
static bool match_rows(struct comparison *all, const struct document_row **rows_a,
                       const struct document_row **rows_b)
{
    char place[48];

    all->pairs = room_for(all->a.count, sizeof(*all->pairs));
    all->only[0] = room_for(all->a.count, sizeof(const struct document_row *));
    all->only[1] = room_for(all->b.count, sizeof(const struct document_row *));
    for (size_t i = 0; i < all->a.count; i++) {
        const struct document_row *row = &all->a.rows[i];
        const struct document_row **found = bsearch(&row, rows_b, all->b.count,
                                                    sizeof(const struct document_row *), order);

        if (found == NULL) {
            all->only[0][all->only_count[0]++] = row;
        } else if (strcmp(row->unit, (*found)->unit) != 0) {
            fprintf(stderr, "%s: row %s on CPU %s is in %s here (%s), and in %s there (%s)\n",
                    program_invocation_short_name, row->name, place_of(row, place, sizeof(place)),
                    row->unit, all->a.path, (*found)->unit, all->b.path);
            return false;
        } else {
            all->pairs[all->count++] = (struct pair){ .a = row, .b = *found };
        }
    }
    for (size_t i = 0; i < all->b.count; i++) {
        const struct document_row *row = &all->b.rows[i];

        if (bsearch(&row, rows_a, all->a.count, sizeof(const struct document_row *), order) ==
            NULL) {
            all->only[1][all->only_count[1]++] = row;
        }
    }
    if (all->count == 0) {
        fprintf(stderr, "%s: %s and %s have no row in common (name and CPUs)\n",
                program_invocation_short_name, all->a.path, all->b.path);
        return false;
    }
    return true;
}

static bool match(struct comparison *all)
{
    const struct document_row **rows_a = sorted_rows(&all->a);
    const struct document_row **rows_b = rows_a != NULL ? sorted_rows(&all->b) : NULL;
    bool ok = rows_b != NULL && match_rows(all, rows_a, rows_b);

    free(rows_a);
    free(rows_b);
    return ok;
}

static bool is_rate(const struct document_row *row)
{
    return strcmp(row->unit, "per_s") == 0;
}

/* Why there can be no verdict, or NULL. */
static const char *obstacle_of(const struct pair *pair, enum bench_compare_by by)
{
    if (pair->a->error != NULL) {
        return pair->b->error != NULL ? "fails in both" : "fails in A";
    }
    if (pair->a->values == NULL || pair->b->values == NULL) {
        return "no side in the runtime";
    }
    if (pair->a->count < BENCH_CHANGE_MIN || pair->b->count < BENCH_CHANGE_MIN) {
        return "too few repetitions";
    }
    if (by == BENCH_BY_RATIO && (pair->a->limits == NULL || pair->b->limits == NULL)) {
        return "no limit";
    }
    return NULL;
}

/* Find what has to be judged first: how many these are sets the level. */
static void prepare(struct comparison *all)
{
    size_t judged = 0;

    for (size_t i = 0; i < all->count; i++) {
        struct pair *pair = &all->pairs[i];

        assert(pair->a != NULL && pair->b != NULL); /* the analyzer cannot see it */
        if (pair->b->error != NULL && pair->a->error == NULL) {
            pair->verdict = FAILS;
            continue;
        }
        pair->why = obstacle_of(pair, all->options->by);
        judged += pair->why == NULL;
        pair->by_ratio = all->options->by != BENCH_BY_VALUE && pair->a->limits != NULL &&
                         pair->b->limits != NULL;
    }
    all->level = judged > 0 ? 1 - FALSE_ALARMS / (double)judged : BENCH_LEVEL;
}

static struct figure figure_of(const double *a, size_t a_count, const double *b, size_t b_count,
                               double level)
{
    return (struct figure){
        .known = true,
        .a = bench_median(a, a_count),
        .b = bench_median(b, b_count),
        .change = bench_change_of(a, a_count, b, b_count, level),
    };
}

/* How many times as long as the limit it took. */
static void ratios_of(const struct document_row *row, double *out)
{
    const bool rate = is_rate(row);

    bench_ratios_of(rate ? row->limits : row->values, rate ? row->values : row->limits, row->count,
                    out);
}

static void times_of_limit(const struct document_row *row, double *out)
{
    for (size_t i = 0; i < row->count; i++) {
        out[i] = is_rate(row) ? 1 / row->limits[i] : row->limits[i];
    }
}

static void judge(struct pair *pair, double level, double threshold)
{
    const struct document_row *a = pair->a;
    const struct document_row *b = pair->b;
    double of_a[BENCH_VALUES_MAX];
    double of_b[BENCH_VALUES_MAX];
    struct bench_change change;
    bool less_is_slower;

    pair->value = figure_of(a->values, a->count, b->values, b->count, level);
    if (a->limits != NULL && b->limits != NULL) {
        ratios_of(a, of_a);
        ratios_of(b, of_b);
        pair->ratio = figure_of(of_a, a->count, of_b, b->count, level);
        times_of_limit(a, of_a);
        times_of_limit(b, of_b);
        pair->limit = figure_of(of_a, a->count, of_b, b->count, level);
    }
    change = pair->by_ratio ? pair->ratio.change : pair->value.change;
    less_is_slower = !pair->by_ratio && is_rate(a);
    if (change.low > threshold || change.high < -threshold) {
        pair->verdict = (change.change < 0) == less_is_slower ? SLOWER : FASTER;
    } else {
        pair->verdict = WITHIN_NOISE;
    }
}

static void judge_all(struct comparison *all)
{
    prepare(all);
    for (size_t i = 0; i < all->count; i++) {
        struct pair *pair = &all->pairs[i];

        if (pair->why == NULL && pair->verdict == NO_VERDICT) {
            judge(pair, all->level, all->options->threshold);
        }
        all->verdicts[pair->verdict]++;
    }
}

static int order_of_numbers(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;

    return (a > b) - (a < b);
}

/* By how much the limits changed, of all rows that it was decided by. */
struct drift {
    double least, median, most;
};

/* False: there are none. */
static bool drift_of(const struct comparison *all, struct drift *out)
{
    double *changes = room_for(all->count, sizeof(*changes));
    size_t count = 0;

    for (size_t i = 0; i < all->count; i++) {
        if (all->pairs[i].limit.known && all->pairs[i].by_ratio) {
            changes[count++] = all->pairs[i].limit.change.change;
        }
    }
    if (count > 0) {
        qsort(changes, count, sizeof(*changes), order_of_numbers);
        *out = (struct drift){ changes[0], changes[count / 2], changes[count - 1] };
    }
    free(changes);
    return count > 0;
}

/* What should be the same in both, if B is to be blamed for a change. */
static const struct {
    const char *section;
    const char *key;
} conditions[] = {
    { "machine", "processor" }, { "machine", "hypervisor" }, { "machine", "packages" },
    { "machine", "cores" },     { "machine", "kernel" },     { "machine", "engine" },
    { "machine", "features" },  { "machine", "build" },      { "machine", "version" },
    { "settings", "seconds" },  { "settings", "quick" },     { "settings", "seed" },
    { "settings", "at_once" },
};

/* The value of a condition as JSON has it; the caller's. "?" when it is not said. */
static char *condition_of(const struct document *document, size_t i)
{
    const json_t *section = json_object_get(document->root, conditions[i].section);
    const json_t *value = json_object_get(section, conditions[i].key);

    return value != NULL ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : strdup("?");
}

/* Tell `say` of each condition that differs; either text may be NULL without memory. */
static void each_difference(const struct comparison *all,
                            void (*say)(void *arg, size_t i, const char *a, const char *b),
                            void *arg)
{
    for (size_t i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++) {
        char *a = condition_of(&all->a, i);
        char *b = condition_of(&all->b, i);

        if (a == NULL || b == NULL || strcmp(a, b) != 0) {
            say(arg, i, a != NULL ? a : "?", b != NULL ? b : "?");
        }
        free(a);
        free(b);
    }
}

/* Why a row is to be read with care, or "". */
static const char *disturbed_text(const struct pair *pair)
{
    if (pair->a->disturbed) {
        return pair->b->disturbed ? "disturbed in both" : "disturbed in A";
    }
    return pair->b->disturbed ? "disturbed in B" : "";
}

static const char *rule_text(enum bench_compare_by by)
{
    switch (by) {
    case BENCH_BY_VALUE:
        return "the value";
    case BENCH_BY_RATIO:
        return "the ratio to the limit";
    case BENCH_BY_BEST:
        break;
    }
    return "the ratio to the limit where both have one, else the value";
}

static void print_difference(void *arg, size_t i, const char *a, const char *b)
{
    fprintf(arg, "differs: %s %s: A %s, B %s\n", conditions[i].section, conditions[i].key, a, b);
}

static void print_source(FILE *out, const char *name, const struct document *document)
{
    const json_t *machine = json_object_get(document->root, "machine");
    const char *date = json_string_value(json_object_get(machine, "date"));
    const char *version = json_string_value(json_object_get(machine, "version"));

    fprintf(out, "%s: %s, %s, version %s\n", name, document->path, date != NULL ? date : "?",
            version != NULL ? version : "?");
}

static void print_change(FILE *out, const struct figure *figure)
{
    char text[64] = "-";

    if (figure->known) {
        snprintf(text, sizeof(text), "%+.1f [%+.1f..%+.1f]", 100 * figure->change.change,
                 100 * figure->change.low, 100 * figure->change.high);
    }
    fprintf(out, "  %-23s", text);
}

static void print_value(FILE *out, const struct document_row *row)
{
    char text[32] = "-";

    if (row->values != NULL) {
        double value = bench_median(row->values, row->count);

        snprintf(text, sizeof(text), value < 1000 ? "%.4g %s" : "%.0f %s", value,
                 is_rate(row) ? "/s" : "ns");
    }
    fprintf(out, "  %-12s", text);
}

static void print_pair(const struct comparison *all, const struct pair *pair, FILE *out)
{
    const char *disturbed = disturbed_text(pair);
    char place[48];

    fprintf(out, "%-22s  %-7s", pair->a->name, place_of(pair->a, place, sizeof(place)));
    print_value(out, pair->a);
    print_value(out, pair->b);
    print_change(out, &pair->value);
    print_change(out, &pair->ratio);
    fprintf(out, "  %s", verdict_names[pair->verdict]);
    if (pair->verdict == FAILS) {
        fprintf(out, " in B: %s", pair->b->error);
    } else if (pair->why != NULL) {
        fprintf(out, ": %s", pair->why);
    } else if (all->options->by == BENCH_BY_BEST && !pair->by_ratio) {
        fprintf(out, ", by value");
    }
    fprintf(out, "%s%s\n", *disturbed != '\0' ? "; " : "", disturbed);
}

static void print_only(const struct comparison *all, int side, FILE *out)
{
    char place[48];

    for (size_t i = 0; i < all->only_count[side]; i++) {
        const struct document_row *row = all->only[side][i];

        fprintf(out, "only in %c: %s on CPU %s\n", "AB"[side], row -> name,
                place_of(row, place, sizeof(place)));
    }
}

static void print_table(const struct comparison *all, FILE *out)
{
    struct drift drift;

    print_source(out, "A", &all->a);
    print_source(out, "B", &all->b);
    each_difference(all, print_difference, out);
    fprintf(out, "Decided by %s.\n", rule_text(all->options->by));
    if (drift_of(all, &drift)) {
        fprintf(out,
                "The limits took %+.1f %% in B (median of the rows; %+.1f to %+.1f): the ratio "
                "takes that out.\n",
                100 * drift.median, 100 * drift.least, 100 * drift.most);
    }
    fprintf(out, "\n%-22s  %-7s  %-12s  %-12s  %-23s  %-23s  %s\n", "row", "CPU", "A", "B",
            "value, % [interval]", "ratio, % [interval]", "verdict of B");
    for (size_t i = 0; i < all->count; i++) {
        print_pair(all, &all->pairs[i], out);
    }
    print_only(all, 0, out);
    print_only(all, 1, out);
    fprintf(out, "\n%zu slower, %zu faster, %zu within noise", all->verdicts[SLOWER],
            all->verdicts[FASTER], all->verdicts[WITHIN_NOISE]);
    if (all->verdicts[FAILS] > 0) {
        fprintf(out, ", %zu fail in B only", all->verdicts[FAILS]);
    }
    if (all->verdicts[NO_VERDICT] > 0) {
        fprintf(out, ", %zu without a verdict", all->verdicts[NO_VERDICT]);
    }
    fprintf(out,
            ". A change counts when all of its interval is beyond %g %%.\n"
            "Intervals are at %.4g %%: all hold together with 95 %%, as far as noise within a run "
            "goes.\nTwo runs of one program differ by more: repeat what matters.\n",
            100 * all->options->threshold, 100 * all->level);
}

static json_t *json_of_figure(const struct figure *figure)
{
    return figure->known ? json_pack("{s:f, s:f, s:f, s:f, s:f}", "a", figure->a, "b", figure->b,
                                     "change", figure->change.change, "low", figure->change.low,
                                     "high", figure->change.high)
                         : json_null();
}

static json_t *json_of_place(const struct document_row *row)
{
    return json_pack("{s:s, s:I, s:o}", "name", row->name, "core", (json_int_t)row->core, "core2",
                     row->core2 < 0 ? json_null() : json_integer((json_int_t)row->core2));
}

static json_t *json_of_pair(const struct pair *pair)
{
    json_t *object = json_of_place(pair->a);
    const char *why = pair->verdict == FAILS ? pair->b->error : pair->why;

    json_object_set_new(object, "unit", json_string(pair->a->unit));
    json_object_set_new(object, "value", json_of_figure(&pair->value));
    json_object_set_new(object, "ratio", json_of_figure(&pair->ratio));
    json_object_set_new(object, "by", json_string(pair->by_ratio ? "ratio" : "value"));
    json_object_set_new(object, "verdict", json_string(verdict_names[pair->verdict]));
    json_object_set_new(object, "why", why != NULL ? json_string(why) : json_null());
    json_object_set_new(object, "disturbed", json_string(disturbed_text(pair)));
    return object;
}

static void append_difference(void *arg, size_t i, const char *a, const char *b)
{
    json_array_append_new(arg, json_pack("{s:s, s:s, s:o*, s:o*}", "section", conditions[i].section,
                                         "key", conditions[i].key, "a",
                                         json_loads(a, JSON_DECODE_ANY, NULL), "b",
                                         json_loads(b, JSON_DECODE_ANY, NULL)));
}

static json_t *json_of_only(const struct comparison *all, int side)
{
    json_t *array = json_array();

    for (size_t i = 0; i < all->only_count[side]; i++) {
        json_array_append_new(array, json_of_place(all->only[side][i]));
    }
    return array;
}

static void print_json(const struct comparison *all, FILE *out)
{
    json_t *differs = json_array();
    json_t *rows = json_array();
    json_t *limits = json_null();
    json_t *object;
    struct drift drift;

    each_difference(all, append_difference, differs);
    for (size_t i = 0; i < all->count; i++) {
        json_array_append_new(rows, json_of_pair(&all->pairs[i]));
    }
    if (drift_of(all, &drift)) {
        limits = json_pack("{s:f, s:f, s:f}", "median", drift.median, "least", drift.least, "most",
                           drift.most);
    }
    object = json_pack("{s:s, s:s, s:s, s:s, s:f, s:f, s:o, s:o, s:o, s:o, s:o}", "schema",
                       "rt-bench-compare/1", "a", all->a.path, "b", all->b.path, "decided_by",
                       rule_text(all->options->by), "threshold", all->options->threshold, "level",
                       all->level, "differs", differs, "limits_change", limits, "rows", rows,
                       "only_a", json_of_only(all, 0), "only_b", json_of_only(all, 1));
    for (size_t i = 0; i < VERDICTS; i++) {
        json_object_set_new(object, verdict_names[i], json_integer((json_int_t)all->verdicts[i]));
    }
    json_dumpf(object, out, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    fprintf(out, "\n");
    json_decref(object);
}

int bench_compare(const char *path_a, const char *path_b,
                  const struct bench_compare_options *options, FILE *out)
{
    struct comparison all = { .options = options };
    int status = 2;

    if (!document_open(&all.a, path_a)) {
        return 2;
    }
    if (!document_open(&all.b, path_b)) {
        goto close_a;
    }
    if (match(&all)) {
        judge_all(&all);
        (options->json ? print_json : print_table)(&all, out);
        status = all.verdicts[SLOWER] + all.verdicts[FAILS] > 0 ? 1 : 0;
    }
    free(all.pairs);
    free(all.only[0]);
    free(all.only[1]);
    document_close(&all.b);
close_a:
    document_close(&all.a);
    return status;
}
