/* SPDX-License-Identifier: MIT */
/* Sim: life cycle, clock, event queue and trace of the simulated kernel. */
#include "sim_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "os/sys.h"

#define SIM_START_DEFAULT  RT_SECONDS(1000)
#define SIM_STREAM_DEFAULT 4096
#define SIM_FDS_DEFAULT    1024

/* FNV-1a, 64 bit: the usual constants. */
#define HASH_START UINT64_C(0xcbf29ce484222325)
#define HASH_PRIME UINT64_C(0x100000001b3)

struct sim sim;

static struct sigaction old_abort_action;

rt_time __real_rti_sys_now(void);
rt_time __wrap_rti_sys_now(void);
rt_time __real_rti_sys_thread_cpu(void);
rt_time __wrap_rti_sys_thread_cpu(void);
rt_time __real_rti_sys_thread_cpu_of(int thread_id);
rt_time __wrap_rti_sys_thread_cpu_of(int thread_id);
uint64_t __real_rti_sys_ticks(void);
uint64_t __wrap_rti_sys_ticks(void);
double __real_rti_sys_ticks_per_ns(void);
double __wrap_rti_sys_ticks_per_ns(void);

void *sim_alloc(size_t bytes)
{
    void *memory = calloc(1, bytes > 0 ? bytes : 1);

    RTI_ASSERT(memory != NULL);
    return memory;
}

/* ---- trace ---- */

void sim_hash_add(uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) {
        sim.hash = (sim.hash ^ ((value >> (8 * i)) & 0xff)) * HASH_PRIME;
    }
}

void sim_trace(const char *format, ...)
{
    va_list args;

    if (!sim.is_tracing) {
        return;
    }
    fprintf(stderr, "sim %" PRId64 " ", sim.now);
    if (sim.thread_count > 1) {
        fprintf(stderr, "thread%u ", sim_thread_self()->number);
    }
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

uint64_t sim_trace_hash(void)
{
    return sim.hash;
}

/* ---- event queue: a binary heap by time, then by order ---- */

static bool event_is_before(const struct sim_event *one, const struct sim_event *other)
{
    return one->time < other->time || (one->time == other->time && one->order < other->order);
}

static void heap_put(struct sim_event *event, unsigned index)
{
    sim.heap[index] = event;
    event->index = index;
}

static void heap_rise(struct sim_event *event)
{
    unsigned index = event->index;

    while (index > 0 && event_is_before(event, sim.heap[(index - 1) / 2])) {
        heap_put(sim.heap[(index - 1) / 2], index);
        index = (index - 1) / 2;
    }
    heap_put(event, index);
}

static void heap_sink(struct sim_event *event)
{
    unsigned index = event->index;

    for (;;) {
        unsigned child = 2 * index + 1;

        if (child >= sim.heap_count) {
            break;
        }
        if (child + 1 < sim.heap_count && event_is_before(sim.heap[child + 1], sim.heap[child])) {
            child++;
        }
        if (!event_is_before(sim.heap[child], event)) {
            break;
        }
        heap_put(sim.heap[child], index);
        index = child;
    }
    heap_put(event, index);
}

void sim_event_queue(struct sim_event *event, rt_time time, void (*fire)(struct sim_event *))
{
    RTI_ASSERT(event->index == SIM_NOT_QUEUED);
    if (sim.heap_count == sim.heap_size) {
        sim.heap_size = sim.heap_size > 0 ? 2 * sim.heap_size : 64;
        sim.heap = realloc(sim.heap, sim.heap_size * sizeof(struct sim_event *));
        RTI_ASSERT(sim.heap != NULL);
    }
    event->time = time > sim.now ? time : sim.now;
    event->order = sim.event_order++;
    event->fire = fire;
    heap_put(event, sim.heap_count++);
    heap_rise(event);
}

void sim_event_remove(struct sim_event *event)
{
    unsigned index = event->index;
    struct sim_event *last;

    if (index == SIM_NOT_QUEUED) {
        return;
    }
    event->index = SIM_NOT_QUEUED;
    last = sim.heap[--sim.heap_count];
    if (last != event) {
        heap_put(last, index);
        heap_rise(last);
        heap_sink(last);
    }
}

/* ---- clock ---- */

/* Rings that no flag defers get their CQEs by interrupt, so without any call. */
static void interrupt_rings(void)
{
    struct rti_list *node;

    for (node = sim.rings.next; node != &sim.rings; node = node->next) {
        struct sim_ring *ring = RTI_CONTAINER_OF(node, struct sim_ring, in_sim);

        if ((ring->params.flags & (IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN)) == 0 &&
            !sim_ring_is_polled(ring)) {
            sim_ring_run_owed(ring, UINT_MAX);
        }
    }
}

void sim_move_to(rt_time time)
{
    RTI_ASSERT(!sim.is_settling); /* a hook must not move the clock */
    sim.is_settling = true;
    for (;;) {
        struct sim_event *event;

        interrupt_rings();
        if (sim.heap_count == 0 || sim.heap[0]->time > time) {
            break;
        }
        event = sim.heap[0];
        sim.now = event->time > sim.now ? event->time : sim.now;
        sim_event_remove(event);
        event->fire(event);
    }
    sim.now = time > sim.now ? time : sim.now;
    sim.is_settling = false;
}

void sim_settle(void)
{
    if (!sim.is_settling) {
        sim_move_to(sim.now);
    }
}

void sim_spend_step(void)
{
    rt_time step = sim.config.step_max > 0 ? rand_range(&sim.rand, 0, sim.config.step_max) : 0;

    if (!sim.is_settling) {
        sim_move_to(sim.now + step);
    }
}

rt_time sim_now(void)
{
    return sim.now;
}

void sim_advance(rt_time ns)
{
    RTI_ASSERT(ns >= 0);
    sim_hash_add((uint64_t)ns);
    sim_move_to(sim.now + ns);
    sim_trace("advanced by %" PRId64, ns);
}

rt_time sim_next_event(void)
{
    return sim.heap_count > 0 ? sim.heap[0]->time : RT_NEVER;
}

bool sim_step(void)
{
    if (sim.heap_count == 0) {
        return false;
    }
    sim_move_to(sim.heap[0]->time);
    return true;
}

struct hook {
    struct sim_event event;
    void (*function)(void *arg);
    void *arg;
};

static void hook_fire(struct sim_event *event)
{
    struct hook *hook = RTI_CONTAINER_OF(event, struct hook, event);
    void (*function)(void *arg) = hook->function;
    void *arg = hook->arg;

    free(hook);
    sim_trace("hook");
    function(arg);
}

void sim_at(rt_time time, void (*function)(void *arg), void *arg)
{
    struct hook *hook = sim_alloc(sizeof(*hook));

    hook->event.index = SIM_NOT_QUEUED;
    hook->function = function;
    hook->arg = arg;
    sim_event_queue(&hook->event, time, hook_fire);
}

/* A simulated thread has the processor all the time. */
rt_time __wrap_rti_sys_thread_cpu(void)
{
    return sim.is_active ? __wrap_rti_sys_now() : __real_rti_sys_thread_cpu();
}

/* No clock of another thread: so none is watched for stalls. */
rt_time __wrap_rti_sys_thread_cpu_of(int thread_id)
{
    return sim.is_active ? -EINVAL : __real_rti_sys_thread_cpu_of(thread_id);
}

/* Ticks are virtual ns. */
double __wrap_rti_sys_ticks_per_ns(void)
{
    return sim.is_active ? 1.0 : __real_rti_sys_ticks_per_ns();
}

uint64_t __wrap_rti_sys_ticks(void)
{
    return sim.is_active ? (uint64_t)__wrap_rti_sys_now() : __real_rti_sys_ticks();
}

rt_time __wrap_rti_sys_now(void)
{
    if (!sim.is_active) {
        return __real_rti_sys_now();
    }
    sim_spend_step();
    sim_point();
    return sim.now;
}

/* ---- life cycle ---- */

static void print_seed(const char *why)
{
    fprintf(stderr, "sim: %s; replay with RT_SEED=%" PRIu64 "\n", why, sim.config.seed);
}

/* Async-signal-safe enough: the process ends, and stderr is unbuffered. */
static void on_abort(int number)
{
    print_seed("aborted");
    sigaction(number, &old_abort_action, NULL);
    raise(number);
}

static void at_exit(void)
{
    if (sim.is_active) {
        print_seed("the run did not end");
    }
}

static void catch_abort(void)
{
    static bool is_registered;
    struct sigaction action;

    if (!is_registered) {
        is_registered = true;
        atexit(at_exit);
    }
    memset(&action, 0, sizeof(action));
    action.sa_handler = on_abort;
    sigaction(SIGABRT, &action, &old_abort_action);
}

void sim_begin(const struct sim_config *config)
{
    const char *trace = getenv("RT_SIM_TRACE");

    if (sim.is_active) { /* a test failed and its end was jumped over */
        print_seed("the run before did not end");
        (void)sim_end(NULL);
    }
    memset(&sim, 0, sizeof(sim));
    sim.config = *config;
    rand_init(&sim.rand, config->seed);
    sim.now = config->start > 0 ? config->start : SIM_START_DEFAULT;
    sim.hash = HASH_START;
    sim.is_tracing = trace != NULL && *trace != '\0' && *trace != '0';
    sim.stream_bytes = config->stream_bytes > 0 ? config->stream_bytes : SIM_STREAM_DEFAULT;
    sim.fd_limit = config->fd_limit > 0 ? config->fd_limit : SIM_FDS_DEFAULT;
    sim.fds = sim_alloc(sim.fd_limit * sizeof(struct sim_object *));
    sim.port_next = 32768;
    rti_list_init(&sim.rings);
    rti_list_init(&sim.files);
    sim_disk_begin();
    rti_list_init(&sim.sockets);
    rti_list_init(&sim.backlog_room.waiters);
    sim.backlog_room.refs = 1;
    sim_threads_begin();
    sim.is_active = true;
    catch_abort();
    sim_trace("begin, RT_SEED=%" PRIu64, config->seed);
}

static void end_rings(struct sim_leaks *leaks)
{
    struct rti_list *node;

    while ((node = rti_list_first(&sim.rings)) != NULL) {
        struct sim_ring *ring = RTI_CONTAINER_OF(node, struct sim_ring, in_sim);

        leaks->rings++;
        leaks->requests += ring->request_count;
        sim_ring_close(ring, true);
    }
    leaks->abandoned = sim.abandoned;
}

static void end_descriptors(struct sim_leaks *leaks)
{
    static const char *const kinds[] = {
        [SIM_KIND_FILE] = "file",
        [SIM_KIND_SOCKET] = "socket",
        [SIM_KIND_COUNTER] = "event counter",
        [SIM_KIND_DIRECTORY] = "directory",
    };

    for (unsigned i = 0; i < sim.fd_limit; i++) {
        if (sim.fds[i] != NULL) {
            fprintf(stderr, "sim: descriptor %u is open (%s)\n", SIM_FD_FIRST + i,
                    kinds[sim.fds[i]->kind]);
            leaks->descriptors++;
            (void)sim_fd_close(SIM_FD_FIRST + (int)i);
        }
    }
}

static void end_files(void)
{
    struct rti_list *node;

    while ((node = rti_list_first(&sim.files)) != NULL) {
        sim_file_remove(RTI_CONTAINER_OF(node, struct sim_file, in_sim)->path);
    }
    sim_disk_end();
}

unsigned sim_end(struct sim_leaks *out_leaks)
{
    struct sim_leaks leaks;
    unsigned total;

    RTI_ASSERT(sim.is_active && !sim.is_settling);
    memset(&leaks, 0, sizeof(leaks));
    leaks.held = sim_held(SIM_ANY);
    leaks.unused = sim_faults_unused();
    sim_print_in_flight();
    sim_threads_end(&leaks.threads);
    end_rings(&leaks);
    end_descriptors(&leaks);
    sim_peers_end(&leaks.peers);
    end_files();
    while (sim.heap_count > 0) { /* only hooks are left */
        struct sim_event *event = sim.heap[sim.heap_count - 1];

        sim_event_remove(event);
        free(RTI_CONTAINER_OF(event, struct hook, event));
    }
    free(sim.heap);
    free(sim.fds);
    sim.is_active = false;
    sigaction(SIGABRT, &old_abort_action, NULL);
    total = leaks.rings + leaks.descriptors + leaks.requests + leaks.abandoned + leaks.peers +
            leaks.held + leaks.unused + leaks.threads;
    if (total > 0) {
        fprintf(stderr,
                "sim: left behind: %u rings, %u descriptors, %u requests, %u abandoned requests, "
                "%u peers, %u held, %u unused faults, %u threads\n",
                leaks.rings, leaks.descriptors, leaks.requests, leaks.abandoned, leaks.peers,
                leaks.held, leaks.unused, leaks.threads);
        print_seed("left something behind");
    }
    if (out_leaks != NULL) {
        *out_leaks = leaks;
    }
    return total;
}

struct sim_config sim_config_chaos(uint64_t seed)
{
    struct sim_config config;
    struct rand_state rand;

    memset(&config, 0, sizeof(config));
    rand_init(&rand, seed ^ UINT64_C(0x5eed));
    config.seed = seed;
    config.delay_max = RT_MICROSECONDS(100);
    config.step_max = 2000;
    config.poison = true;
    config.busy_on_overflow = rand_chance(&rand, 300);
    config.faults = (struct sim_faults){
        .extra_delay = 20,
        .reorder = 200,
        .short_count = (uint16_t)rand_below(&rand, 200),
        .error = (uint16_t)rand_below(&rand, 20),
        .accept_aborted = 20,
        .accept_emfile = 20,
        .cancel_loses = 200,
        .enter_eintr = 20,
        .enter_eagain = 20,
        .enter_ebusy = 10,
        .partial_submit = 50,
        .spurious_wake = 20,
    };
    return config;
}

bool sim_is_active(void)
{
    return sim.is_active;
}

uint64_t sim_seed(void)
{
    return sim.config.seed;
}

const struct sim_stats *sim_stats(void)
{
    return &sim.stats;
}
