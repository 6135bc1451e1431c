/* SPDX-License-Identifier: MIT */
/*
 * Ring: opening by a ladder of flags, and the one way into the kernel.
 *
 * The ladder asks for everything first and goes down a rung at each -EINVAL.
 * Every other error ends it: without memory or permission a lower rung fails
 * too. What the rungs gave is found in ring->features.
 */
#include "os/uring.h"

#include <errno.h>
#include <linux/time_types.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "os/explain.h"
#include "os/features.h"
#include "os/sys.h"
#include "os/uring_compat.h"

#define PATIENCE_STEP  RT_MILLISECONDS(2)
#define PATIENCE_STEPS 50

static void read_features(struct rti_uring *ring, const struct io_uring_params *params,
                          uint32_t disabled)
{
    if ((params->flags & RTI_SETUP_NO_SQARRAY) != 0) {
        ring->features |= RTI_FEATURE_NO_SQARRAY;
    }
    if ((params->flags & IORING_SETUP_DEFER_TASKRUN) != 0) {
        ring->features |= RTI_FEATURE_DEFER_TASKRUN;
    }
    if ((params->features & RTI_FEAT_NO_IOWAIT) != 0 && (disabled & RTI_FEATURE_NO_IOWAIT) == 0) {
        ring->features |= RTI_FEATURE_NO_IOWAIT;
        ring->enter_flags |= RTI_ENTER_NO_IOWAIT;
    }
    ring->setup_flags = params->flags;
}

/*
 * The memory of a ring is charged to the user's limit of locked memory unless
 * the process has CAP_IPC_LOCK (84 KiB for 256 and 4096 entries on Linux 6.18),
 * and the kernel takes the charge of a closed ring back some milliseconds after
 * the close (12 at most were seen). So a program that starts executor after
 * executor meets -ENOMEM that goes away by itself.
 */
static int setup_with_patience(uint32_t entries, struct io_uring_params *params)
{
    const struct io_uring_params wanted = *params;
    int r = rti_sys_uring_setup(entries, params);

    for (int i = 0; r == -ENOMEM && i < PATIENCE_STEPS; i++) {
        rti_sys_pause(PATIENCE_STEP);
        *params = wanted;
        r = rti_sys_uring_setup(entries, params);
    }
    return r;
}

static int setup_by_ladder(struct rti_uring *ring, const struct rti_uring_config *config,
                           uint32_t kind, struct io_uring_params *params)
{
    const uint32_t base = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    const uint32_t modern = base | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER |
                            IORING_SETUP_TASKRUN_FLAG;
    const uint32_t rungs[] = {
        modern | IORING_SETUP_DEFER_TASKRUN | RTI_SETUP_NO_SQARRAY,
        modern | IORING_SETUP_DEFER_TASKRUN,
        modern | IORING_SETUP_COOP_TASKRUN | RTI_SETUP_NO_SQARRAY,
        modern | IORING_SETUP_COOP_TASKRUN,
        base,
    };
    uint32_t unwanted = 0;
    int r = -EINVAL;

    if ((config->disabled & RTI_FEATURE_NO_SQARRAY) != 0) {
        unwanted |= RTI_SETUP_NO_SQARRAY;
    }
    if ((config->disabled & RTI_FEATURE_DEFER_TASKRUN) != 0) {
        unwanted |= IORING_SETUP_DEFER_TASKRUN;
    }
    for (size_t i = 0; r == -EINVAL && i < sizeof(rungs) / sizeof(rungs[0]); i++) {
        if ((rungs[i] & unwanted) != 0) {
            continue;
        }
        memset(params, 0, sizeof(*params));
        params->flags = rungs[i] | kind;
        params->cq_entries = config->cq_entries;
        r = kind == 0 ? setup_with_patience(config->sq_entries, params)
                      : rti_sys_uring_setup(config->sq_entries, params);
    }
    if (r < 0) {
        return r;
    }
    ring->fd = r;
    read_features(ring, params, config->disabled);
    return 0;
}

/* Whether the kernel knows every operation that we count on: Linux 6.1 or newer. */
static int check_operations(struct rti_uring *ring)
{
    union {
        struct io_uring_probe probe;
        char bytes[sizeof(struct io_uring_probe) + 256 * sizeof(struct io_uring_probe_op)];
    } answer;
    int r;

    memset(&answer, 0, sizeof(answer));
    r = rti_sys_uring_register(ring->fd, IORING_REGISTER_PROBE, &answer.probe, 256);
    if (r < 0) {
        return r;
    }
    ring->last_operation = answer.probe.last_op;
    return ring->last_operation >= RTI_OP_OF_LINUX_6_1 ? 0 : -EOPNOTSUPP;
}

/* Both queues lie in one mapping (IORING_FEAT_SINGLE_MMAP, Linux 5.4), the entries in another. */
static int map_queues(struct rti_uring *ring, const struct io_uring_params *params)
{
    const size_t sq_bytes = params->sq_off.array + params->sq_entries * sizeof(uint32_t);
    const size_t cq_bytes = params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);
    void *sqes;
    int r;

    ring->rings_bytes = sq_bytes > cq_bytes ? sq_bytes : cq_bytes;
    ring->sqes_bytes = params->sq_entries * sizeof(struct io_uring_sqe);
    r = rti_sys_mmap(&ring->rings, ring->rings_bytes, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQ_RING);
    if (r < 0) {
        return r;
    }
    r = rti_sys_mmap(&sqes, ring->sqes_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                     ring->fd, IORING_OFF_SQES);
    if (r < 0) {
        (void)rti_sys_munmap(ring->rings, ring->rings_bytes);
        return r;
    }
    ring->sqes = sqes;
    return 0;
}

static void *in_rings(const struct rti_uring *ring, uint32_t offset)
{
    return (char *)ring->rings + offset;
}

static void find_queues(struct rti_uring *ring, const struct io_uring_params *params)
{
    ring->sq_kernel_head = in_rings(ring, params->sq_off.head);
    ring->sq_kernel_tail = in_rings(ring, params->sq_off.tail);
    ring->sq_kernel_flags = in_rings(ring, params->sq_off.flags);
    ring->sq_entries = params->sq_entries;
    ring->sq_mask = params->sq_entries - 1;
    ring->sq_tail = *ring->sq_kernel_tail;
    ring->cq_kernel_head = in_rings(ring, params->cq_off.head);
    ring->cq_kernel_tail = in_rings(ring, params->cq_off.tail);
    ring->cq_kernel_overflow = in_rings(ring, params->cq_off.overflow);
    ring->cqes = in_rings(ring, params->cq_off.cqes);
    ring->cq_mask = params->cq_entries - 1;
    if ((ring->features & RTI_FEATURE_NO_SQARRAY) == 0) {
        uint32_t *array = in_rings(ring, params->sq_off.array);

        for (uint32_t i = 0; i < params->sq_entries; i++) {
            array[i] = i; /* once: entries are always used in order */
        }
    }
}

/* Workers of the kernel do what cannot be done in the ring (buffered writes, fsync). Without a word
 * they run on the CPUs of the node before Linux 6.2, and since then where this thread is pinned.
 * Since then, too, of a set that has this thread's CPU only that CPU counts. Must come before the
 * first of them exists. */
static void place_workers(struct rti_uring *ring, const struct rti_uring_config *config,
                          const struct rti_log *log)
{
    uint32_t counts[2] = { config->io_workers, config->io_workers };
    int r;

    if ((config->disabled & RTI_FEATURE_IOWQ) != 0) {
        return;
    }
    if (rti_sys_uring_register(ring->fd, IORING_REGISTER_IOWQ_MAX_WORKERS, counts, 2) < 0) {
        return;
    }
    ring->features |= RTI_FEATURE_IOWQ;
    if (config->worker_cpus == NULL) {
        return;
    }
    r = rti_sys_uring_register(ring->fd, IORING_REGISTER_IOWQ_AFF, config->worker_cpus,
                               (unsigned)config->worker_cpus_bytes);
    if (r == 0) {
        ring->worker_cpus = config->worker_cpus;
    } else {
        rti_log(log, RT_LOG_WARNING,
                "the kernel refused the CPUs for its threads for I/O (%s), and chooses them "
                "itself; are they in cpuset.cpus?",
                strerrordesc_np(-r));
    }
}

/* Places without memory; to fill one later is no reason for the kernel to wait for operations. */
static void make_places(struct rti_uring *ring, const struct rti_uring_config *config)
{
    const struct io_uring_rsrc_register places = { .nr = config->buffers_max,
                                                   .flags = IORING_RSRC_REGISTER_SPARSE };

    if (config->buffers_max == 0 || (config->disabled & RTI_FEATURE_FIXED_BUFFERS) != 0) {
        return;
    }
    if (rti_sys_uring_register(ring->fd, IORING_REGISTER_BUFFERS2, &places, sizeof(places)) == 0) {
        ring->features |= RTI_FEATURE_FIXED_BUFFERS;
    }
}

int rti_uring_register_buffer(struct rti_uring *ring, uint32_t place, void *memory, size_t bytes)
{
    const struct iovec range = { .iov_base = memory, .iov_len = bytes };
    const struct io_uring_rsrc_update2 update = { .offset = place,
                                                  .data = (uint64_t)(uintptr_t)&range,
                                                  .nr = 1 };
    const int r = rti_sys_uring_register(ring->fd, IORING_REGISTER_BUFFERS_UPDATE, &update,
                                         sizeof(update));

    return r < 0 ? r : 0;
}

/* An empty table, so that files can be put in one by one. Before Linux 6.4 what was taken out could
 * be let go of a second later: a file would be closed, and its locks still be there. Kernels that
 * new are told by an operation of 6.9. */
static void make_file_table(struct rti_uring *ring, uint32_t disabled)
{
    struct io_uring_rsrc_register table = { .nr = RTI_URING_FILES,
                                            .flags = IORING_RSRC_REGISTER_SPARSE };

    if ((disabled & RTI_FEATURE_REGISTERED_FILES) == 0 &&
        ring->last_operation >= RTI_OPCODE_FTRUNCATE &&
        rti_sys_uring_register(ring->fd, IORING_REGISTER_FILES2, &table, sizeof(table)) == 0) {
        ring->features |= RTI_FEATURE_REGISTERED_FILES;
    }
}

static int put_file(const struct rti_uring *ring, unsigned place, int fd)
{
    struct io_uring_files_update update = { .offset = place, .fds = (uintptr_t)&fd };

    return rti_sys_uring_register(ring->fd, IORING_REGISTER_FILES_UPDATE, &update, 1);
}

int rti_uring_register_file(struct rti_uring *ring, int fd)
{
    if ((ring->features & RTI_FEATURE_REGISTERED_FILES) == 0) {
        return -EOPNOTSUPP;
    }
    for (unsigned word = 0; word < RTI_URING_FILES / 64; word++) {
        if (ring->file_places[word] != UINT64_MAX) {
            const unsigned bit = (unsigned)__builtin_ctzll(~ring->file_places[word]);
            const unsigned place = word * 64 + bit;
            const int r = put_file(ring, place, fd);

            if (r != 1) {
                return r < 0 ? r : -EIO;
            }
            ring->file_places[word] |= UINT64_C(1) << bit;
            return (int)place;
        }
    }
    return -ENFILE;
}

void rti_uring_unregister_file(struct rti_uring *ring, unsigned place)
{
    if (put_file(ring, place, -1) == 1) { /* else the place is lost */
        ring->file_places[place / 64] &= ~(UINT64_C(1) << place % 64);
    }
}

/* Last of all registrations: liburing 2.4 notes that on kernels before 6.3 later ones fail. */
static void register_ring_fd(struct rti_uring *ring, uint32_t disabled)
{
    struct io_uring_rsrc_update update = { .offset = UINT32_MAX, .data = (uint32_t)ring->fd };

    ring->enter_fd = ring->fd;
    if ((disabled & RTI_FEATURE_REGISTERED_RING) != 0) {
        return;
    }
    if (rti_sys_uring_register(ring->fd, IORING_REGISTER_RING_FDS, &update, 1) == 1) {
        ring->features |= RTI_FEATURE_REGISTERED_RING;
        ring->enter_fd = (int)update.offset;
        ring->enter_flags |= IORING_ENTER_REGISTERED_RING;
    }
}

/* The queues, of a ring that has a setup flag for its `kind`, or none. */
static int open_queues(struct rti_uring *ring, const struct rti_uring_config *config, uint32_t kind)
{
    struct io_uring_params params;
    int r;

    memset(ring, 0, sizeof(*ring));
    ring->fd = -1;
    r = setup_by_ladder(ring, config, kind, &params);
    if (r < 0) {
        return r;
    }
    r = check_operations(ring);
    if (r == 0) {
        r = map_queues(ring, &params);
    }
    if (r < 0) {
        (void)rti_sys_close(ring->fd);
        ring->fd = -1;
        return r;
    }
    find_queues(ring, &params);
    return 0;
}

int rti_uring_open_polled(struct rti_uring *ring, const struct rti_uring_config *config)
{
    const int r = open_queues(ring, config, IORING_SETUP_IOPOLL);

    if (r == 0) {
        register_ring_fd(ring, config->disabled);
    }
    return r;
}

int rti_uring_open(struct rti_uring *ring, const struct rti_uring_config *config,
                   const struct rti_log *log)
{
    const int r = open_queues(ring, config, 0);

    if (r < 0) {
        rti_explain_ring(log, r);
        return r;
    }
    place_workers(ring, config, log);
    make_places(ring, config);
    make_file_table(ring, config->disabled);
    register_ring_fd(ring, config->disabled);
    return 0;
}

void rti_uring_close(struct rti_uring *ring)
{
    struct io_uring_rsrc_update update = { .offset = (uint32_t)ring->enter_fd };

    if (ring->fd < 0) {
        return;
    }
    /* The kernel takes the charge of locked memory back now, and not when the ring has gone. */
    if ((ring->features & RTI_FEATURE_FIXED_BUFFERS) != 0) {
        (void)rti_sys_uring_register(ring->fd, IORING_UNREGISTER_BUFFERS, NULL, 0);
    }
    if ((ring->features & RTI_FEATURE_REGISTERED_RING) != 0) {
        (void)rti_sys_uring_register(ring->fd, IORING_UNREGISTER_RING_FDS, &update, 1);
    }
    (void)rti_sys_munmap(ring->sqes, ring->sqes_bytes);
    (void)rti_sys_munmap(ring->rings, ring->rings_bytes);
    (void)rti_sys_close(ring->fd);
    ring->fd = -1;
}

static int enter(struct rti_uring *ring, uint32_t wait, uint32_t flags, void *arg, size_t bytes)
{
    int r;

    /* pairs with the kernel's acquire of our tail: the entries are filled */
    __atomic_store_n(ring->sq_kernel_tail, ring->sq_tail, __ATOMIC_RELEASE);
    r = rti_sys_uring_enter(ring->enter_fd, rti_uring_pending(ring), wait,
                            flags | ring->enter_flags, arg, bytes);
    ring->enters++;
    if (RTI_LIKELY(r >= 0)) {
        ring->submitted += (uint32_t)r;
    } else if (r != -EINTR && r != -EAGAIN && r != -EBUSY && r != -ETIME) {
        rti_misuse("io_uring_enter failed: %s (was the process forked, the ring's descriptor "
                   "closed, or has the kernel no memory for completions?)",
                   rt_strerror(r));
    }
    return r;
}

int rti_uring_submit(struct rti_uring *ring)
{
    return enter(ring, 0, 0, NULL, 0);
}

int rti_uring_enter(struct rti_uring *ring, uint32_t wait, rt_time timeout)
{
    struct __kernel_timespec limit;
    struct io_uring_getevents_arg arg = { 0 };

    if (wait == 0 || timeout < 0) {
        return enter(ring, wait, IORING_ENTER_GETEVENTS, NULL, 0);
    }
    limit.tv_sec = timeout / RT_SECONDS(1);
    limit.tv_nsec = timeout % RT_SECONDS(1);
    arg.ts = (uint64_t)(uintptr_t)&limit;
    return enter(ring, wait, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof(arg));
}
