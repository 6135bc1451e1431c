/* SPDX-License-Identifier: MIT */
/*
 * Sim: a kernel for tests, behind the runtime's seam to the real one.
 *
 * Between sim_begin() and sim_end() the wrapped functions of os/sys.h talk to
 * this kernel: io_uring on real ring memory (it consumes the SQEs that the code
 * under test wrote and posts real CQEs), files in memory, TCP sockets, and a
 * clock that moves only here. So a test owns time, order and every fault, all
 * chosen by one seed: the same seed gives the same run. Outside of begin/end
 * each wrapped function goes to the real kernel.
 *
 * A test links with tests/support/sim*.c and with -Wl,--wrap for each of
 * RT_SIM_WRAPS in tools/cmake/ShardrtTest.cmake: rt_test(... WRAP sim).
 *
 * A run:
 *
 *     sim_begin(&(struct sim_config){ .seed = 7 });    no faults, no delays
 *     ... code under test ...
 *     assert_int_equal(sim_end(NULL), 0);              nothing was left behind
 *
 * Life of a request. Submission takes the SQE (S1). Then the kernel works on it:
 * a file request until its due time, a socket request until its socket is
 * ready (S2). Then it is done in the kernel, and a CQE is owed (S3). The CQE is
 * posted (S4), on a DEFER_TASKRUN ring only inside an enter with GETEVENTS and
 * at most max(20, wait_nr) at a time, on a polled ring (IOPOLL) only there, too, and then all.
 * The user's memory is touched at the step
 * from S3 to S4 and at no other time (MSG_WAITALL also before), so memory given
 * back too early is a use after free that ASan sees. sim_hold() keeps requests
 * at S2 or S3, sim_release() moves them on, sim_post() makes S4 happen without an
 * enter: with these a test meets each stage on purpose.
 *
 * What a cancel finds, as in Linux: a request that waits for a socket ends with
 * -ECANCELED (answer 0), even at S3, and then has moved nothing; a file request
 * in the queue of a worker ends so too; one that a worker runs goes on
 * (-EALREADY), one that the device has or that is done goes on (-ENOENT).
 *
 * Threads that the code under test makes (rti_sys_thread_create()) are real, and run
 * one at a time: when one waits, and by chance at calls of the seam, another
 * goes on, chosen by the seed. The clock jumps only when all of them wait. When
 * nothing can end their waits, a wake was lost: the sim prints what each waits for.
 *
 * Any number of rings may be open. RT_SIM_TRACE=1 in the environment prints each
 * SQE, CQE, fault and time jump.
 */
#ifndef RT_TEST_SIM_H
#define RT_TEST_SIM_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "rt/base.h"

/* Descriptors of the sim start here, so that none is taken for a real one. Rings are real. */
#define SIM_FD_FIRST (1 << 20)

/* Which kernel is imitated: its features, setup flags, enter flags, opcodes. */
enum sim_kernel {
    SIM_KERNEL_6_18 = 0,
    SIM_KERNEL_6_12, /* no NO_IOWAIT */
    SIM_KERNEL_6_6,  /* no ABS_TIMER, no min_wait_usec */
    SIM_KERNEL_6_1,  /* no NO_SQARRAY, no registered ring for register */
    SIM_KERNEL_5_15, /* none of DEFER_TASKRUN, COOP_TASKRUN, SUBMIT_ALL, registered rings ... */
};

/* Requests of one opcode fail with a result in some of 1000 cases. */
struct sim_error {
    uint8_t opcode;
    uint16_t per_mille;
    int32_t result; /* negative */
};

/* How often, in 1000 cases, each fault happens. */
struct sim_faults {
    uint16_t extra_delay;           /* a request takes 10 to 1000 times its delay */
    uint16_t reorder;               /* a done request overtakes the others that are owed a CQE */
    uint16_t short_count;           /* READ, WRITE, RECV, SEND move fewer bytes than they could */
    uint16_t error;                 /* a request ends with a plausible errno of its opcode */
    uint16_t accept_aborted;        /* ACCEPT: -ECONNABORTED, the connection is gone */
    uint16_t accept_emfile;         /* ACCEPT: -EMFILE, the connection stays in the backlog */
    uint16_t multishot_ends;        /* a multishot poll ends with its CQE, without F_MORE */
    uint16_t cancel_loses;          /* the request completes although a cancel was submitted; not
                                       one that waits for its socket: it might wait for ever */
    uint16_t enter_eintr;           /* a wait ends with -EINTR */
    uint16_t enter_eagain;          /* an enter that submits gives -EAGAIN, nothing consumed */
    uint16_t enter_ebusy;           /* an enter that submits gives -EBUSY, nothing consumed */
    uint16_t partial_submit;        /* an enter consumes only some of the SQEs and does not wait */
    uint16_t spurious_wake;         /* a wait ends with 0 before min_complete and the timeout */
    const struct sim_error *errors; /* more errors, by opcode; kept until sim_end() */
    size_t error_count;
};

/* All zero but the seed: kernel 6.18, nothing delayed, no faults. */
struct sim_config {
    uint64_t seed;

    /* time, in virtual ns */
    rt_time start;     /* the clock at sim_begin(); 0: 1000 s */
    rt_time delay_min; /* each request takes delay_min..delay_max; one that draws 0 may complete */
    rt_time delay_max; /* inside its submission, where a real kernel can do that */
    rt_time step_max;  /* each enter and each rti_sys_now() costs 0..step_max */

    /* the kernel; values other than 0 replace what `kernel` stands for */
    enum sim_kernel kernel;
    uint32_t features;         /* io_uring_params.features */
    uint32_t setup_flags;      /* accepted by setup, others: -EINVAL */
    uint64_t opcodes_missing;  /* bit per opcode: -EINVAL as CQE, not in the probe */
    int setup_result;          /* every setup fails so, e.g. -EPERM, -ENOSYS */
    bool no_probe;             /* REGISTER_PROBE: -EINVAL */
    bool stale_taskrun;        /* the flag TASKRUN is always set, as after a race of CPUs */
    bool no_registered_ring;   /* REGISTER_RING_FDS: -EINVAL */
    bool no_fixed_buffers;     /* REGISTER_BUFFERS2: -EINVAL */
    bool no_iopoll;            /* setup of a polled ring (IORING_SETUP_IOPOLL): -EINVAL */
    bool no_worker_cpus;       /* REGISTER_IOWQ_AFF: -EINVAL, as for CPUs outside of the cpuset */
    uint64_t locked_bytes_max; /* to register more buffers gives -ENOMEM; 0: no limit */
    bool busy_on_overflow;     /* submission gives -EBUSY while CQEs wait behind a full CQ (old
                                   kernels do; 6.18 does not) */

    /* files and sockets */
    bool no_o_direct;      /* open with O_DIRECT: -EINVAL */
    bool no_alignment;     /* statx does not tell the alignment of O_DIRECT, which is 512 */
    bool disk;             /* what is not synced can be lost: sim_disk_cut_before() */
    uint32_t stream_bytes; /* room of a stream in each direction; 0: 4096 */
    uint32_t fd_limit;     /* -EMFILE past it; 0: 1024 */

    /* threads */
    uint16_t switch_per_mille; /* another thread runs on, at each point where that may be */
    unsigned threads_max;      /* to make more gives -EAGAIN; 0: no limit */
    unsigned rings_max;        /* setup of more gives -ENOMEM; 0: no limit */
    uint64_t enters_max;       /* after so many the run is taken for endless: abort; 0: no limit */

    /* Instead of the seed: which of `count` threads goes on. `stays`: the first of them is the one
     * that runs now and need not stop here. */
    unsigned (*choose_thread)(unsigned count, bool stays);

    /* checks */
    bool poison; /* fill buffers of READ and RECV at submission and completion */
    struct sim_faults faults;

    /*
     * Called when all threads would wait for ever. It may make something happen
     * (sim_release(), sim_peer_send() ...). When it did not, the enter returns
     * -EDEADLK (the last one). Without a hook the sim prints what it knows and aborts.
     */
    void (*deadlock)(void *arg);
    void *deadlock_arg;
};

/* What sim_end() found open. Closed but unfinished requests of a ring count too. */
struct sim_leaks {
    unsigned rings;
    unsigned descriptors;
    unsigned requests;  /* in flight in rings that are open */
    unsigned abandoned; /* were in flight when their ring was closed */
    unsigned peers;     /* connections and listeners of the test side */
    unsigned held;      /* requests kept by sim_hold() */
    unsigned unused;    /* sim_fail_next() and the like that met no request */
    unsigned threads;   /* ended and not joined; one that has not ended aborts */
};

struct sim_stats {
    uint64_t enters;
    uint64_t waits;        /* enters that found too little and let time pass */
    uint64_t jumps;        /* times the clock was moved by a wait */
    uint64_t sqes;         /* consumed */
    uint64_t cqes;         /* posted, those of the backlog included */
    uint64_t overflows;    /* CQEs that went to the backlog first */
    uint64_t cancels_lost; /* by the fault cancel_loses */
    uint64_t faults;       /* of all kinds, the targeted ones included */
    uint32_t in_flight;    /* now */
    uint32_t in_flight_max;
    uint32_t descriptors; /* open now */
    uint32_t descriptors_max;
    uint64_t by_opcode[64]; /* SQEs consumed */
};

/* ---- life cycle ---- */

/* One at a time. Prints the seed when the process aborts before sim_end(). */
void sim_begin(const struct sim_config *config);

/*
 * Gives everything back. Returns the sum of all fields of `leaks` and reports
 * each leak to stderr; `out_leaks` may be NULL.
 */
unsigned sim_end(struct sim_leaks *out_leaks);

/* Ready-made trouble: delays of 0..100 us, steps up to 2 us, every fault at 10..50 per mille. */
struct sim_config sim_config_chaos(uint64_t seed);

bool sim_is_active(void);
uint64_t sim_seed(void);
const struct sim_stats *sim_stats(void);
uint64_t sim_trace_hash(void);  /* of all SQEs, CQEs, faults and times so far; no addresses */
void sim_print_in_flight(void); /* to stderr */

/* ---- time ---- */

rt_time sim_now(void);
void sim_advance(rt_time ns); /* what falls due on the way happens at its own time */
void sim_sleep(rt_time ns);   /* of a thread of the test: others run meanwhile */
rt_time sim_next_event(void); /* RT_NEVER when nothing is due */
bool sim_step(void);          /* to the next event and past it; false: there is none */

/* Call `hook` when the clock reaches `time`. It may use sim_* but not the code under test. */
void sim_at(rt_time time, void (*hook)(void *arg), void *arg);

/* ---- threads ---- */

/* Another thread may go on here. Each call of the seam is such a point too. */
void sim_point(void);

unsigned sim_thread_count(void); /* not joined yet; the one that began the sim counts */

/* ---- rings ---- */

unsigned sim_ring_count(void);
unsigned sim_ring_owed(int ring_fd);      /* CQEs at S3: done but not visible, backlog included */
unsigned sim_ring_in_flight(int ring_fd); /* requests at S2 and S3 */
cpu_set_t sim_ring_worker_cpus(int ring_fd); /* as set by IORING_REGISTER_IOWQ_AFF; none: never */

uint64_t sim_locked_bytes(void); /* of buffers that are registered with a ring */

/* Make all CQEs at S3 of every ring visible (S4) without an enter. */
void sim_post(void);

/* ---- faults on purpose ---- */

#define SIM_ANY     (-1)
#define SIM_NATURAL INT32_MAX /* the result that the request would have had */

enum sim_stage {
    SIM_QUEUED,  /* S2, can be cancelled: cancel answers 0, the request -ECANCELED */
    SIM_RUNNING, /* S2, cannot be cancelled: -EALREADY */
    SIM_DONE,    /* S3 for a cancel (-ENOENT), yet no CQE comes before sim_release() */
};

/* The next request of the opcode ends with `result` and does nothing. In order of the calls. */
void sim_fail_next(int opcode, int result);

/* The next READ, WRITE, RECV or SEND moves at most `bytes` (more than 0). */
void sim_short_next(int opcode, unsigned bytes);

/* The next cancel loses: answer `answer` (-EALREADY or -ENOENT), the request goes on. */
void sim_lose_next_cancel(int answer);

/* The next enter returns `result` and does nothing else. */
void sim_fail_next_enter(int result);

/* The next enter that submits consumes at most `count` SQEs. */
void sim_limit_next_submit(unsigned count);

/*
 * Keep requests of this opcode (or SIM_ANY) at a stage: those submitted from now on, and
 * those in flight at S2. Ends with sim_unhold(); what is held stays held.
 */
void sim_hold(int opcode, enum sim_stage stage);
void sim_hold_user_data(uint64_t user_data, enum sim_stage stage);
void sim_unhold(void);
unsigned sim_held(int opcode);
uint64_t sim_held_user_data(unsigned index); /* oldest first; 0: there are not so many */

/*
 * Move held requests on to S3: at most `count`, oldest first, with `result`, or SIM_NATURAL.
 * A socket request released with SIM_NATURAL waits for its socket again. Returns how many.
 */
unsigned sim_release(int opcode, unsigned count, int result);
unsigned sim_release_user_data(uint64_t user_data, int result);

/* ---- files: a flat set of paths ---- */

void sim_file_put(const char *path, const void *bytes, size_t count);
/* The content; NULL when there is no such file. Valid until the next change of the file. */
const void *sim_file_get(const char *path, size_t *out_count);
void sim_file_remove(const char *path);
unsigned sim_file_count(void); /* names that there are */

/* From now on a transfer of this file on a polled ring ends with -EOPNOTSUPP, and does nothing. */
void sim_file_refuse_polls(const char *path);

/*
 * The power fails just before the n-th operation that opens, writes or syncs (1: the next one).
 * What the disk holds then is kept, drawn by the seed, and `hook` is called; what runs on is of
 * no account. In the next run sim_disk_restore() puts it in place, durable. With config.disk.
 *
 * All files are in one directory: ".", opened with O_DIRECTORY.
 */
void sim_disk_cut_before(uint64_t operation, void (*hook)(void *arg), void *arg);
void sim_disk_cut(void); /* now */
void sim_disk_restore(void);

/* ---- the other side of connections: a peer that needs no ring ---- */

/* Connect to a listener of the code under test. A peer >= 0, -ECONNREFUSED, -EAGAIN (backlog). */
int sim_peer_connect(const struct sockaddr *address, socklen_t bytes);

/* Listen, for code under test that connects. Port 0 is replaced in `address`. Take connections. */
int sim_peer_listen(struct sockaddr *address, socklen_t bytes, int backlog);
int sim_peer_accept(int listener); /* a peer, or -EAGAIN */

/* Count moved, -EAGAIN (no room, no data), 0 = end of stream, -EPIPE, -ECONNRESET. */
ssize_t sim_peer_send(int peer, const void *bytes, size_t count);
ssize_t sim_peer_recv(int peer, void *bytes, size_t count);
void sim_peer_shutdown(int peer); /* FIN: sends no more, still receives */
void sim_peer_close(int peer);    /* also of a listener */
void sim_peer_reset(int peer);    /* RST, and closed */

#endif /* RT_TEST_SIM_H */
