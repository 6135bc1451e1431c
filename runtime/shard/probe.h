/* SPDX-License-Identifier: MIT */
/*
 * Probe: asks a shard's thread, in the middle of whatever it does, where it is.
 *
 *     asker   fill in what is wanted; state = ASKED; signal the thread
 *     thread  (in the handler) state = ANSWERING; look, write the answer; state = ANSWERED; post
 *
 * B1 An answer is given to the question it belongs to, and once: who has waited long enough
 *    takes ASKED back; where the handler has begun, it is waited for.
 *
 * The handler runs on the alternate stack, so a task needs no room for it; it takes
 * no lock and no memory. The unwinder finds its tables by _dl_find_object(), which
 * takes no lock either (glibc 2.35); with an older C library no calls are taken.
 *
 * The handler is the process's. It is shared by all runtimes, and stays until the
 * last of them ends.
 */
#ifndef RTI_SHARD_PROBE_H
#define RTI_SHARD_PROBE_H

#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "rt/stall.h"
#include "rt/taskq.h"

struct rti_executor;
struct rt_task;

/* One run of a task, or of the loop; and when it was seen. */
struct rti_probed_run {
    uint64_t turns;             /* these three tell it from all others: */
    uint64_t read_at;           /*   the countdown that it is part of, */
    int32_t left;               /*   and its place in that */
    uint32_t index;             /* of the task */
    const struct rt_task *task; /* NULL: the loop; not to be followed */
    rt_time cpu;                /* CPU time of the thread then, ns */
};

struct rti_probe {
    uint32_t state; /* atomic; enum in probe.c */
    sem_t answered;
    struct rti_probed_run expected; /* asked for: is it this run still? */
    bool wants_calls;               /* then take the calls too, */
    bool counts;                    /* and count it as a stall */

    struct rti_probed_run run; /* the answer */
    bool is_expected;          /* it is that run; and the rest is valid, if it was wanted */
    char name[RT_TASKQ_NAME_BYTES];
    char queue[RT_TASKQ_NAME_BYTES];
    uint32_t call_count;
    uintptr_t calls[RT_STALL_FRAMES];
};

/* Have the handler: 0, or -errno, having said why at that level. -EBUSY: somebody else handles the
 * signal. */
int rti_probe_begin(uint32_t signal_number, const struct rti_log *log, enum rt_log_level level);
void rti_probe_end(void);

/* Ask; the thread's executor must know the probe. False when no answer has come in time. */
bool rti_probe_ask(struct rti_probe *probe, int thread_id);

#endif /* RTI_SHARD_PROBE_H */
