/* SPDX-License-Identifier: MIT */
/* A histogram as JSON: apart, for the load client needs no library for it. */
#include <jansson.h>

#include "histogram.h"

static void set_ns(json_t *object, const char *key, uint64_t ns)
{
    json_object_set_new(object, key, json_integer((json_int_t)ns));
}

json_t *histogram_to_json(const struct histogram *histogram)
{
    json_t *object = json_object();
    json_t *counters = json_array();
    uint32_t index = 0;
    uint64_t value = 0;
    uint64_t count;

    while ((count = histogram_next(histogram, &index, &value)) > 0) {
        json_array_append_new(counters, json_pack("[I, I]", (json_int_t)value, (json_int_t)count));
    }
    set_ns(object, "count", histogram->count);
    json_object_set_new(object, "mean", json_real(histogram_mean(histogram)));
    set_ns(object, "p50", histogram_quantile(histogram, 0.5));
    set_ns(object, "p90", histogram_quantile(histogram, 0.9));
    set_ns(object, "p99", histogram_quantile(histogram, 0.99));
    set_ns(object, "p999", histogram_quantile(histogram, 0.999));
    set_ns(object, "max", histogram->max);
    json_object_set_new(object, "histogram", counters);
    return object;
}
