/* SPDX-License-Identifier: MIT */
/* Quantity: see quantity.h. */
#include "quantity.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)
#define PIB (UINT64_C(1) << 50)

struct unit {
    const char *name;
    uint64_t factor;
};

/* From large to small, and the name to write first. */
static const struct unit bytes_units[] = {
    { "p", PIB },
    { "t", TIB },
    { "g", GIB },
    { "m", MIB },
    { "k", KIB },
    { "", 1 },
    { "b", 1 },
    { "pb", PIB },
    { "tb", TIB },
    { "gb", GIB },
    { "mb", MIB },
    { "kb", KIB },
    { "pi", PIB },
    { "ti", TIB },
    { "gi", GIB },
    { "mi", MIB },
    { "ki", KIB },
    { "pib", UINT64_C(1000000000000000) },
    { "tib", UINT64_C(1000000000000) },
    { "gib", UINT64_C(1000000000) },
    { "mib", UINT64_C(1000000) },
    { "kib", UINT64_C(1000) },
};

static const struct unit time_units[] = {
    { "d", 86400 * (uint64_t)RT_SECONDS(1) }, { "h", 3600 * (uint64_t)RT_SECONDS(1) },
    { "m", 60 * (uint64_t)RT_SECONDS(1) },    { "s", (uint64_t)RT_SECONDS(1) },
    { "ms", (uint64_t)RT_MILLISECONDS(1) },   { "us", (uint64_t)RT_MICROSECONDS(1) },
    { "msec", (uint64_t)RT_MILLISECONDS(1) }, { "usec", (uint64_t)RT_MICROSECONDS(1) },
};

#define BYTES_UNITS (sizeof(bytes_units) / sizeof(bytes_units[0]))
#define TIME_UNITS  (sizeof(time_units) / sizeof(time_units[0]))

/* The number that the text begins with; *end is what is behind it, if it may have a unit. */
static bool read_number(const char *text, uint64_t *out, const char **end)
{
    const bool hexadecimal = text[0] == '0' && (text[1] | 0x20) == 'x';
    char *behind;

    if (text[0] < '0' || text[0] > '9') {
        return false; /* strtoull() takes signs and spaces */
    }
    errno = 0;
    *out = strtoull(text, &behind, hexadecimal ? 16 : 10);
    *end = behind;
    return errno == 0 && (!hexadecimal || *behind == '\0');
}

static bool multiply(uint64_t number, uint64_t factor, uint64_t *out)
{
    uint64_t product;

    if (__builtin_mul_overflow(number, factor, &product)) {
        return false;
    }
    *out = product;
    return true;
}

static bool read_unit(const struct unit *units, size_t count, const char *text, uint64_t number,
                      uint64_t *out)
{
    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(text, units[i].name) == 0) {
            return multiply(number, units[i].factor, out);
        }
    }
    return false;
}

bool quantity_bytes(const char *text, uint64_t *out)
{
    const char *unit;
    uint64_t number;

    return read_number(text, &number, &unit) &&
           read_unit(bytes_units, BYTES_UNITS, unit, number, out);
}

bool quantity_time(const char *text, rt_time unit, rt_time *out)
{
    const char *name;
    uint64_t number;
    bool good;

    if (!read_number(text, &number, &name)) {
        return false;
    }
    good = *name == '\0' ? multiply(number, (uint64_t)unit, &number)
                         : read_unit(time_units, TIME_UNITS, name, number, &number);
    if (!good || number > INT64_MAX) {
        return false;
    }
    *out = (rt_time)number;
    return true;
}

/* The largest unit that divides it; the last one divides all. */
static const char *write_number(const struct unit *units, uint64_t number,
                                char text[QUANTITY_BYTES])
{
    while (number % units->factor != 0 || (number == 0 && units->factor > 1)) {
        units++;
    }
    (void)snprintf(text, QUANTITY_BYTES, "%" PRIu64 "%s", number / units->factor, units->name);
    return text;
}

const char *quantity_bytes_text(uint64_t bytes, char text[QUANTITY_BYTES])
{
    return write_number(bytes_units, bytes, text);
}

const char *quantity_time_text(rt_time time, char text[QUANTITY_BYTES])
{
    return time == 0 ? "0" : write_number(time_units, (uint64_t)time, text);
}
