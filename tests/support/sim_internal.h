/* SPDX-License-Identifier: MIT */
/*
 * Sim, inside: the structures that its source files share.
 *
 *     sim.c           life cycle, clock, event queue, trace
 *     sim_kernel.c    which kernel is imitated
 *     sim_ring.c      ring memory: setup, register, CQ, overflow
 *     sim_enter.c     enter: submission, owed completions, waits
 *     sim_submit.c    from the SQE to a request
 *     sim_request.c   life of a request, until its CQE
 *     sim_run.c       what each opcode does
 *     sim_cancel.c    ASYNC_CANCEL
 *     sim_faults.c    faults on purpose and by chance, holds
 *     sim_threads.c   threads, one at a time; futexes
 *     sim_files.c     descriptors and files
 *     sim_disk.c      what a power cut leaves of them
 *     sim_buffers.c   memory that is registered with a ring
 *     sim_counters.c  event counters
 *     sim_sockets.c   socket calls, listeners, connecting
 *     sim_streams.c   bytes, FIN and RST between two sockets
 *     sim_peers.c     the test's side of connections
 *     sim_plan.c      the machine, for the placement of shards
 *
 * Nothing calls back into the code under test. Events are never fired from
 * inside an operation: they are queued and fired by sim_settle(), which every
 * entry point calls, so no operation sees its objects change under it.
 */
#ifndef RT_TEST_SIM_INTERNAL_H
#define RT_TEST_SIM_INTERNAL_H

#include <liburing.h>
#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/list.h"
#include "rand.h"
#include "sim.h"

/* Newer than the oldest liburing headers that the project builds against. */
#define SIM_SETUP_NO_SQARRAY    (1U << 16)
#define SIM_ENTER_ABS_TIMER     (1U << 5)
#define SIM_ENTER_NO_IOWAIT     (1U << 7)
#define SIM_FEAT_REG_REG_RING   (1U << 13)
#define SIM_FEAT_MIN_TIMEOUT    (1U << 15)
#define SIM_REGISTER_USE_RING   (1U << 31)
#define SIM_CANCEL_USERDATA     (1U << 4)
#define SIM_CANCEL_OP           (1U << 5)
#define SIM_MSG_RING_FLAGS_PASS (1U << 1)

#define SIM_OP_FTRUNCATE        55 /* Linux 6.9 */

#define SIM_WAIT         INT32_MIN /* an attempt found nothing to do yet */
#define SIM_NOT_QUEUED   UINT_MAX
#define SIM_RING_SLOTS   16 /* registered rings of a thread, as in Linux */
#define SIM_OPCODES      64
#define SIM_DIRECT_ALIGN 512U

/* ---- events: what happens at a virtual time ---- */

struct sim_event {
    rt_time time;
    uint64_t order; /* among events of one time */
    unsigned index; /* place in the heap, or SIM_NOT_QUEUED */
    void (*fire)(struct sim_event *event);
};

void sim_event_queue(struct sim_event *event, rt_time time, void (*fire)(struct sim_event *));
void sim_event_remove(struct sim_event *event);

/* ---- which kernel ---- */

struct sim_kernel_facts {
    uint32_t features;
    uint32_t setup_flags;
    uint32_t enter_flags;
    unsigned opcode_count;
    bool has_registered_ring;
};

const struct sim_kernel_facts *sim_kernel_facts(void);
uint32_t sim_kernel_features(void); /* after the config, as below */
uint32_t sim_kernel_enter_flags(void);
bool sim_kernel_has_opcode(unsigned opcode);

/* ---- threads ---- */

#define SIM_SPURIOUS 1 /* the end of a wait for which there was no cause */

struct sim_wait {
    const char *what;           /* for reports */
    bool (*is_over)(void *arg); /* looks only */
    void *arg;
    rt_time deadline; /* of the clock; RT_NEVER: none */
    bool may_be_interrupted;
    bool may_be_spurious;
};

struct sim_thread {
    struct rti_list in_sim;
    unsigned number; /* in order of creation; 0 began the sim */
    sem_t baton;
    pthread_t handle;
    void *(*entry)(void *arg);
    void *arg;
    const struct sim_wait *wait; /* NULL: it could run */
    bool has_ended;
    struct sim_ring *ring_slots[SIM_RING_SLOTS]; /* its registered rings */
};

struct sim_thread *sim_thread_self(void);

/*
 * Let others run until the wait is over. 0, -ETIME, -EINTR, SIM_SPURIOUS, or -EDEADLK: nothing
 * will happen, and the hook of the test did not help.
 */
int sim_thread_wait(struct sim_wait *wait);

/* Print what everybody waits for, and abort. */
void sim_report_waits(const char *why) __attribute__((noreturn));

void sim_threads_begin(void);
void sim_threads_end(unsigned *out_count);

/* ---- rings ---- */

struct sim_request;

struct sim_ring {
    struct rti_list in_sim;
    unsigned number; /* in order of creation, for the trace */
    int fd;          /* a real memfd */
    uint8_t *memory; /* both rings */
    size_t memory_bytes;
    struct io_uring_sqe *sqes;
    size_t sqe_bytes;
    struct io_uring_params params;
    unsigned owner;   /* the number of its thread */
    bool is_disabled; /* R_DISABLED and not enabled yet */
    uint32_t sq_head;
    uint32_t cq_tail;
    uint32_t workers_max[2];  /* as set by IOWQ_MAX_WORKERS */
    cpu_set_t worker_cpus;    /* as set by IOWQ_AFF; none: never */
    struct rti_list requests; /* in flight, oldest first */
    unsigned request_count;
    struct rti_list owed; /* done, CQE not generated yet (S3) */
    unsigned owed_count;
    struct rti_list backlog; /* generated CQEs that found the CQ full */
    unsigned backlog_count;
    struct iovec *buffers; /* registered ones; NULL: there is no table */
    unsigned buffer_count;
};

int sim_buffers_register(struct sim_ring *ring, unsigned opcode, const void *arg, unsigned count);
int sim_buffers_check(const struct sim_request *request); /* 0, or -EFAULT */
void sim_buffers_forget(struct sim_ring *ring);

/* Nothing announces its CQEs: they are generated in an enter with GETEVENTS only. */
static inline bool sim_ring_is_polled(const struct sim_ring *ring)
{
    return (ring->params.flags & IORING_SETUP_IOPOLL) != 0;
}

struct sim_ring *sim_ring_find(int fd);
void sim_ring_close(struct sim_ring *ring, bool is_leak);
unsigned sim_ring_cq_ready(const struct sim_ring *ring);
uint32_t *sim_ring_word(struct sim_ring *ring, uint32_t offset);
bool sim_ring_has_room(const struct sim_ring *ring);
void sim_ring_post(struct sim_ring *ring, uint64_t user_data, int32_t result, uint32_t flags);
void sim_ring_flush_backlog(struct sim_ring *ring);
void sim_ring_update_flags(struct sim_ring *ring);
void sim_ring_report(const struct sim_thread *owner); /* the rest of a line about it */
unsigned sim_ring_run_owed(struct sim_ring *ring, unsigned limit);

/* ---- descriptors ---- */

enum sim_kind { SIM_KIND_FILE, SIM_KIND_SOCKET, SIM_KIND_COUNTER, SIM_KIND_DIRECTORY };

/* What a descriptor refers to. Descriptors and requests hold references, as in Linux. */
struct sim_object {
    enum sim_kind kind;
    unsigned refs;
    struct rti_list waiters; /* requests until the object changes */
};

int sim_fd_install(struct sim_object *object); /* takes over the caller's reference */
struct sim_object *sim_fd_object(int fd);      /* no reference; NULL: -EBADF */
int sim_fd_close(int fd);
void sim_object_put(struct sim_object *object);
unsigned sim_object_poll(const struct sim_object *object); /* what of POLLIN, POLLOUT ... is so */

/* An event counter, as eventfd(2) makes it. */
struct sim_counter {
    struct sim_object object;
    uint64_t count;
};

struct sim_file {
    struct rti_list in_sim;
    char *path;
    unsigned refs; /* open files, and 1 for the name */
    uint64_t inode;
    unsigned mode;
    uint8_t *bytes; /* what readers see */
    size_t size;
    uint64_t reserved; /* space is there up to here, if it is beyond the size */
    bool refuses_polls;
    uint8_t *durable; /* what the disk holds for sure; see sim_disk.c */
    size_t durable_size;
    struct rti_list changes; /* since then */
};

struct sim_open_file {
    struct sim_object object;
    struct sim_file *file;
    int flags;
    uint64_t position;
};

void sim_file_unref(struct sim_file *file);

/* ---- the disk ---- */

struct sim_disk {
    struct rti_list names;        /* that are durable */
    struct rti_list name_changes; /* since then */
    uint64_t operations;
    uint64_t cut_before; /* 0: no cut */
    void (*hook)(void *arg);
    void *arg;
};

void sim_disk_begin(void);
void sim_disk_end(void);
void sim_disk_operation(void); /* one that opens, writes or syncs is about to be done */
void sim_disk_named(const char *path, struct sim_file *file);
void sim_disk_wrote(struct sim_file *file, size_t at, size_t count);
void sim_disk_resized(struct sim_file *file);
void sim_disk_forget(struct sim_file *file);
int32_t sim_disk_sync(struct sim_file *file);
int32_t sim_disk_sync_names(void);

/* ---- sockets ---- */

struct sim_address {
    sa_family_t family; /* 0: none */
    uint16_t port;      /* host order */
    uint8_t bytes[16];
};

enum sim_socket_state {
    SIM_SOCKET_NEW,       /* made, perhaps bound */
    SIM_SOCKET_LISTENING, /* takes connections */
    SIM_SOCKET_CONNECTED, /* one end of a stream, also after FIN or RST */
    SIM_SOCKET_SHUT,      /* was listening, shutdown() was called */
};

struct sim_socket {
    struct sim_object object;
    struct rti_list in_sim;   /* all sockets */
    struct rti_list in_queue; /* in the backlog of its listener */
    enum sim_socket_state state;
    sa_family_t family;
    struct sim_address local;
    struct sim_address remote;
    bool is_bound;
    bool is_nonblock;
    bool reuse_address;
    bool reuse_port;
    bool linger_reset; /* SO_LINGER with 0 s: close sends RST */
    bool is_test_side; /* a peer of the test */

    /* listening */
    unsigned backlog_max;
    unsigned backlog_count;
    struct rti_list backlog;

    /* connected */
    struct sim_socket *peer; /* NULL once it is closed or reset */
    uint8_t *inbound;        /* a ring of sim.stream_bytes */
    size_t inbound_head;
    size_t inbound_count;
    bool fin_received;
    bool fin_sent;
    bool read_shut;
    bool is_reset;
    int error; /* negative; taken by the first call that meets it */
};

struct sim_socket *sim_socket_new(sa_family_t family);
int sim_socket_open(int domain, int type, int protocol);
void sim_socket_released(struct sim_socket *socket); /* the last reference is gone */
int sim_socket_bind(struct sim_socket *socket, const struct sim_address *address);
int sim_socket_listen(struct sim_socket *socket, int backlog);
/* The new connection, or NULL and why: SIM_WAIT, -EINVAL, -ECONNABORTED, -EMFILE ... */
struct sim_socket *sim_socket_accept(struct sim_socket *listener, int *out_error);
int sim_socket_connect(struct sim_socket *socket, const struct sim_address *address);
int sim_socket_shutdown(struct sim_socket *socket, int how);
unsigned sim_socket_poll(const struct sim_socket *socket);
bool sim_address_read(struct sim_address *out, const struct sockaddr *address, socklen_t bytes);
void sim_address_write(const struct sim_address *from, struct sockaddr *out, socklen_t *bytes);

void sim_stream_join(struct sim_socket *one, struct sim_socket *other);
/* Bytes moved, SIM_WAIT, 0 at the end of the stream, -ECONNRESET, -EPIPE ... */
int32_t sim_stream_recv(struct sim_socket *socket, uint8_t *bytes, size_t count, bool peek);
int32_t sim_stream_send(struct sim_socket *socket, const uint8_t *bytes, size_t count);
void sim_stream_finish(struct sim_socket *socket); /* FIN */
void sim_stream_reset(struct sim_socket *socket);  /* RST to the other side */
void sim_stream_break(struct sim_socket *socket);  /* RST from outside, to both sides */
void sim_stream_closed(struct sim_socket *socket);
size_t sim_stream_room(const struct sim_socket *socket);

void sim_peers_end(unsigned *out_count);

/* ---- requests ---- */

enum sim_phase {
    SIM_PHASE_WORK, /* S2: falls due at the time of its event */
    SIM_PHASE_WAIT, /* S2: among the waiters of an object */
    SIM_PHASE_HELD, /* kept by the test */
    SIM_PHASE_OWED, /* S3 */
};

struct sim_request {
    struct rti_list in_ring;
    struct rti_list in_owed;
    struct rti_list in_waiters;
    struct sim_event event;
    struct sim_ring *ring;
    struct io_uring_sqe sqe; /* a copy: the slot is free again */
    uint64_t id;
    enum sim_phase phase;
    bool is_message;    /* no request: a CQE that MSG_RING owes to its target */
    bool is_forced;     /* ends with forced_result, does nothing */
    bool breaks_stream; /* a forced -ECONNRESET that really happens */
    bool was_tried;     /* has waited once; a released request need not be polled first */
    enum sim_stage held_at;
    int32_t forced_result;
    uint32_t message_flags;
    unsigned wakes;     /* of a multishot poll, since its last CQE */
    unsigned wake_mask; /* of the first of them */
    int cancel_answer;  /* at S2 */
    uint32_t limit;     /* of bytes, by sim_short_next() */
    uint32_t done;      /* bytes moved by earlier attempts (MSG_WAITALL) */
    rt_time delay;
    struct sim_object *object; /* a reference, or NULL */
    char *path;
    char *new_path; /* of RENAMEAT */
    struct iovec *iov;
    struct sim_address address;
};

struct sim_opcode {
    const char *name;
    enum { NO_OBJECT, ANY_OBJECT, FILE_OBJECT, SOCKET_OBJECT } object; /* of its fd */
    unsigned zero;      /* fields of the SQE that have to be 0 */
    bool may_be_inline; /* Linux can finish it inside the submission */
};

void sim_request_submit(struct sim_ring *ring, const struct io_uring_sqe *sqe, bool *out_bad);
void sim_request_run(struct sim_request *request); /* S3 to S4, or back to S2 */
void sim_request_owe(struct sim_request *request); /* to S3 */
void sim_request_end(struct sim_request *request, int32_t result);
void sim_request_resume(struct sim_request *request); /* a held one goes on */
void sim_request_abandon(struct sim_request *request);
void sim_object_changed(struct sim_object *object);
struct sim_request *sim_request_new(struct sim_ring *ring);
void sim_request_start(struct sim_request *request);
bool sim_request_attempt(struct sim_request *request, int32_t *out_result); /* false: SIM_WAIT */
void sim_request_poison(const struct sim_request *request);
rt_time sim_request_draw_delay(void);
const struct sim_opcode *sim_request_opcode(const struct sim_request *request);
struct sim_socket *sim_request_socket(const struct sim_request *request);
bool sim_request_is_on_socket(const struct sim_request *request);
bool sim_request_is_nowait(const struct sim_request *request); /* gives -EAGAIN, never waits */
bool sim_request_waits_for_object(const struct sim_request *request);
bool sim_request_is_multishot(const struct sim_request *request); /* many CQEs, with F_MORE */
const char *sim_opcode_name(unsigned opcode);

int32_t sim_cancel_run(struct sim_request *cancel);

/* Files: one function per opcode, run at the step from S3 to S4. */
int32_t sim_file_read(struct sim_request *request);
int32_t sim_file_write(struct sim_request *request);
int32_t sim_file_open(struct sim_request *request);
int32_t sim_file_rename(struct sim_request *request);
int32_t sim_file_unlink(struct sim_request *request);
int32_t sim_file_stat(struct sim_request *request);
int32_t sim_file_sync(struct sim_request *request);
int32_t sim_file_truncate(struct sim_request *request);
int32_t sim_file_reserve(struct sim_request *request);

/* ---- faults ---- */

bool sim_fault(unsigned per_mille, const char *what);
void sim_fault_plan(struct sim_request *request); /* may force its result */
uint32_t sim_fault_length(const struct sim_request *request, uint32_t length);
rt_time sim_fault_delay(rt_time delay);
bool sim_fault_cancel(bool by_chance, int *out_answer);
bool sim_fault_enter(bool submits, int *out_result);
unsigned sim_fault_submit(unsigned count);
bool sim_hold_applies(const struct sim_request *request, enum sim_stage *out_stage);
unsigned sim_faults_unused(void);

/* ---- the sim ---- */

struct sim_target { /* a fault that waits for its request */
    enum {
        SIM_TARGET_RESULT,
        SIM_TARGET_SHORT,
        SIM_TARGET_CANCEL,
        SIM_TARGET_ENTER,
        SIM_TARGET_SUBMIT
    } kind;
    int opcode;
    int value;
};

struct sim_hold_rule {
    bool by_user_data;
    int opcode;
    uint64_t user_data;
    enum sim_stage stage;
};

#define SIM_TARGETS_MAX 64
#define SIM_RULES_MAX   64

struct sim {
    bool is_active;
    bool is_tracing;
    bool is_settling;
    struct sim_config config;
    struct rand_state rand;
    rt_time now;
    uint64_t hash;
    struct sim_stats stats;

    struct sim_event **heap;
    unsigned heap_count;
    unsigned heap_size;
    uint64_t event_order;

    struct rti_list rings;
    unsigned ring_numbers;
    uint64_t request_ids;
    unsigned abandoned;
    uint64_t locked_bytes; /* registered with all rings */

    struct sim_thread main_thread;
    struct rti_list threads; /* the main one is the first */
    unsigned thread_count;
    unsigned thread_numbers;
    struct rti_list futexes; /* waits for them */
    struct rti_list locks;   /* locked ones */

    struct sim_object **fds;
    unsigned fd_limit;

    struct rti_list files;
    uint64_t inodes;
    struct sim_disk disk;

    struct rti_list sockets;
    struct sim_object backlog_room; /* CONNECT waits here for room in a backlog */
    uint32_t stream_bytes;
    uint16_t port_next;
    struct sim_socket **peers;
    unsigned peer_count;

    struct sim_target targets[SIM_TARGETS_MAX];
    unsigned target_count;
    struct sim_hold_rule rules[SIM_RULES_MAX];
    unsigned rule_count;
};

extern struct sim sim;

/* Fire what is due now. Nested calls do nothing: the outer one goes on. */
void sim_settle(void);

/* Let the clock reach `time`; each event on the way happens at its own time. */
void sim_move_to(rt_time time);

/* Time that a system call takes. */
void sim_spend_step(void);

void sim_hash_add(uint64_t value);
void sim_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Memory of the sim itself; never NULL. */
void *sim_alloc(size_t bytes);

#endif /* RT_TEST_SIM_INTERNAL_H */
