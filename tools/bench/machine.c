/* SPDX-License-Identifier: MIT */
/* Machine: see machine.h. */
#include "machine.h"

#include <rt/rt.h>
#include <rt/topology.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "json_text.h"
#include "read_file.h"

#define TEXT_BYTES 256

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#elif defined(__GNUC__)
#define COMPILER "gcc " __VERSION__
#endif

/* The value of the first line "KEY : VALUE" of /proc/cpuinfo. */
static void find_in_cpuinfo(const char *cpuinfo, const char *key, char *out, size_t bytes)
{
    const char *line = cpuinfo == NULL ? NULL : strstr(cpuinfo, key);
    const char *value = line == NULL ? NULL : strchr(line, ':');

    out[0] = '\0';
    if (value != NULL) {
        value += strspn(value, ": ");
        snprintf(out, bytes, "%.*s", (int)strcspn(value, "\n"), value);
    }
}

static void describe_processor(json_t *machine)
{
    char *cpuinfo = read_whole_file("/proc/cpuinfo");
    char text[TEXT_BYTES];
    char flags[8192];

    find_in_cpuinfo(cpuinfo, "model name", text, sizeof(text));
    json_object_set_new(machine, "processor", json_text(text[0] == '\0' ? "unknown" : text));
    find_in_cpuinfo(cpuinfo, "flags", flags, sizeof(flags));
    json_object_set_new(machine, "hypervisor",
                        flags[0] == '\0' ? json_null()
                                         : json_boolean(strstr(flags, " hypervisor") != NULL));
    free(cpuinfo);
}

static int ask_features(void *arg)
{
    (void)rt_features_format(arg, TEXT_BYTES);
    return 0;
}

/* What an executor is granted here, as the rows' will be. False, and a message: none can start. */
static bool describe_engine(json_t *machine)
{
    char text[TEXT_BYTES] = "";

    json_object_set_new(machine, "engine", json_string("io_uring"));
    if (rt_run(NULL, ask_features, text) < 0) {
        return false; /* it has said why */
    }
    json_object_set_new(machine, "features", json_string(text));
    return true;
}

static json_t *place_number(int32_t number)
{
    return number < 0 ? json_null() : json_integer(number);
}

static void describe_cpus(json_t *machine)
{
    struct rt_topology *topology;
    json_t *cpus = json_array();

    json_object_set_new(machine, "cpus", cpus);
    if (rt_topology_read(&topology, RT_TOPOLOGY_THIS, NULL, NULL) < 0) {
        return; /* it has said why */
    }
    json_object_set_new(machine, "packages", json_integer(topology->package_count));
    json_object_set_new(machine, "cores", json_integer(topology->core_count));
    for (uint32_t i = 0; i < topology->cpu_count; i++) {
        const struct rt_topology_cpu *cpu = &topology->cpus[i];
        json_t *one = json_object();

        if (cpu->state == RT_CPU_OFFLINE) {
            json_decref(one);
            continue;
        }
        json_object_set_new(one, "number", json_integer(cpu->number));
        json_object_set_new(one, "core", place_number(cpu->core));
        json_object_set_new(one, "thread", place_number(cpu->thread));
        json_object_set_new(one, "cache", place_number(cpu->cache));
        json_object_set_new(one, "package", place_number(cpu->package));
        json_object_set_new(one, "node", place_number(cpu->node));
        json_array_append_new(cpus, one);
    }
    rt_topology_destroy(topology);
}

static void describe_build(json_t *machine)
{
    struct utsname system;
    char date[32];
    const time_t seconds = time(NULL);
    struct tm utc;

    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &utc));
    json_object_set_new(machine, "date", json_string(date));
    json_object_set_new(machine, "version", json_string(RT_VERSION));
    json_object_set_new(machine, "build", json_string(COMPILER ", " BENCH_BUILD));
    json_object_set_new(machine, "kernel",
                        uname(&system) == 0 ? json_string(system.release) : json_null());
}

json_t *machine_describe(const char *no_counters, double clock_ns)
{
    json_t *machine = json_object();

    describe_build(machine);
    describe_processor(machine);
    if (!describe_engine(machine)) {
        json_decref(machine);
        return NULL;
    }
    describe_cpus(machine);
    json_object_set_new(machine, "hardware_counters",
                        no_counters == NULL ? json_null() : json_string(no_counters));
    json_object_set_new(machine, "clock_ns", json_real(clock_ns));
    json_object_set_new(machine, "warnings", json_array());
#ifndef NDEBUG
    machine_warn(machine, "built with assertions: the figures are not those of a release build");
#endif
    return machine;
}

void machine_warn(json_t *machine, const char *text)
{
    json_array_append_new(json_object_get(machine, "warnings"), json_string(text));
}
