/* SPDX-License-Identifier: MIT */
/*
 * Signals: SIGINT and SIGTERM stop the runtime that owns them.
 *
 * Handlers belong to the process, so one runtime at a time can own them. The
 * handler may run on any thread, and may still run when they are given back: it
 * touches nothing but a word and a semaphore that are always there. The thread
 * in rt_start() waits on the semaphore. (Not on a futex of our own: to
 * ThreadSanitizer that is no place where a signal may be handled.)
 */
#ifndef RTI_SHARD_SIGNALS_H
#define RTI_SHARD_SIGNALS_H

#include <stdint.h>

/* Install the handlers: 0, -EBUSY when another runtime owns them, or an error of sigaction(2). */
int rti_signals_own(void);

/* Put the old actions back. */
void rti_signals_disown(void);

/* How many have come since they are owned. */
uint32_t rti_signals_count(void);

/* Sleep until a signal has come, or somebody has called rti_signals_notify(), since the last call.
 * May return early. */
void rti_signals_await(void);
void rti_signals_notify(void);

/* The last one again, by its default action: ends the process. */
void rti_signals_raise(void);

#endif /* RTI_SHARD_SIGNALS_H */
