/* SPDX-License-Identifier: MIT */
/*
 * Sim, enter: submission, owed completions and waits, in the order of Linux.
 *
 *   submit   an enter that consumes fewer SQEs than asked returns at once
 *   run      owed CQEs are generated: with DEFER_TASKRUN only if GETEVENTS is
 *            set, at most max(20, min_complete) of them; with IOPOLL only if it is
 *            set, all of them, and to ask the devices takes up to 1 us
 *   flush    the backlog, with GETEVENTS
 *   wait     until min_complete CQEs are visible; others run or time jumps, nobody sleeps
 *   result   the count of SQEs if any, else 0 or the error of the wait, which
 *            is given only when no CQE is visible
 */
#include "sim_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "os/sys.h"

#define POLL_NS_MAX    1000
#define OWED_PER_ENTER 20U /* IO_LOCAL_TW_DEFAULT_MAX of Linux */

int __real_rti_sys_uring_enter(int fd, unsigned to_submit, unsigned min_complete, unsigned flags,
                               void *arg, size_t arg_bytes);
int __wrap_rti_sys_uring_enter(int fd, unsigned to_submit, unsigned min_complete, unsigned flags,
                               void *arg, size_t arg_bytes);

struct enter {
    struct sim_ring *ring;
    unsigned to_submit;
    unsigned min_complete;
    unsigned flags;
    rt_time deadline;     /* RT_NEVER: none */
    rt_time min_wait_end; /* until then wait for min_complete, from then on for one */
};

unsigned sim_ring_run_owed(struct sim_ring *ring, unsigned limit)
{
    unsigned count = 0;
    struct rti_list *node;

    while (count < limit && (node = rti_list_first(&ring->owed)) != NULL) {
        sim_request_run(RTI_CONTAINER_OF(node, struct sim_request, in_owed));
        count++;
    }
    sim_ring_update_flags(ring);
    return count;
}

void sim_post(void)
{
    sim_settle();
    for (struct rti_list *node = sim.rings.next; node != &sim.rings; node = node->next) {
        struct sim_ring *ring = RTI_CONTAINER_OF(node, struct sim_ring, in_sim);

        sim_ring_run_owed(ring, ring->owed_count); /* those it causes are for the next call */
        sim_ring_flush_backlog(ring);
    }
    sim_settle();
}

/* ---- submission ---- */

/* The next SQE, or NULL when the array names one that does not exist. */
static const struct io_uring_sqe *next_sqe(struct sim_ring *ring)
{
    uint32_t index = ring->sq_head++ & (ring->params.sq_entries - 1);

    if ((ring->params.flags & SIM_SETUP_NO_SQARRAY) == 0) {
        index = sim_ring_word(ring, ring->params.sq_off.array)[index];
        if (index >= ring->params.sq_entries) {
            (*sim_ring_word(ring, ring->params.sq_off.dropped))++;
            return NULL;
        }
    }
    return &ring->sqes[index];
}

static unsigned submit(struct sim_ring *ring, unsigned to_submit)
{
    /* pairs with the store-release of the tail by the code under test */
    uint32_t tail = __atomic_load_n(sim_ring_word(ring, ring->params.sq_off.tail),
                                    __ATOMIC_ACQUIRE);
    unsigned available = tail - ring->sq_head;
    unsigned count;
    unsigned done = 0;

    RTI_ASSERT(available <= ring->params.sq_entries); /* the tail ran over the head */
    count = to_submit < available ? to_submit : available;
    if (count > 0) {
        count = sim_fault_submit(count);
    }
    while (done < count) {
        const struct io_uring_sqe *sqe = next_sqe(ring);
        bool is_bad = false;

        if (sqe == NULL) {
            break;
        }
        done++;
        sim_request_submit(ring, sqe, &is_bad);
        if (is_bad && (ring->params.flags & IORING_SETUP_SUBMIT_ALL) == 0) {
            break;
        }
    }
    /* pairs with the load-acquire of the head: the slots may be written again */
    __atomic_store_n(sim_ring_word(ring, ring->params.sq_off.head), ring->sq_head,
                     __ATOMIC_RELEASE);
    return done;
}

/* ---- waiting ---- */

static bool has_something(void *arg)
{
    const struct enter *enter = arg;

    return enter->ring->owed_count > 0 || sim_ring_cq_ready(enter->ring) >= enter->min_complete;
}

/* Let time pass, and others run, until something happens. 0: look again; else the wait is over. */
static int pass_time(struct enter *enter)
{
    const bool is_min_wait = enter->min_wait_end < enter->deadline;
    struct sim_wait wait = { .what = "CQEs",
                             .is_over = has_something,
                             .arg = enter,
                             .deadline = is_min_wait ? enter->min_wait_end : enter->deadline,
                             .may_be_interrupted = true,
                             .may_be_spurious = true };
    const int r = sim_thread_wait(&wait);

    if (r == -ETIME && is_min_wait) {
        enter->min_wait_end = RT_NEVER;
        enter->min_complete = 1;
        return 0;
    }
    return r;
}

static int wait_for_cqes(struct enter *enter)
{
    struct sim_ring *ring = enter->ring;
    int r = 0;

    while (r == 0 && sim_ring_cq_ready(ring) < enter->min_complete) {
        if (ring->owed_count == 0) {
            r = pass_time(enter);
        }
        sim_ring_run_owed(ring, enter->min_complete);
        sim_ring_flush_backlog(ring);
        sim_settle();
    }
    return r == SIM_SPURIOUS || sim_ring_cq_ready(ring) > 0 ? 0 : r;
}

/* ---- the call ---- */

static int read_timeout(struct enter *enter, const void *arg, size_t arg_bytes)
{
    struct io_uring_getevents_arg extended;
    struct __kernel_timespec ts;
    rt_time ns;

    enter->deadline = RT_NEVER;
    enter->min_wait_end = RT_NEVER;
    if ((enter->flags & IORING_ENTER_EXT_ARG) == 0) {
        return 0; /* the argument is a signal mask, which no simulated wait needs */
    }
    if (arg_bytes != sizeof(extended) || arg == NULL) {
        return -EINVAL;
    }
    memcpy(&extended, arg, sizeof(extended));
    if (extended.pad != 0 && (sim_kernel_features() & SIM_FEAT_MIN_TIMEOUT) != 0) {
        enter->min_wait_end = sim.now + RT_MICROSECONDS(extended.pad); /* min_wait_usec */
    }
    if (extended.ts == 0) {
        return 0;
    }
    memcpy(&ts, (const void *)(uintptr_t)extended.ts, sizeof(ts));
    ns = ts.tv_sec > INT64_MAX / 1000000000 - 1 ? RT_NEVER
                                                : RT_SECONDS(ts.tv_sec) + (rt_time)ts.tv_nsec;
    if (ns != RT_NEVER && (enter->flags & SIM_ENTER_ABS_TIMER) == 0) {
        ns = ns > RT_NEVER - sim.now ? RT_NEVER : sim.now + ns;
    }
    enter->deadline = ns;
    return 0;
}

static int find_ring(int fd, unsigned to_submit, unsigned flags, struct sim_ring **out)
{
    struct sim_ring *ring;

    if ((flags & ~sim_kernel_enter_flags()) != 0 || (flags & IORING_ENTER_SQ_WAKEUP) != 0) {
        return -EINVAL;
    }
    if ((flags & IORING_ENTER_REGISTERED_RING) != 0) {
        if (fd < 0 || fd >= SIM_RING_SLOTS) {
            return -EINVAL;
        }
        ring = sim_thread_self()->ring_slots[fd];
        if (ring == NULL) {
            return -EBADF;
        }
    } else {
        ring = sim_ring_find(fd);
        if (ring == NULL) {
            return fd < 0 ? -EBADF : -EOPNOTSUPP;
        }
    }
    if (ring->is_disabled) {
        return -EBADFD;
    }
    if ((ring->params.flags & IORING_SETUP_SINGLE_ISSUER) != 0 &&
        ring->owner != sim_thread_self()->number &&
        (to_submit > 0 || (ring->params.flags & IORING_SETUP_DEFER_TASKRUN) != 0)) {
        return -EEXIST;
    }
    *out = ring;
    return 0;
}

static int submit_step(struct enter *enter)
{
    int fault;

    if (enter->to_submit == 0) {
        return 0;
    }
    if (sim_fault_enter(true, &fault)) {
        return fault;
    }
    if (sim.config.busy_on_overflow && enter->ring->backlog_count > 0) {
        sim_ring_flush_backlog(enter->ring);
        if (enter->ring->backlog_count > 0) {
            return -EBUSY;
        }
    }
    return (int)submit(enter->ring, enter->to_submit);
}

/* Without it the clock would stand still where somebody polls. */
static void ask_devices(struct sim_ring *ring)
{
    sim_move_to(sim.now + rand_range(&sim.rand, 1, POLL_NS_MAX));
    sim_ring_run_owed(ring, UINT_MAX);
}

static int get_events(struct enter *enter, const void *arg, size_t arg_bytes)
{
    struct sim_ring *ring = enter->ring;
    int r = read_timeout(enter, arg, arg_bytes);

    if (r < 0) {
        return r;
    }
    if (enter->min_complete > ring->params.cq_entries) {
        enter->min_complete = ring->params.cq_entries;
    }
    if (sim_ring_is_polled(ring)) {
        ask_devices(ring);
    }
    sim_ring_run_owed(ring,
                      enter->min_complete > OWED_PER_ENTER ? enter->min_complete : OWED_PER_ENTER);
    sim_ring_flush_backlog(ring);
    sim_settle();
    return wait_for_cqes(enter);
}

static int ring_enter(struct enter *enter, const void *arg, size_t arg_bytes)
{
    struct sim_ring *ring = enter->ring;
    int submitted;
    int r = 0;

    sim_spend_step();
    submitted = submit_step(enter);
    sim_settle();
    if ((ring->params.flags & IORING_SETUP_DEFER_TASKRUN) == 0 && !sim_ring_is_polled(ring)) {
        sim_ring_run_owed(ring, UINT_MAX);
        sim_settle();
    }
    if (submitted < 0 || (unsigned)submitted != enter->to_submit) {
        return submitted;
    }
    if ((enter->flags & IORING_ENTER_GETEVENTS) != 0) {
        r = get_events(enter, arg, arg_bytes);
    }
    return submitted > 0 ? submitted : r;
}

int __wrap_rti_sys_uring_enter(int fd, unsigned to_submit, unsigned min_complete, unsigned flags,
                               void *arg, size_t arg_bytes)
{
    struct enter enter = { .to_submit = to_submit, .min_complete = min_complete, .flags = flags };
    int r;

    if (!sim.is_active) {
        return __real_rti_sys_uring_enter(fd, to_submit, min_complete, flags, arg, arg_bytes);
    }
    RTI_ASSERT(!sim.is_settling); /* a hook must not enter */
    sim_point();
    sim.stats.enters++;
    if (sim.config.enters_max > 0 && sim.stats.enters > sim.config.enters_max) {
        sim_report_waits("it goes on and on");
    }
    r = find_ring(fd, to_submit, flags, &enter.ring);
    if (r < 0) {
        sim_trace("enter(%d, flags %#x) = %d", fd, flags, r);
        return r;
    }
    if (!sim_fault_enter(false, &r)) {
        r = ring_enter(&enter, arg, arg_bytes);
    }
    sim_hash_add((uint64_t)(int64_t)r);
    sim_hash_add((uint64_t)sim.now);
    sim_trace("ring%u enter(%u, %u, %#x) = %d, %u visible, %u owed", enter.ring->number, to_submit,
              min_complete, flags, r, sim_ring_cq_ready(enter.ring), enter.ring->owed_count);
    return r;
}
