/* SPDX-License-Identifier: MIT */
/* What a process of this machine has used so far, over all its threads, as /proc tells it. */
#ifndef LOAD_PROCESS_H
#define LOAD_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct process_use {
    uint64_t cpu_ns;
    bool coarse; /* cpu_ns comes from clock ticks (stat), not from the scheduler (schedstat) */
    uint64_t voluntary;   /* context switches by waiting */
    uint64_t involuntary; /* and by being put off the CPU */
};

/*
 * False, and a message, when there is no such process or its files cannot be read.
 *
 * The scheduler's count of a thread that runs just now is up to one clock tick old (4 ms at 250
 * Hz): 0.1 % of a measurement of 4 s.
 */
bool process_use_read(pid_t pid, struct process_use *out);

/* Time that CPUs stood idle while a task of theirs waited for a disk, in ns, since boot. */
bool iowait_read(uint64_t *out);

#endif /* LOAD_PROCESS_H */
