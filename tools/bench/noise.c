/* SPDX-License-Identifier: MIT */
/* Noise: see noise.h. /proc is read outside of what is timed. */
#include "noise.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "read_file.h"

#define WAITED_MAX 0.02 /* of a repetition's time */

static bool is_one_of(long cpu, const int32_t cpus[2])
{
    return cpu >= 0 && (cpu == cpus[0] || cpu == cpus[1]);
}

/* "cpu3 USER NICE SYSTEM IDLE IOWAIT IRQ SOFTIRQ STEAL ...", in clock ticks. */
double noise_steal_ms(const char *text, const int32_t cpus[2])
{
    double ticks = 0;
    bool found = false;

    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        char *end;
        long cpu;

        line += *line == '\n';
        if (strncmp(line, "cpu", 3) != 0 || line[3] < '0' || line[3] > '9') {
            continue; /* the sum of all, and other lines */
        }
        cpu = strtol(line + 3, &end, 10);
        if (is_one_of(cpu, cpus)) {
            for (int field = 0; field < 7; field++) {
                (void)strtoull(end, &end, 10);
            }
            ticks += (double)strtoull(end, NULL, 10);
            found = true;
        }
    }
    return found ? ticks * 1000 / (double)sysconf(_SC_CLK_TCK) : NAN;
}

/* Which columns of the first line ("CPU0 CPU1 ...") are these CPUs: a bit each, up to 64 columns
 * further than that are found by number as well. Returns how many columns there are. */
static size_t find_columns(const char *text, const int32_t cpus[2], size_t wanted[2])
{
    size_t columns = 0;

    wanted[0] = wanted[1] = SIZE_MAX;
    for (const char *p = text; *p != '\0' && *p != '\n'; p++) {
        if (strncmp(p, "CPU", 3) == 0) {
            const long cpu = strtol(p + 3, NULL, 10);

            for (int i = 0; i < 2; i++) {
                if (cpu == cpus[i]) {
                    wanted[i] = columns;
                }
            }
            columns++;
        }
    }
    return columns;
}

/* A line for each kind of interrupt: "NAME: count count ... what it is". */
double noise_interrupts(const char *text, const int32_t cpus[2])
{
    size_t wanted[2];
    const size_t columns = find_columns(text, cpus, wanted);
    double sum = 0;

    if (wanted[0] == SIZE_MAX) {
        return NAN;
    }
    for (const char *line = strchr(text, '\n'); line != NULL; line = strchr(line, '\n')) {
        const char *p = strchr(++line, ':');

        for (size_t column = 0; p != NULL && column < columns; column++) {
            char *end;
            const double number = (double)strtoull(p + (column == 0), &end, 10);

            if (end == p + (column == 0)) {
                break; /* ERR and MIS have one number for all */
            }
            sum += column == wanted[0] || column == wanted[1] ? number : 0;
            p = end;
        }
    }
    return sum;
}

/* "RUNNING WAITING SLICES" of a thread, in ns: the scheduler's own count. */
static double waited_us(void)
{
    DIR *directory = opendir("/proc/self/task");
    const struct dirent *entry;
    double sum = NAN; /* a kernel without scheduler statistics has no such files */

    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        char name[64];
        char text[128];
        char *end;

        snprintf(name, sizeof(name), "/proc/self/task/%.20s/schedstat", entry->d_name);
        if (entry->d_name[0] != '.' && read_file(name, text, sizeof(text)) > 0) {
            (void)strtoull(text, &end, 10);
            sum = (isnan(sum) ? 0 : sum) + (double)strtoull(end, NULL, 10) / 1000;
        }
    }
    if (directory == NULL) {
        return NAN;
    }
    closedir(directory);
    return sum;
}

static double mhz_of(int32_t cpu)
{
    char name[80];
    char text[32];

    snprintf(name, sizeof(name), "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_cur_freq", cpu);
    return read_file(name, text, sizeof(text)) > 0 ? strtod(text, NULL) / 1000 : NAN;
}

void noise_begin(struct noise_mark *mark, const int32_t cpus[2])
{
    struct rusage usage;
    char *text;

    text = read_whole_file("/proc/stat");
    mark->steal_ms = text == NULL ? NAN : noise_steal_ms(text, cpus);
    free(text);
    text = read_whole_file("/proc/interrupts");
    mark->interrupts = text == NULL ? NAN : noise_interrupts(text, cpus);
    free(text);
    mark->waited_us = waited_us();
    mark->switches = getrusage(RUSAGE_SELF, &usage) == 0 ? (double)usage.ru_nivcsw : NAN;
}

void noise_end(struct noise *out, const struct noise_mark *mark, const int32_t cpus[2])
{
    struct noise_mark now;
    const double second = cpus[1] < 0 ? NAN : mhz_of(cpus[1]);

    noise_begin(&now, cpus);
    out->steal_ms = now.steal_ms - mark->steal_ms;
    out->switches = now.switches - mark->switches;
    out->interrupts = now.interrupts - mark->interrupts;
    out->waited_us = now.waited_us - mark->waited_us;
    if (out->waited_us < 0) { /* threads that have ended are in the first sum only */
        out->waited_us = 0;
    }
    out->mhz = fmin(mhz_of(cpus[0]), second);
}

bool noise_disturbs(const struct noise *noise, double wall_ns)
{
    return noise->steal_ms > 0 || noise->waited_us * 1000 > WAITED_MAX * wall_ns;
}
