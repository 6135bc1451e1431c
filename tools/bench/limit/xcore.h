/* SPDX-License-Identifier: MIT */
/*
 * Limits between two cores: what a call, a post, a channel and a wake cost at
 * least, called as a user calls the runtime (functions of a shared library).
 *
 * A pair is two threads, each on a CPU of its own: side 0 asks, side 1 serves.
 * Between them lies what the contract of the runtime puts between two shards,
 * and nothing else:
 *
 *     port      side 0                                      side 1
 *               request slots (32 bytes, two a line) ------->  runs fn(arg), in the order sent
 *               tail                                 ------->
 *               <-------                         head, once per take
 *               <-------  reply slots (16 bytes, four a line)
 *               <-------                         tail
 *     doorbell  one word per side, alone in its line. Ring: fetch_or, after a tail was stored;
 *               take: exchange, when the word is not 0; sleep: CAS(0 -> SLEEPING)
 *     wake map  three words per side: set upwards before a ring, taken downwards after it
 *     channel   a ring of items, tail, head, and a word of wait bits
 *
 * Why each is a minimum:
 *
 * - One read-modify-write per flush, not per message: a port is flushed after 16 messages and when
 *   its side looks for answers, a channel after 16 single items, a batch at once.
 * - Indices are cached: the other side's line is read when the ring seems full or empty, no sooner.
 *   A channel's head is published when a quarter of it was received.
 * - There are no tasks. A wait looks again and again in the caller, where the runtime switches to
 *   its loop and back, and looks at timers and completions. Side 1 runs functions in its loop.
 * - Nobody waits for room but by looking: no want_room, no lists of waiters.
 *
 * Misuse (a call outside a pair, more calls in flight than slots) aborts.
 */
#ifndef LIMIT_XCORE_H
#define LIMIT_XCORE_H

#include <stddef.h>

#include "limit.h"

/* How the two sides wait for each other. */
enum limit_waiting {
    LIMIT_SPINS,  /* looking at the doorbell, never leaving the CPU */
    LIMIT_SLEEPS, /* in io_uring_enter(); woken by a MSG_RING that rides on the sender's enter */
};

/*
 * Run fn(arg) on side 0, on CPU `cpus[0]`, beside a side 1 on `cpus[1]`, and return its result.
 * A negative errno value, and a message, when there are no such threads, no memory or no ring.
 */
LIMIT_API int limit_pair_run(const int cpus[2], enum limit_waiting waiting, int (*fn)(void *),
                             void *arg);

/* A call under way; in the caller's memory. */
struct limit_call {
    int32_t result;
    bool done;
};

/*
 * Rows xcore_call1 and xcore_call64: run fn(arg) on side 1.
 *
 * Begin fills a slot (function, argument, record, queue) and flushes after 16; end flushes, and
 * takes replies until its own has come. At most 128 are in flight.
 */
LIMIT_API void limit_call_begin(struct limit_call *call, int (*fn)(void *), void *arg);
LIMIT_API void limit_call_end(struct limit_call *call, int *result);
LIMIT_API void limit_call(int (*fn)(void *), void *arg, int *result);

/*
 * Rows service_call1, service_call64: run fn(instance, arg) on side 1, which looks up the instance
 * by the service's number, 0..LIMIT_SERVICES - 1, and counts that the function is inside, and that
 * it is done. Its memory is the object; all zero at first. The rest is as of limit_call_begin().
 */
#define LIMIT_SERVICES 4
LIMIT_API void limit_service_begin(struct limit_call *call, uint32_t service,
                                   int (*fn)(void *instance, void *arg), void *arg);

/*
 * Row xcore_post: run fn(arg) on side 1, without a reply. At most 64 have not started; the 65th
 * waits. Not flushed by itself below 16: the next call does it.
 */
LIMIT_API void limit_post(int (*fn)(void *), void *arg);

/* Row xcore_rtt: a number through the port to side 1 and back, with no function and no record. */
LIMIT_API uint64_t limit_echo(uint64_t number);

/*
 * Rows xcore_stream: a channel of 1024 items of 8 bytes, one end on each side.
 *
 * A receiver that finds nothing looks again and again: so most items come through. Or, with
 * `waits_for_wake`, it does what a task must (row xcore_rtt_spsc): sets its wait bit, looks once
 * more, and waits until the sender, who finds the bit, has set the wake map and rung.
 *
 * Receive returns 1 to `count` items, or 0 when the sender has closed and all were received. The
 * channel is gone when both ends are closed.
 */
struct limit_channel;
LIMIT_API struct limit_channel *limit_channel_create(bool waits_for_wake); /* NULL: no memory */
LIMIT_API void limit_channel_send(struct limit_channel *channel, const uint64_t *items,
                                  size_t count);
LIMIT_API size_t limit_channel_recv(struct limit_channel *channel, uint64_t *items, size_t count);
LIMIT_API void limit_channel_flush(struct limit_channel *channel);
LIMIT_API void limit_channel_close_sender(struct limit_channel *channel);
LIMIT_API void limit_channel_close_receiver(struct limit_channel *channel);

/* Inside the library: whoever is about to wait for a channel flushes the port of its side first. A
 * wake means the other side's one task; a wait may end without one. */
void limit_flush(void);
void limit_wake_other(void);
void limit_wait_for_wake(void);

/*
 * The processors alone: one line, written in turn by both sides, `count` times there and back.
 * Returns the ns that the whole took. On side 0 of a pair.
 */
LIMIT_API uint64_t bare_bounces(uint64_t count);

#endif /* LIMIT_XCORE_H */
