/* SPDX-License-Identifier: MIT */
/*
 * Peers of rt-bench: programs that do the work of its rows with another library.
 * What is common to those in C and C++: the command line, the protocol with
 * rt-bench, the clock. README.md says what is spoken.
 *
 * A row is a function that is called once per repetition, on the first CPU. It
 * sets up what it needs, threads too, does a tenth of the work untimed, does the
 * work between peer_begin() and peer_end(), and puts everything away. So between
 * repetitions nothing is left that could use a CPU.
 */
#ifndef PEERS_PEER_H
#define PEERS_PEER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PEER_OTHERS      10000              /* timers armed beside row timer_arm */
#define PEER_FAR_NS      INT64_C(10000000000) /* the deadline of row timer_arm, from now */
#define PEER_OTHERS_NS   INT64_C(60000000000) /* the first deadline of the others; 1 ms between */
#define PEER_BATCH       20000              /* tasks of row spawn_batch: always all of them */
#define PEER_STACK_BYTES 16384              /* of a task of spawn_batch: the smallest of shardrt */
#define PEER_IN_FLIGHT   64                 /* calls of row xcore_call64 */
#define PEER_CAPACITY    1024               /* items in a queue of xcore_stream and chan_local */
#define PEER_SLEEPERS    100000             /* of row sleep_many */
#define PEER_WARM_UP_NS  150000000          /* of it: all have slept once */
#define PEER_WINDOW_NS   100000000          /* of it: what is measured */
#define PEER_TASKS       8                  /* that take turns in row mutex */
#define PEER_ASLEEP_NS   200000             /* for so long the receiver of xcore_wake sleeps */

/* One repetition. */
struct peer_run {
    uint64_t units;
    int cpus[2]; /* the second is -1 in a row of one core */
    int64_t start;
    double ns; /* per unit: the answer */
};

/* A row has either `run` or `serve`. */
struct peer_row {
    const char *name; /* of rt-bench's row */
    void (*run)(struct peer_run *run);
    /* tcp_echo: echo on every connection that `listener` gets, for ever. Called once, on the first
     * CPU; the client is a process on the second, and ends this one. */
    void (*serve)(int listener);
    bool pair;
};

/* The whole of main(). `version` names the library: "libuv 1.44.2". Returns the exit status. */
int peer_main(int argc, char **argv, const char *version, const struct peer_row *rows,
              size_t count);

/* Answer line after line of units until the end of input. Fails when a line is no number. */
void peer_answer(struct peer_run *run, void (*repeat)(struct peer_run *run));

/* Say why on standard error, with the program's name, and end with status 1. */
__attribute__((noreturn, format(printf, 1, 2))) void peer_fail(const char *format, ...);

/* CLOCK_MONOTONIC, in ns. */
int64_t peer_now(void);

/* Around the work that is timed. */
void peer_begin(struct peer_run *run);
void peer_end(struct peer_run *run, uint64_t units);

/* The same of the process's CPU time, for work that mostly waits. */
void peer_cpu_begin(struct peer_run *run);
void peer_cpu_end(struct peer_run *run, uint64_t units);

/* How long a task of sleep_many sleeps: 1 to 100 ms, the same numbers every time. */
int64_t peer_sleep_ns(uint64_t *random);

/* A thread on `cpu`. It is joined before the repetition ends. */
pthread_t peer_thread(int cpu, void *(*fn)(void *), void *arg);
void peer_join(pthread_t thread);

/* Zeroed memory for `count` things; fails when there is none. */
void *peer_memory(size_t count, size_t bytes);

/*
 * Row xcore_wake, all but the wake: calls send(arg), which makes the sleeping receiver store
 * peer_now() in *arrived, and waits for that without sleeping. Once per unit, after 200 us in which
 * the receiver went to sleep; the answer is the median of the time from before send().
 */
void peer_wakes(struct peer_run *run, int64_t *arrived, void (*send)(void *arg), void *arg);

#ifdef __cplusplus
}
#endif

#endif /* PEERS_PEER_H */
