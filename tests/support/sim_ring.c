/* SPDX-License-Identifier: MIT */
/*
 * Sim, rings: setup, registration, the completion queue and its backlog.
 *
 * A ring is a memfd that the code under test maps like a ring of Linux and that
 * the sim maps too, so both sides meet in real shared memory. Linux shows its
 * two queues at two offsets of the same memory; a memfd cannot, so mmap() of
 * the second offset is answered with the first.
 */
#include "sim_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/sys.h"

#define RING_ENTRIES_MAX 32768U

/* Where the words lie in the ring's memory, as Linux 6.18 places them. */
#define AT_SQ_HEAD     0U
#define AT_SQ_TAIL     4U
#define AT_CQ_HEAD     8U
#define AT_CQ_TAIL     12U
#define AT_SQ_MASK     16U
#define AT_CQ_MASK     20U
#define AT_SQ_ENTRIES  24U
#define AT_CQ_ENTRIES  28U
#define AT_SQ_DROPPED  32U
#define AT_SQ_FLAGS    36U
#define AT_CQ_FLAGS    40U
#define AT_CQ_OVERFLOW 44U
#define AT_CQES        64U

/* What a setup flag needs that the sim does not imitate. */
#define SETUP_NOT_SIMULATED \
    (IORING_SETUP_SQPOLL | IORING_SETUP_SQ_AFF | IORING_SETUP_ATTACH_WQ | IORING_SETUP_SQE128 | \
     IORING_SETUP_CQE32 | (1U << 14) | (1U << 15) | (1U << 17) | (1U << 18))

int __real_rti_sys_uring_setup(unsigned entries, struct io_uring_params *params);
int __wrap_rti_sys_uring_setup(unsigned entries, struct io_uring_params *params);
int __real_rti_sys_uring_register(int fd, unsigned opcode, const void *arg, unsigned count);
int __wrap_rti_sys_uring_register(int fd, unsigned opcode, const void *arg, unsigned count);
int __real_rti_sys_mmap(void **out, size_t bytes, int protection, int flags, int fd, off_t offset);
int __wrap_rti_sys_mmap(void **out, size_t bytes, int protection, int flags, int fd, off_t offset);
int __real_rti_sys_close(int fd);
int __wrap_rti_sys_close(int fd);

/* ---- words and flags ---- */

uint32_t *sim_ring_word(struct sim_ring *ring, uint32_t offset)
{
    return (uint32_t *)(void *)(ring->memory + offset);
}

void sim_ring_update_flags(struct sim_ring *ring)
{
    uint32_t flags = 0;

    if (ring->backlog_count > 0) {
        flags |= IORING_SQ_CQ_OVERFLOW;
    }
    if ((ring->owed_count > 0 || sim.config.stale_taskrun) && !sim_ring_is_polled(ring) &&
        (ring->params.flags & IORING_SETUP_TASKRUN_FLAG) != 0) {
        flags |= IORING_SQ_TASKRUN;
    }
    /* pairs with any load of the code under test; the kernel uses an atomic or */
    __atomic_store_n(sim_ring_word(ring, AT_SQ_FLAGS), flags, __ATOMIC_RELEASE);
}

unsigned sim_ring_cq_ready(const struct sim_ring *ring)
{
    /* pairs with the store-release of the head by the code under test */
    uint32_t head = __atomic_load_n((const uint32_t *)(const void *)(ring->memory + AT_CQ_HEAD),
                                    __ATOMIC_ACQUIRE);

    RTI_ASSERT(ring->cq_tail - head <= ring->params.cq_entries); /* a head past the tail */
    return ring->cq_tail - head;
}

/* ---- completion queue ---- */

struct late_cqe {
    struct rti_list in_backlog;
    uint64_t user_data;
    int32_t result;
    uint32_t flags;
};

static void write_cqe(struct sim_ring *ring, uint64_t user_data, int32_t result, uint32_t flags)
{
    struct io_uring_cqe *cqes = (struct io_uring_cqe *)(void *)(ring->memory + AT_CQES);
    struct io_uring_cqe *cqe = &cqes[ring->cq_tail & (ring->params.cq_entries - 1)];

    cqe->user_data = user_data;
    cqe->res = result;
    cqe->flags = flags;
    ring->cq_tail++;
    /* pairs with the load-acquire of the tail by the code under test */
    __atomic_store_n(sim_ring_word(ring, AT_CQ_TAIL), ring->cq_tail, __ATOMIC_RELEASE);
}

/* While CQEs wait, new ones queue behind them even if there is room: order is kept. */
bool sim_ring_has_room(const struct sim_ring *ring)
{
    return ring->backlog_count == 0 && sim_ring_cq_ready(ring) < ring->params.cq_entries;
}

void sim_ring_post(struct sim_ring *ring, uint64_t user_data, int32_t result, uint32_t flags)
{
    struct late_cqe *late;

    sim.stats.cqes++;
    if (sim_ring_has_room(ring)) {
        write_cqe(ring, user_data, result, flags);
        return;
    }
    if ((sim_kernel_features() & IORING_FEAT_NODROP) == 0) {
        (*sim_ring_word(ring, AT_CQ_OVERFLOW))++;
        sim_trace("ring%u CQE dropped", ring->number);
        return;
    }
    late = sim_alloc(sizeof(*late));
    late->user_data = user_data;
    late->result = result;
    late->flags = flags;
    rti_list_push_back(&ring->backlog, &late->in_backlog);
    ring->backlog_count++;
    sim.stats.overflows++;
    sim_trace("ring%u CQ full, %u CQEs in the backlog", ring->number, ring->backlog_count);
    sim_ring_update_flags(ring);
}

void sim_ring_flush_backlog(struct sim_ring *ring)
{
    struct rti_list *node;

    while ((node = rti_list_first(&ring->backlog)) != NULL &&
           sim_ring_cq_ready(ring) < ring->params.cq_entries) {
        struct late_cqe *late = RTI_CONTAINER_OF(node, struct late_cqe, in_backlog);

        rti_list_remove(node);
        ring->backlog_count--;
        write_cqe(ring, late->user_data, late->result, late->flags);
        free(late);
    }
    sim_ring_update_flags(ring);
}

/* ---- setup ---- */

static int check_setup(unsigned entries, const struct io_uring_params *params)
{
    const uint32_t flags = params->flags;
    const uint32_t allowed = sim.config.setup_flags != 0 ? sim.config.setup_flags
                                                         : sim_kernel_facts()->setup_flags;
    const uint32_t deferring = IORING_SETUP_COOP_TASKRUN | IORING_SETUP_DEFER_TASKRUN;

    if (sim.config.setup_result < 0) {
        return sim.config.setup_result;
    }
    if (sim.config.rings_max > 0 && sim_ring_count() >= sim.config.rings_max) {
        return -ENOMEM;
    }
    if ((flags & ~allowed) != 0 || entries == 0) {
        return -EINVAL;
    }
    if ((flags & IORING_SETUP_IOPOLL) != 0 && sim.config.no_iopoll) {
        return -EINVAL;
    }
    if ((flags & SETUP_NOT_SIMULATED) != 0) {
        fprintf(stderr, "sim: setup flags %#x are not simulated\n", flags & SETUP_NOT_SIMULATED);
        return -EINVAL;
    }
    if ((flags & IORING_SETUP_DEFER_TASKRUN) != 0 && (flags & IORING_SETUP_SINGLE_ISSUER) == 0) {
        return -EINVAL;
    }
    if ((flags & IORING_SETUP_TASKRUN_FLAG) != 0 && (flags & deferring) == 0) {
        return -EINVAL;
    }
    for (size_t i = 0; i < sizeof(params->resv) / sizeof(params->resv[0]); i++) {
        if (params->resv[i] != 0) {
            return -EINVAL;
        }
    }
    return 0;
}

static uint32_t power_of_two(uint32_t n)
{
    uint32_t power = 1;

    while (power < n) {
        power *= 2;
    }
    return power;
}

static int size_queues(unsigned entries, struct io_uring_params *params)
{
    const bool clamp = (params->flags & IORING_SETUP_CLAMP) != 0;
    uint32_t cq_entries = params->cq_entries;

    if (entries > RING_ENTRIES_MAX) {
        if (!clamp) {
            return -EINVAL;
        }
        entries = RING_ENTRIES_MAX;
    }
    params->sq_entries = power_of_two(entries);
    if ((params->flags & IORING_SETUP_CQSIZE) == 0) {
        params->cq_entries = 2 * params->sq_entries;
        return 0;
    }
    if (cq_entries == 0 || (cq_entries > 2 * RING_ENTRIES_MAX && !clamp)) {
        return -EINVAL;
    }
    cq_entries = cq_entries > 2 * RING_ENTRIES_MAX ? 2 * RING_ENTRIES_MAX : cq_entries;
    params->cq_entries = power_of_two(cq_entries);
    return params->cq_entries < params->sq_entries ? -EINVAL : 0;
}

static void describe(struct sim_ring *ring, struct io_uring_params *params)
{
    const uint32_t array_at = AT_CQES + params->cq_entries * (uint32_t)sizeof(struct io_uring_cqe);

    params->features = sim_kernel_features();
    memset(&params->sq_off, 0, sizeof(params->sq_off));
    memset(&params->cq_off, 0, sizeof(params->cq_off));
    params->sq_off.head = AT_SQ_HEAD;
    params->sq_off.tail = AT_SQ_TAIL;
    params->sq_off.ring_mask = AT_SQ_MASK;
    params->sq_off.ring_entries = AT_SQ_ENTRIES;
    params->sq_off.flags = AT_SQ_FLAGS;
    params->sq_off.dropped = AT_SQ_DROPPED;
    params->cq_off.head = AT_CQ_HEAD;
    params->cq_off.tail = AT_CQ_TAIL;
    params->cq_off.ring_mask = AT_CQ_MASK;
    params->cq_off.ring_entries = AT_CQ_ENTRIES;
    params->cq_off.overflow = AT_CQ_OVERFLOW;
    params->cq_off.cqes = AT_CQES;
    params->cq_off.flags = AT_CQ_FLAGS;
    if ((params->flags & SIM_SETUP_NO_SQARRAY) == 0) {
        params->sq_off.array = array_at;
    }
    ring->params = *params;
    ring->memory_bytes = array_at + params->sq_entries * sizeof(uint32_t);
    ring->sqe_bytes = params->sq_entries * sizeof(struct io_uring_sqe);
}

static int map_ring(struct sim_ring *ring)
{
    void *memory;

    ring->fd = memfd_create("sim-ring", MFD_CLOEXEC);
    RTI_ASSERT(ring->fd >= 0);
    if (ftruncate(ring->fd, (off_t)(IORING_OFF_SQES + ring->sqe_bytes)) < 0) {
        close(ring->fd);
        return -ENOMEM;
    }
    memory = mmap(NULL, ring->memory_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, 0);
    RTI_ASSERT(memory != MAP_FAILED);
    ring->memory = memory;
    memory = mmap(NULL, ring->sqe_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd,
                  (off_t)IORING_OFF_SQES);
    RTI_ASSERT(memory != MAP_FAILED);
    ring->sqes = memory;
    *sim_ring_word(ring, AT_SQ_MASK) = ring->params.sq_entries - 1;
    *sim_ring_word(ring, AT_CQ_MASK) = ring->params.cq_entries - 1;
    *sim_ring_word(ring, AT_SQ_ENTRIES) = ring->params.sq_entries;
    *sim_ring_word(ring, AT_CQ_ENTRIES) = ring->params.cq_entries;
    return 0;
}

int __wrap_rti_sys_uring_setup(unsigned entries, struct io_uring_params *params)
{
    struct sim_ring *ring;
    int r;

    if (!sim.is_active) {
        return __real_rti_sys_uring_setup(entries, params);
    }
    r = check_setup(entries, params);
    if (r == 0) {
        r = size_queues(entries, params);
    }
    sim_trace("setup(%u, flags %#x) = %d", entries, params->flags, r);
    if (r < 0) {
        return r;
    }
    ring = sim_alloc(sizeof(*ring));
    describe(ring, params);
    r = map_ring(ring);
    if (r < 0) {
        free(ring);
        return r;
    }
    ring->number = sim.ring_numbers++;
    ring->owner = sim_thread_self()->number;
    ring->is_disabled = (params->flags & IORING_SETUP_R_DISABLED) != 0;
    ring->workers_max[0] = 4;
    ring->workers_max[1] = 1024;
    rti_list_init(&ring->requests);
    rti_list_init(&ring->owed);
    rti_list_init(&ring->backlog);
    rti_list_push_back(&sim.rings, &ring->in_sim);
    return ring->fd;
}

int __wrap_rti_sys_mmap(void **out, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    if (sim.is_active && fd >= 0 && offset == (off_t)IORING_OFF_CQ_RING &&
        sim_ring_find(fd) != NULL) {
        offset = IORING_OFF_SQ_RING;
    }
    return __real_rti_sys_mmap(out, bytes, protection, flags, fd, offset);
}

struct sim_ring *sim_ring_find(int fd)
{
    struct rti_list *node;

    for (node = sim.rings.next; node != &sim.rings; node = node->next) {
        struct sim_ring *ring = RTI_CONTAINER_OF(node, struct sim_ring, in_sim);

        if (ring->fd == fd) {
            return ring;
        }
    }
    return NULL;
}

/* Linux keeps a ring alive through the slots of threads. Here they lose it. */
static void forget_registered(const struct sim_ring *ring)
{
    for (struct rti_list *node = sim.threads.next; node != &sim.threads; node = node->next) {
        struct sim_thread *thread = RTI_CONTAINER_OF(node, struct sim_thread, in_sim);

        for (unsigned i = 0; i < SIM_RING_SLOTS; i++) {
            if (thread->ring_slots[i] == ring) {
                thread->ring_slots[i] = NULL;
            }
        }
    }
}

void sim_ring_close(struct sim_ring *ring, bool is_leak)
{
    struct rti_list *node;

    sim_trace("ring%u closed, %u requests in flight", ring->number, ring->request_count);
    if (!is_leak) {
        sim.abandoned += ring->request_count;
    }
    forget_registered(ring);
    while ((node = rti_list_first(&ring->owed)) != NULL) {
        sim_request_abandon(RTI_CONTAINER_OF(node, struct sim_request, in_owed));
    }
    while ((node = rti_list_first(&ring->requests)) != NULL) {
        sim_request_abandon(RTI_CONTAINER_OF(node, struct sim_request, in_ring));
    }
    while ((node = rti_list_first(&ring->backlog)) != NULL) {
        rti_list_remove(node);
        free(RTI_CONTAINER_OF(node, struct late_cqe, in_backlog));
    }
    sim_buffers_forget(ring);
    munmap(ring->memory, ring->memory_bytes);
    munmap(ring->sqes, ring->sqe_bytes);
    close(ring->fd);
    rti_list_remove(&ring->in_sim);
    free(ring);
}

int __wrap_rti_sys_close(int fd)
{
    struct sim_ring *ring;
    int r = 0;

    if (!sim.is_active) {
        return __real_rti_sys_close(fd);
    }
    if (fd >= SIM_FD_FIRST) {
        r = sim_fd_close(fd);
        sim_trace("close(%d) = %d", fd, r);
    } else if ((ring = sim_ring_find(fd)) != NULL) {
        sim_ring_close(ring, false);
    } else {
        return __real_rti_sys_close(fd);
    }
    sim_settle();
    return r;
}

/* ---- register ---- */

static int register_probe(void *arg, unsigned count)
{
    struct io_uring_probe *probe = arg;

    if (sim.config.no_probe || probe == NULL || count > 256) {
        return -EINVAL;
    }
    count = count < sim_kernel_facts()->opcode_count ? count : sim_kernel_facts()->opcode_count;
    probe->last_op = (uint8_t)(sim_kernel_facts()->opcode_count - 1);
    probe->ops_len = (uint8_t)count;
    for (unsigned i = 0; i < count; i++) {
        probe->ops[i].op = (uint8_t)i;
        probe->ops[i].flags = sim_kernel_has_opcode(i) ? IO_URING_OP_SUPPORTED : 0;
    }
    return 0;
}

static int register_rings(struct io_uring_rsrc_update *updates, unsigned count)
{
    struct sim_ring **slots = sim_thread_self()->ring_slots;

    if (sim.config.no_registered_ring || !sim_kernel_facts()->has_registered_ring || count == 0 ||
        count > SIM_RING_SLOTS) {
        return -EINVAL;
    }
    for (unsigned i = 0; i < count; i++) {
        struct sim_ring *ring = sim_ring_find((int)updates[i].data);
        unsigned slot = updates[i].offset;
        int error = 0;

        if (slot == UINT_MAX) {
            for (slot = 0; slot < SIM_RING_SLOTS && slots[slot] != NULL; slot++) {
            }
            error = slot == SIM_RING_SLOTS ? -EBUSY : 0;
        } else if (slot >= SIM_RING_SLOTS) {
            error = -EINVAL;
        } else if (slots[slot] != NULL) {
            error = -EBUSY;
        }
        if (error == 0 && ring == NULL) {
            error = -EBADF;
        }
        if (error < 0) {
            return i > 0 ? (int)i : error;
        }
        slots[slot] = ring;
        updates[i].offset = slot;
    }
    return (int)count;
}

static int unregister_rings(const struct io_uring_rsrc_update *updates, unsigned count)
{
    if (sim.config.no_registered_ring || !sim_kernel_facts()->has_registered_ring || count == 0 ||
        count > SIM_RING_SLOTS) {
        return -EINVAL;
    }
    for (unsigned i = 0; i < count; i++) {
        if (updates[i].resv != 0 || updates[i].data != 0 || updates[i].offset >= SIM_RING_SLOTS) {
            return i > 0 ? (int)i : -EINVAL;
        }
        sim_thread_self()->ring_slots[updates[i].offset] = NULL;
    }
    return (int)count;
}

static int register_workers(struct sim_ring *ring, uint32_t *counts, unsigned count)
{
    if (counts == NULL || count != 2) {
        return -EINVAL;
    }
    for (unsigned i = 0; i < 2; i++) {
        uint32_t before = ring->workers_max[i];

        if (counts[i] != 0) {
            ring->workers_max[i] = counts[i];
        }
        counts[i] = before;
    }
    return 0;
}

static int register_worker_cpus(struct sim_ring *ring, const cpu_set_t *set, unsigned bytes)
{
    if (set == NULL || bytes == 0 || sim.config.no_worker_cpus) {
        return -EINVAL;
    }
    CPU_ZERO(&ring->worker_cpus);
    memcpy(&ring->worker_cpus, set, bytes < sizeof(*set) ? bytes : sizeof(*set));
    return 0;
}

/* Linux writes through some of these pointers, and the seam's type has to suit all. */
static void *writable(const void *arg)
{
    union {
        const void *from;
        void *to;
    } cast = { .from = arg };

    return cast.to;
}

static int ring_register(struct sim_ring *ring, unsigned opcode, const void *arg, unsigned count)
{
    switch (opcode) {
    case IORING_REGISTER_PROBE:
        return register_probe(writable(arg), count);
    case IORING_REGISTER_ENABLE_RINGS:
        if (!ring->is_disabled) {
            return -EBADFD;
        }
        ring->is_disabled = false;
        ring->owner = sim_thread_self()->number;
        return 0;
    case IORING_REGISTER_IOWQ_AFF:
        return register_worker_cpus(ring, arg, count);
    case IORING_UNREGISTER_IOWQ_AFF:
        return arg != NULL || count != 0 ? -EINVAL : 0;
    case IORING_REGISTER_IOWQ_MAX_WORKERS:
        return register_workers(ring, writable(arg), count);
    case IORING_REGISTER_RING_FDS:
        return register_rings(writable(arg), count);
    case IORING_UNREGISTER_RING_FDS:
        return unregister_rings(arg, count);
    case IORING_REGISTER_BUFFERS2:
    case IORING_REGISTER_BUFFERS_UPDATE:
    case IORING_UNREGISTER_BUFFERS:
        return sim_buffers_register(ring, opcode, arg, count);
    default:
        return -EINVAL;
    }
}

int __wrap_rti_sys_uring_register(int fd, unsigned opcode, const void *arg, unsigned count)
{
    struct sim_ring *ring;
    int r;

    if (!sim.is_active) {
        return __real_rti_sys_uring_register(fd, opcode, arg, count);
    }
    if ((opcode & SIM_REGISTER_USE_RING) != 0) {
        if ((sim_kernel_features() & SIM_FEAT_REG_REG_RING) == 0 || fd < 0 ||
            fd >= SIM_RING_SLOTS) {
            return -EINVAL;
        }
        ring = sim_thread_self()->ring_slots[fd];
        opcode &= ~SIM_REGISTER_USE_RING;
    } else {
        ring = sim_ring_find(fd);
    }
    r = ring == NULL ? -EBADF : ring_register(ring, opcode, arg, count);
    sim_trace("register(%u) = %d", opcode, r);
    return r;
}

/* ---- for tests ---- */

void sim_ring_report(const struct sim_thread *owner)
{
    for (struct rti_list *node = sim.rings.next; node != &sim.rings; node = node->next) {
        const struct sim_ring *ring = RTI_CONTAINER_OF(node, struct sim_ring, in_sim);

        if (ring->owner == owner->number) {
            fprintf(stderr, ", ring%u: %u CQEs visible, %u owed", ring->number,
                    sim_ring_cq_ready(ring), ring->owed_count);
        }
    }
    fputc('\n', stderr);
}

unsigned sim_ring_count(void)
{
    unsigned count = 0;

    for (struct rti_list *node = sim.rings.next; node != &sim.rings; node = node->next) {
        count++;
    }
    return count;
}

unsigned sim_ring_owed(int ring_fd)
{
    struct sim_ring *ring = sim_ring_find(ring_fd);

    RTI_ASSERT(ring != NULL);
    return ring->owed_count + ring->backlog_count;
}

cpu_set_t sim_ring_worker_cpus(int ring_fd)
{
    const struct sim_ring *ring = sim_ring_find(ring_fd);

    RTI_ASSERT(ring != NULL);
    return ring->worker_cpus;
}

unsigned sim_ring_in_flight(int ring_fd)
{
    struct sim_ring *ring = sim_ring_find(ring_fd);

    RTI_ASSERT(ring != NULL);
    return ring->request_count;
}
