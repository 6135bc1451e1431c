/* SPDX-License-Identifier: MIT */
/*
 * Ring: an io_uring instance, its queues in memory shared with the kernel.
 *
 * liburing gives the structures, the constants and the helpers that fill an
 * SQE. The way through the queues is ours: it costs no call into a library, and
 * it uses what kernels offer beyond the liburing we build with.
 *
 * U1 Only the thread that opened the ring touches it (SINGLE_ISSUER).
 * U2 What is to be submitted is the distance from the kernel's head to our
 *    tail; an enter that took fewer entries leaves the rest for the next one.
 * U3 With DEFER_TASKRUN completions appear only in an enter with GETEVENTS, 20
 *    at a time: while the kernel's TASKRUN flag stays set, there are more.
 */
#ifndef RTI_OS_URING_H
#define RTI_OS_URING_H

#include <liburing.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/log.h"
#include "rt/base.h"

struct rti_uring_config {
    uint32_t sq_entries;
    uint32_t cq_entries;
    uint32_t disabled;            /* features not to use (enum rti_feature) */
    uint32_t io_workers;          /* of either kind; see IORING_REGISTER_IOWQ_MAX_WORKERS */
    uint32_t buffers_max;         /* places for rti_uring_register_buffer(); 0: none */
    const cpu_set_t *worker_cpus; /* where workers run; NULL: the kernel decides */
    size_t worker_cpus_bytes;
};

/* Files that a ring can have registered; more are looked up in each operation, as all are without
 * the feature. A place costs 8 bytes. */
#define RTI_URING_FILES 256u

struct rti_uring {
    /* submission */
    struct io_uring_sqe *sqes;
    uint32_t sq_tail; /* ours; the kernel sees it when we enter */
    uint32_t sq_mask;
    uint32_t sq_entries;
    uint32_t enter_flags; /* that go with every enter */
    uint32_t *sq_kernel_head;
    uint32_t *sq_kernel_tail;
    uint32_t *sq_kernel_flags;

    /* completion */
    struct io_uring_cqe *cqes;
    uint32_t *cq_kernel_head;
    uint32_t *cq_kernel_tail;
    uint32_t *cq_kernel_overflow; /* completions that the kernel could not keep: always 0 */
    uint32_t cq_mask;

    int fd;
    int enter_fd;      /* fd, or its number among the registered ones */
    uint32_t features; /* granted (enum rti_feature) */
    uint32_t setup_flags;
    uint8_t last_operation; /* that the kernel knows */
    void *rings;            /* mapping of both queues */
    size_t rings_bytes;
    size_t sqes_bytes;
    uint64_t enters;
    uint64_t submitted;
    const cpu_set_t *worker_cpus; /* as in the configuration, once the kernel has taken it */
    uint64_t file_places[RTI_URING_FILES / 64]; /* a bit for each that is taken */
};

/* Open a ring for the calling thread. Returns 0, or -errno after having said why in the log. */
int rti_uring_open(struct rti_uring *ring, const struct rti_uring_config *config,
                   const struct rti_log *log);

/* Open a ring that is polled (core/polled.h): none of files, buffers and workers is set up. Does
 * not wait for memory, and says nothing. Returns 0 or -errno. */
int rti_uring_open_polled(struct rti_uring *ring, const struct rti_uring_config *config);

void rti_uring_close(struct rti_uring *ring);

/*
 * Enter the kernel: submit what is pending and take completions in. With
 * wait > 0, sleep until as many came, or `timeout` ns passed (below 0: no limit).
 * Returns how many entries were taken, or -EINTR, -EAGAIN, -EBUSY, -ETIME:
 * all of them ordinary. Any other error is a fault of ours and aborts.
 */
int rti_uring_enter(struct rti_uring *ring, uint32_t wait, rt_time timeout);

/* Register a file, for entries with IOSQE_FIXED_FILE: its place, or -ENFILE when all are taken,
 * -EOPNOTSUPP without the feature, or what the kernel says. It must leave before it is closed. */
int rti_uring_register_file(struct rti_uring *ring, int fd);
void rti_uring_unregister_file(struct rti_uring *ring, unsigned place);

/* Submit what is pending and nothing else: no completion is taken in. Returns as above. */
int rti_uring_submit(struct rti_uring *ring);

/*
 * Let operations name the memory by `place` (below buffers_max, each once): the kernel pins its
 * pages now, and not in each operation. Needs RTI_FEATURE_FIXED_BUFFERS. Lasts until the ring is
 * closed. Returns 0; -ENOMEM, mostly at the limit of locked memory; another -errno.
 */
int rti_uring_register_buffer(struct rti_uring *ring, uint32_t place, void *memory, size_t bytes);

/* Entries that the kernel has not taken yet. */
static inline uint32_t rti_uring_pending(const struct rti_uring *ring)
{
    /* pairs with the kernel's release of its head after it has read an entry */
    return ring->sq_tail - __atomic_load_n(ring->sq_kernel_head, __ATOMIC_ACQUIRE);
}

/* The next free entry, to be filled at once, or NULL when the queue is full. */
static inline struct io_uring_sqe *rti_uring_sqe(struct rti_uring *ring)
{
    if (RTI_UNLIKELY(rti_uring_pending(ring) == ring->sq_entries)) {
        return NULL;
    }
    return &ring->sqes[ring->sq_tail++ & ring->sq_mask];
}

/* The kernel has completions that only an enter brings (U3), overflown ones too. */
static inline bool rti_uring_has_work(const struct rti_uring *ring)
{
    return (__atomic_load_n(ring->sq_kernel_flags, __ATOMIC_RELAXED) &
            (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

static inline bool rti_uring_is_overflown(const struct rti_uring *ring)
{
    return (__atomic_load_n(ring->sq_kernel_flags, __ATOMIC_RELAXED) & IORING_SQ_CQ_OVERFLOW) != 0;
}

/* Completions that can be read now. */
static inline uint32_t rti_uring_ready(const struct rti_uring *ring)
{
    /* pairs with the kernel's release of its tail after it has written an entry */
    return __atomic_load_n(ring->cq_kernel_tail, __ATOMIC_ACQUIRE) - *ring->cq_kernel_head;
}

/* Completion number `index` of those ready. */
static inline const struct io_uring_cqe *rti_uring_cqe(const struct rti_uring *ring, uint32_t index)
{
    return &ring->cqes[(*ring->cq_kernel_head + index) & ring->cq_mask];
}

/* Give the room of `count` completions back. */
static inline void rti_uring_advance(struct rti_uring *ring, uint32_t count)
{
    /* pairs with the kernel's acquire of the head before it writes into the room */
    __atomic_store_n(ring->cq_kernel_head, *ring->cq_kernel_head + count, __ATOMIC_RELEASE);
}

#endif /* RTI_OS_URING_H */
