/* SPDX-License-Identifier: MIT */
/*
 * Noise: what else happened on the CPUs of a repetition while it ran, as the
 * kernel counts it. A repetition is judged by this alone, never by its figure:
 * to drop slow ones would be to choose the result.
 */
#ifndef BENCH_NOISE_H
#define BENCH_NOISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Between two moments, on up to two CPUs and over the threads of this process. NAN: not known. */
struct noise {
    double steal_ms;   /* the host ran something else; in clock ticks, mostly of 10 ms */
    double switches;   /* involuntary ones: something else ran here */
    double waited_us;  /* this process could have run and was not let */
    double interrupts; /* of these CPUs */
    double mhz;        /* frequency at the end, the lower one */
};

/* Where counting begins. */
struct noise_mark {
    double steal_ms, switches, waited_us, interrupts;
};

/* `cpus[1]` may be -1. */
void noise_begin(struct noise_mark *mark, const int32_t cpus[2]);
void noise_end(struct noise *out, const struct noise_mark *mark, const int32_t cpus[2]);

/* Too much happened in a repetition of `wall_ns`: any time stolen, or 2 % of it waited. */
bool noise_disturbs(const struct noise *noise, double wall_ns);

/* The sums of files in the format of /proc/stat and /proc/interrupts, for CPUs a and b (or -1):
 * NAN where `text` does not have them. */
double noise_steal_ms(const char *text, const int32_t cpus[2]);
double noise_interrupts(const char *text, const int32_t cpus[2]);

#endif /* BENCH_NOISE_H */
