/* SPDX-License-Identifier: MIT */
/*
 * Signals: SIGINT and SIGTERM stop the runtime that owns them.
 *
 * Handlers belong to the process, so one runtime at a time can own them. The
 * handler may run on any thread: it counts, and signals an event counter on
 * which the thread in rt_start() waits.
 */
#ifndef RTI_SHARD_SIGNALS_H
#define RTI_SHARD_SIGNALS_H

#include <signal.h>
#include <stdint.h>

/* Install the handlers, which signal `event_fd`: 0, -EBUSY when another runtime owns them, or an
 * error of sigaction(2). */
int rti_signals_own(int event_fd);

/* Put the old actions back. */
void rti_signals_disown(void);

/* How many have come since. */
uint32_t rti_signals_count(void);

/* The last one again, by its default action: ends the process. */
void rti_signals_raise(void);

/* Block every signal that comes from outside on this thread; faults of its own still reach it. */
void rti_signals_block(sigset_t *old_set);
void rti_signals_unblock(const sigset_t *old_set);

#endif /* RTI_SHARD_SIGNALS_H */
