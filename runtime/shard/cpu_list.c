/* SPDX-License-Identifier: MIT */
/* CPU list: see cpu_list.h. */
#include "shard/cpu_list.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT_BYTES 160 /* of a list in an error, which has to fit into a line of the log */

/* The list as far as it was read. */
struct reading {
    const struct rt_topology *topology;
    const struct rti_log *log;
    const char *text;
    const char *next;  /* what is to be read */
    uint32_t *indices; /* found so far */
    uint32_t count;
};

static int find_cpu(const struct rt_topology *topology, unsigned long number)
{
    for (uint32_t i = 0; i < topology->cpu_count; i++) {
        if ((unsigned long)topology->cpus[i].number == number) {
            return (int)i;
        }
    }
    return -1;
}

static int refuse_cpu(const struct reading *reading, unsigned long number, int index)
{
    const enum rt_cpu_state state = index < 0
                                        ? RT_CPU_OFFLINE
                                        : (enum rt_cpu_state)reading->topology->cpus[index].state;
    char allowed[TEXT_BYTES];

    rti_cpu_list_format(reading->topology, RT_CPU_ALLOWED, allowed, sizeof(allowed));
    if (index < 0) {
        rti_log(reading->log, RT_LOG_ERROR,
                "cpus \"%s\": there is no CPU %lu; this process may use %s", reading->text, number,
                allowed);
    } else if (state == RT_CPU_OFFLINE) {
        rti_log(reading->log, RT_LOG_ERROR,
                "cpus \"%s\": CPU %lu is offline; this process may use %s", reading->text, number,
                allowed);
    } else {
        rti_log(reading->log, RT_LOG_ERROR,
                "cpus \"%s\": CPU %lu exists, but this process may not use it (see taskset -p or "
                "cpuset.cpus); it may use %s",
                reading->text, number, allowed);
    }
    return -EINVAL;
}

static int add_cpu(struct reading *reading, unsigned long number)
{
    const int index = find_cpu(reading->topology, number);

    if (index < 0 || reading->topology->cpus[index].state != RT_CPU_ALLOWED) {
        return refuse_cpu(reading, number, index);
    }
    for (uint32_t i = 0; i < reading->count; i++) {
        if (reading->indices[i] == (uint32_t)index) {
            rti_log(reading->log, RT_LOG_ERROR, "cpus \"%s\": CPU %lu is named twice",
                    reading->text, number);
            return -EINVAL;
        }
    }
    reading->indices[reading->count++] = (uint32_t)index;
    return 0;
}

static int refuse_syntax(const struct reading *reading)
{
    rti_log(reading->log, RT_LOG_ERROR,
            "cpus \"%s\" cannot be read at \"%s\": write numbers and ranges, such as \"0-3,8\" or "
            "\"0-14:2\"",
            reading->text, reading->next);
    return -EINVAL;
}

/* A number, and nothing that strtoul() takes for one besides. */
static bool read_number(struct reading *reading, unsigned long *out)
{
    char *end;

    if (*reading->next < '0' || *reading->next > '9') {
        return false;
    }
    errno = 0;
    *out = strtoul(reading->next, &end, 10);
    if (errno != 0 || *out > INT32_MAX) {
        return false;
    }
    reading->next = end;
    return true;
}

/* What stands behind `mark`, if that comes next; else `otherwise`. */
static bool read_optional(struct reading *reading, char mark, unsigned long otherwise,
                          unsigned long *out)
{
    *out = otherwise;
    if (*reading->next != mark) {
        return true;
    }
    reading->next++;
    return read_number(reading, out);
}

/* "8", "0-3" or "0-14:2". */
static int read_range(struct reading *reading)
{
    unsigned long first;
    unsigned long last;
    unsigned long step = 1;
    bool is_range;
    int r = 0;

    if (!read_number(reading, &first)) {
        return refuse_syntax(reading);
    }
    is_range = *reading->next == '-';
    if (!read_optional(reading, '-', first, &last) ||
        (is_range && !read_optional(reading, ':', 1, &step))) {
        return refuse_syntax(reading);
    }
    if (last < first || step == 0) {
        rti_log(reading->log, RT_LOG_ERROR, "cpus \"%s\": the range %lu-%lu%s", reading->text,
                first, last, step == 0 ? " has a step of 0" : " runs backwards");
        return -EINVAL;
    }
    /* A CPU that is not there ends the loop, so a wild range is no long one. */
    for (unsigned long number = first; number <= last && r == 0; number += step) {
        r = add_cpu(reading, number);
    }
    return r;
}

int rti_cpu_list_read(const struct rt_topology *topology, const char *text, uint32_t *indices,
                      const struct rti_log *log)
{
    struct reading reading = { topology, log, text, text, indices, 0 };

    for (;;) {
        const int r = read_range(&reading);

        if (r < 0) {
            return r;
        }
        if (*reading.next == '\0') {
            return (int)reading.count;
        }
        if (*reading.next != ',') {
            return refuse_syntax(&reading);
        }
        reading.next++;
    }
}

/* The lowest number above `above` of a CPU in that state, or -1. */
static int32_t next_number(const struct rt_topology *topology, enum rt_cpu_state state,
                           int32_t above)
{
    int32_t lowest = -1;

    for (uint32_t i = 0; i < topology->cpu_count; i++) {
        const struct rt_topology_cpu *cpu = &topology->cpus[i];

        if (cpu->state == (uint32_t)state && cpu->number > above &&
            (lowest < 0 || cpu->number < lowest)) {
            lowest = cpu->number;
        }
    }
    return lowest;
}

void rti_cpu_list_format(const struct rt_topology *topology, enum rt_cpu_state state, char *text,
                         size_t bytes)
{
    int32_t first = next_number(topology, state, -1);
    size_t length = 0;

    (void)snprintf(text, bytes, "none");
    while (first >= 0 && length < bytes) {
        int32_t last = first;
        int32_t next = next_number(topology, state, last);
        char range[32];

        for (; next == last + 1; next = next_number(topology, state, last)) {
            last = next;
        }
        (void)snprintf(range, sizeof(range), last > first ? "%d-%d" : "%d", first, last);
        length += (size_t)snprintf(text + length, bytes - length, "%s%s", length > 0 ? "," : "",
                                   range);
        first = next;
    }
}
