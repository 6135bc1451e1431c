/* SPDX-License-Identifier: MIT */
/*
 * Histogram against a model that keeps every value, on random durations of all
 * magnitudes; its table is read back by a parser that knows the format only, and
 * set beside one that HdrHistogram's own tests hold.
 */
#include "histogram.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "support/harness.h"
#include "support/rand.h"

#define VALUES    20000
#define LINES_MAX 400
#define ERROR_MAX (1.0 / 1024)

static uint64_t values[VALUES]; /* the model: sorted once all are there */

/* Without memory there is nothing to test. */
static struct histogram *create(void)
{
    struct histogram *histogram = histogram_create();

    if (histogram == NULL) {
        abort();
    }
    return histogram;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Of any magnitude below an hour. */
static uint64_t draw(struct rand_state *rand)
{
    return rand_next(rand) >> rand_range(rand, 23, 63);
}

static void fill(struct histogram *histogram, uint64_t seed, size_t count)
{
    struct rand_state rand;

    rand_init(&rand, seed);
    for (size_t i = 0; i < count; i++) {
        values[i] = draw(&rand);
        histogram_record(histogram, values[i]);
    }
    qsort(values, count, sizeof(values[0]), compare);
}

/* Not below the true value, and above it by 1/1024 at most. */
static bool is_kept(uint64_t kept, uint64_t value)
{
    return kept >= value && (double)(kept - value) <= ERROR_MAX * (double)value;
}

static void an_empty_one_has_nothing(void **state)
{
    struct histogram *histogram = create();
    uint32_t index = 0;
    uint64_t value = 0;

    (void)state;
    assert_int_equal(histogram_count(histogram), 0);
    assert_int_equal(histogram_max(histogram), 0);
    assert_int_equal(histogram_quantile(histogram, 0.5), 0);
    assert_true(histogram_mean(histogram) == 0.0 && histogram_stddev(histogram) == 0.0);
    assert_int_equal(histogram_next(histogram, &index, &value), 0);
    histogram_destroy(histogram);
    histogram_destroy(NULL);
}

/* The ends of every power of two, and what is beside them. */
static void every_value_is_kept_to_a_thousandth(void **state)
{
    struct histogram *histogram = create();

    (void)state;
    for (unsigned bit = 0; bit < 42; bit++) {
        for (uint64_t add = 0; add < 3; add++) {
            uint64_t wanted = (UINT64_C(1) << bit) + add - 1;
            uint32_t index = 0;
            uint64_t kept = 0;

            memset(histogram, 0, sizeof(*histogram));
            histogram_record(histogram, wanted);
            histogram_record(histogram, HISTOGRAM_MAX); /* so that the maximum does not help */
            assert_int_equal(histogram_next(histogram, &index, &kept), 1);
            assert_true(is_kept(kept, wanted));
            assert_true(wanted >= HISTOGRAM_SUB_BUCKETS || kept == wanted);
        }
    }
    histogram_destroy(histogram);
}

static void what_is_above_an_hour_counts_as_an_hour(void **state)
{
    struct histogram *histogram = create();

    (void)state;
    histogram_record(histogram, HISTOGRAM_MAX + 1);
    histogram_record(histogram, UINT64_MAX);
    assert_int_equal(histogram_count(histogram), 2);
    assert_int_equal(histogram_max(histogram), HISTOGRAM_MAX);
    assert_int_equal(histogram_quantile(histogram, 1), HISTOGRAM_MAX);
    histogram_destroy(histogram);
}

static void quantiles_are_those_of_the_sorted_values(void **state)
{
    static const double quantiles[] = { 0, 0.001, 0.1, 0.25, 0.5, 0.55, 0.9, 0.99, 0.999, 1 };

    (void)state;
    for (unsigned run = 0; run < rt_test_seed_count(20); run++) {
        struct histogram *histogram = create();
        size_t count = run == 0 ? 1 : run == 1 ? 100 : VALUES;

        fill(histogram, rt_test_seed(run), count);
        assert_int_equal(histogram_count(histogram), count);
        assert_int_equal(histogram_max(histogram), values[count - 1]);
        for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
            size_t rank = (size_t)ceil(quantiles[i] * (double)count - 1e-6);
            uint64_t wanted = values[rank > 0 ? rank - 1 : 0];

            assert_true(is_kept(histogram_quantile(histogram, quantiles[i]), wanted));
        }
        histogram_destroy(histogram);
    }
}

static void mean_and_deviation_are_those_of_the_values(void **state)
{
    struct histogram *histogram = create();
    double sum = 0;
    double squares = 0;
    double mean;

    (void)state;
    fill(histogram, 7, VALUES);
    for (size_t i = 0; i < VALUES; i++) {
        sum += (double)values[i];
    }
    mean = sum / VALUES;
    for (size_t i = 0; i < VALUES; i++) {
        squares += ((double)values[i] - mean) * ((double)values[i] - mean);
    }
    assert_true(fabs(histogram_mean(histogram) / mean - 1) < ERROR_MAX);
    assert_true(fabs(histogram_stddev(histogram) / sqrt(squares / VALUES) - 1) < ERROR_MAX);
    histogram_destroy(histogram);
}

static void merged_ones_are_as_one_that_took_all(void **state)
{
    struct histogram *parts[2] = { create(), create() };
    struct histogram *all = create();
    struct rand_state rand;

    (void)state;
    rand_init(&rand, 9);
    for (unsigned i = 0; i < VALUES; i++) {
        uint64_t value = draw(&rand);

        histogram_record(parts[i % 3 == 0], value);
        histogram_record(all, value);
    }
    histogram_merge(parts[0], parts[1]);
    assert_memory_equal(parts[0], all, sizeof(*all));
    histogram_destroy(parts[0]);
    histogram_destroy(parts[1]);
    histogram_destroy(all);
}

/* A table, read by its columns. */
struct table {
    size_t lines;
    double value[LINES_MAX], percentile[LINES_MAX], inverse[LINES_MAX];
    unsigned long long total[LINES_MAX];
    double mean, stddev, max;
    unsigned long long count;
    unsigned buckets, sub_buckets;
};

static char *print(const struct histogram *histogram, double unit_ns)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (out != NULL) {
        histogram_print(histogram, out, unit_ns);
        fclose(out);
    }
    return text;
}

static void parse(struct table *table, const char *text)
{
    static const char head[] = "       Value     Percentile TotalCount 1/(1-Percentile)\n\n";
    const char *at = text + sizeof(head) - 1;
    int used = 0;

    memset(table, 0, sizeof(*table));
    assert_memory_equal(text, head, sizeof(head) - 1);
    while (*at != '#') {
        size_t i = table->lines++;
        int end = 0;

        assert_true(i < LINES_MAX);
        /* NOLINTNEXTLINE(cert-err34-c): the number of conversions is looked at */
        assert_int_equal(sscanf(at, "%lf %lf %llu%n", &table->value[i], &table->percentile[i],
                                &table->total[i], &used),
                         3);
        at += used;
        /* NOLINTNEXTLINE(cert-err34-c) */
        if (sscanf(at, "%*[ ]%lf%n", &table->inverse[i], &end) == 1) {
            at += end;
        }
        assert_true(*at++ == '\n');
    }
    /* NOLINTNEXTLINE(cert-err34-c) */
    assert_int_equal(sscanf(at,
                            "#[Mean = %lf, StdDeviation = %lf]\n"
                            "#[Max = %lf, Total count = %llu]\n"
                            "#[Buckets = %u, SubBuckets = %u]%n",
                            &table->mean, &table->stddev, &table->max, &table->count,
                            &table->buckets, &table->sub_buckets, &used),
                     6);
    assert_string_equal(at + used, "\n");
}

/* That of HdrHistogram's JavaScript implementation for three values, but for the last line, whose
 * buckets depend on the greatest value that there may be. */
static void the_table_is_that_of_other_implementations(void **state)
{
    static const char wanted[] = "       Value     Percentile TotalCount 1/(1-Percentile)\n"
                                 "\n"
                                 "      25.000 0.000000000000          1           1.00\n"
                                 "      25.000 0.100000000000          1           1.11\n"
                                 "      25.000 0.200000000000          1           1.25\n"
                                 "      25.000 0.300000000000          1           1.43\n"
                                 "      50.000 0.400000000000          2           1.67\n"
                                 "      50.000 0.500000000000          2           2.00\n"
                                 "      50.000 0.550000000000          2           2.22\n"
                                 "      50.000 0.600000000000          2           2.50\n"
                                 "      50.000 0.650000000000          2           2.86\n"
                                 "      75.000 0.700000000000          3           3.33\n"
                                 "      75.000 1.000000000000          3\n"
                                 "#[Mean    =       50.000, StdDeviation   =       20.412]\n"
                                 "#[Max     =       75.000, Total count    =            3]\n"
                                 "#[Buckets =           32, SubBuckets     =         2048]\n";
    struct histogram *histogram = create();
    char *text;

    (void)state;
    histogram_record(histogram, 25);
    histogram_record(histogram, 50);
    histogram_record(histogram, 75);
    text = print(histogram, 1);
    assert_non_null(text);
    assert_string_equal(text, wanted);
    free(text);
    histogram_destroy(histogram);
}

static void the_table_says_what_the_values_are(void **state)
{
    struct histogram *histogram = create();
    struct table table;
    char *text;

    (void)state;
    fill(histogram, 11, VALUES);
    text = print(histogram, 1000);
    assert_non_null(text);
    parse(&table, text);
    assert_true(table.lines > 50);
    for (size_t i = 0; i < table.lines; i++) {
        size_t rank = (size_t)ceil(table.percentile[i] * VALUES - 1e-6);
        double wanted = (double)values[rank > 0 ? rank - 1 : 0] / 1000;

        assert_true(table.value[i] >= wanted - 0.001);
        assert_true(table.value[i] <= wanted * (1 + ERROR_MAX) + 0.001);
        assert_true((double)table.total[i] >= table.percentile[i] * VALUES - 1e-6);
        assert_true(i == 0 || table.percentile[i] > table.percentile[i - 1]);
        assert_true(i + 1 == table.lines ||
                    fabs(table.inverse[i] * (1 - table.percentile[i]) - 1) < 0.01);
    }
    assert_true(table.percentile[table.lines - 1] == 1.0);
    assert_true(table.inverse[table.lines - 1] == 0.0); /* there is none */
    assert_int_equal(table.count, VALUES);
    assert_int_equal(table.sub_buckets, 2048);
    assert_true(fabs(table.mean - histogram_mean(histogram) / 1000) < 0.001);
    assert_true(fabs(table.stddev - histogram_stddev(histogram) / 1000) < 0.001);
    assert_true(fabs(table.max - (double)values[VALUES - 1] / 1000) < 0.001);
    free(text);
    histogram_destroy(histogram);
}

/* Five lines from 0 to 50 %, five from there to 75 %, and so on. */
static void the_table_has_five_lines_per_halving(void **state)
{
    struct histogram *histogram = create();
    struct table table;
    char *text;
    unsigned halvings[8] = { 0 };

    (void)state;
    for (uint64_t i = 1; i <= 2000; i++) {
        histogram_record(histogram, i);
    }
    text = print(histogram, 1);
    assert_non_null(text);
    parse(&table, text);
    for (size_t i = 0; i < table.lines; i++) {
        for (unsigned k = 0; k < 8; k++) {
            double from = 1 - ldexp(1, -(int)k);

            halvings[k] += table.percentile[i] >= from - 1e-9 &&
                           table.percentile[i] < from + ldexp(0.5, -(int)k) - 1e-9;
        }
    }
    for (unsigned k = 0; k < 8; k++) {
        assert_int_equal(halvings[k], 5);
    }
    free(text);
    histogram_destroy(histogram);
}

static void an_empty_table_has_no_lines(void **state)
{
    struct histogram *histogram = create();
    struct table table;
    char *text;

    (void)state;
    text = print(histogram, 1);
    assert_non_null(text);
    parse(&table, text);
    assert_int_equal(table.lines, 0);
    assert_int_equal(table.count, 0);
    free(text);
    histogram_destroy(histogram);
}

static void json_has_every_value(void **state)
{
    struct histogram *histogram = create();
    json_t *object;
    json_t *counters;
    json_int_t sum = 0;

    (void)state;
    fill(histogram, 13, VALUES);
    object = histogram_to_json(histogram);
    counters = json_object_get(object, "histogram");
    assert_int_equal(json_integer_value(json_object_get(object, "count")), VALUES);
    assert_int_equal(json_integer_value(json_object_get(object, "p99")),
                     histogram_quantile(histogram, 0.99));
    assert_int_equal(json_integer_value(json_object_get(object, "max")), values[VALUES - 1]);
    for (size_t i = 0; i < json_array_size(counters); i++) {
        const json_t *pair = json_array_get(counters, i);
        uint64_t value = (uint64_t)json_integer_value(json_array_get(pair, 0));

        sum += json_integer_value(json_array_get(pair, 1));
        /* The last of these is the sum-th of all. */
        assert_true(is_kept(value, values[sum - 1]));
    }
    assert_int_equal(sum, VALUES);
    json_decref(object);
    histogram_destroy(histogram);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_one_has_nothing),
        cmocka_unit_test(every_value_is_kept_to_a_thousandth),
        cmocka_unit_test(what_is_above_an_hour_counts_as_an_hour),
        cmocka_unit_test(quantiles_are_those_of_the_sorted_values),
        cmocka_unit_test(mean_and_deviation_are_those_of_the_values),
        cmocka_unit_test(merged_ones_are_as_one_that_took_all),
        cmocka_unit_test(the_table_is_that_of_other_implementations),
        cmocka_unit_test(the_table_says_what_the_values_are),
        cmocka_unit_test(the_table_has_five_lines_per_halving),
        cmocka_unit_test(an_empty_table_has_no_lines),
        cmocka_unit_test(json_has_every_value),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
