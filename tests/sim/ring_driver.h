/* SPDX-License-Identifier: MIT */
/*
 * Ring driver: the smallest user of a ring, for tests of the simulated kernel.
 *
 * It speaks to whatever is behind os/sys.h, so the same program runs on the
 * simulated and on the real kernel. Failures of the driver itself abort.
 */
#ifndef RT_TEST_RING_DRIVER_H
#define RT_TEST_RING_DRIVER_H

#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "os/sys.h"

#define DRIVER_NO_SQARRAY (1U << 16)

struct driver {
    int fd;
    struct io_uring_params params;
    char *rings;
    size_t rings_bytes;
    struct io_uring_sqe *sqes;
    uint32_t tail;
};

static inline uint32_t *driver_word(const struct driver *driver, uint32_t offset)
{
    return (uint32_t *)(void *)(driver->rings + offset);
}

/* The result of setup; the ring is usable when it is >= 0. */
static inline int driver_open(struct driver *driver, unsigned entries, unsigned cq_entries,
                              uint32_t flags)
{
    void *memory;

    memset(driver, 0, sizeof(*driver));
    driver->params.flags = flags | (cq_entries > 0 ? IORING_SETUP_CQSIZE : 0);
    driver->params.cq_entries = cq_entries;
    driver->fd = rti_sys_uring_setup(entries, &driver->params);
    if (driver->fd < 0) {
        return driver->fd;
    }
    driver->rings_bytes = driver->params.cq_off.cqes +
                          driver->params.cq_entries * sizeof(struct io_uring_cqe) +
                          driver->params.sq_entries * sizeof(uint32_t);
    RTI_ASSERT(rti_sys_mmap(&memory, driver->rings_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                            driver->fd, IORING_OFF_SQ_RING) == 0);
    driver->rings = memory;
    RTI_ASSERT(rti_sys_mmap(&memory, driver->params.sq_entries * sizeof(struct io_uring_sqe),
                            PROT_READ | PROT_WRITE, MAP_SHARED, driver->fd, IORING_OFF_SQES) == 0);
    driver->sqes = memory;
    if ((flags & DRIVER_NO_SQARRAY) == 0) {
        for (uint32_t i = 0; i < driver->params.sq_entries; i++) {
            driver_word(driver, driver->params.sq_off.array)[i] = i;
        }
    }
    return driver->fd;
}

static inline void driver_close(struct driver *driver)
{
    (void)rti_sys_munmap(driver->rings, driver->rings_bytes);
    (void)rti_sys_munmap(driver->sqes, driver->params.sq_entries * sizeof(struct io_uring_sqe));
    RTI_ASSERT(rti_sys_close(driver->fd) == 0);
}

/* A cleared entry; it counts as queued from now on. */
static inline struct io_uring_sqe *driver_sqe(struct driver *driver, uint8_t opcode,
                                              uint64_t user_data)
{
    struct io_uring_sqe *sqe = &driver->sqes[driver->tail & (driver->params.sq_entries - 1)];

    RTI_ASSERT(driver->tail - __atomic_load_n(driver_word(driver, driver->params.sq_off.head),
                                              __ATOMIC_ACQUIRE) <
               driver->params.sq_entries);
    memset(sqe, 0, sizeof(*sqe));
    sqe->opcode = opcode;
    sqe->fd = -1;
    sqe->user_data = user_data;
    driver->tail++;
    return sqe;
}

static inline unsigned driver_queued(struct driver *driver)
{
    return driver->tail -
           __atomic_load_n(driver_word(driver, driver->params.sq_off.head), __ATOMIC_ACQUIRE);
}

/* One enter: submits all that is queued, takes completions, waits for `min` of them. */
static inline int driver_enter_for(struct driver *driver, unsigned min, int64_t timeout_ns,
                                   uint32_t flags)
{
    struct __kernel_timespec ts = { .tv_sec = timeout_ns / 1000000000,
                                    .tv_nsec = timeout_ns % 1000000000 };
    struct io_uring_getevents_arg arg = { .ts = (uintptr_t)&ts };
    unsigned queued = driver_queued(driver);

    __atomic_store_n(driver_word(driver, driver->params.sq_off.tail), driver->tail,
                     __ATOMIC_RELEASE);
    if (timeout_ns < 0) {
        return rti_sys_uring_enter(driver->fd, queued, min, flags, NULL, 0);
    }
    return rti_sys_uring_enter(driver->fd, queued, min, flags | IORING_ENTER_EXT_ARG, &arg,
                               sizeof(arg));
}

static inline int driver_submit(struct driver *driver)
{
    return driver_enter_for(driver, 0, -1, 0);
}

static inline int driver_wait(struct driver *driver, unsigned min)
{
    return driver_enter_for(driver, min, -1, IORING_ENTER_GETEVENTS);
}

static inline unsigned driver_ready(const struct driver *driver)
{
    return __atomic_load_n(driver_word(driver, driver->params.cq_off.tail), __ATOMIC_ACQUIRE) -
           *driver_word(driver, driver->params.cq_off.head);
}

static inline uint32_t driver_flags(const struct driver *driver)
{
    return __atomic_load_n(driver_word(driver, driver->params.sq_off.flags), __ATOMIC_ACQUIRE);
}

struct driver_cqe {
    uint64_t user_data;
    int32_t result;
    uint32_t flags;
};

/* Take the oldest visible CQE; aborts when there is none. */
static inline struct driver_cqe driver_take(struct driver *driver)
{
    uint32_t *head = driver_word(driver, driver->params.cq_off.head);
    const struct io_uring_cqe *cqes = (const void *)(driver->rings + driver->params.cq_off.cqes);
    const struct io_uring_cqe *cqe = &cqes[*head & (driver->params.cq_entries - 1)];
    struct driver_cqe taken = { cqe->user_data, cqe->res, cqe->flags };

    RTI_ASSERT(driver_ready(driver) > 0);
    __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
    return taken;
}

/* Submit what is queued, wait for one CQE and give its result. Retries what may fail. */
static inline int32_t driver_result(struct driver *driver)
{
    while (driver_queued(driver) > 0 || driver_ready(driver) == 0) {
        int r = driver_wait(driver, 1);

        RTI_ASSERT(r >= 0 || r == -EINTR || r == -EAGAIN || r == -EBUSY);
    }
    return driver_take(driver).result;
}

/* Fill in the fields that most requests share. */
static inline struct io_uring_sqe *driver_io(struct driver *driver, uint8_t opcode, int fd,
                                             const void *bytes, uint32_t count, uint64_t user_data)
{
    struct io_uring_sqe *sqe = driver_sqe(driver, opcode, user_data);

    sqe->fd = fd;
    sqe->addr = (uintptr_t)bytes;
    sqe->len = count;
    return sqe;
}

#endif /* RT_TEST_RING_DRIVER_H */
