/* SPDX-License-Identifier: MIT */
/*
 * The rows that rt-bench has, one array per file of this folder. A row's work is
 * described in its file, once for the runtime and its limit where their calls
 * have one shape.
 */
#ifndef BENCH_ROWS_ROWS_H
#define BENCH_ROWS_ROWS_H

#include <rt/bench.h>
#include <stddef.h>

extern const struct rt_bench_row bench_rows_core[]; /* yield2, yield1k, spawn_join, timer_arm */
extern const size_t bench_rows_core_count;

extern const struct rt_bench_row bench_rows_tasks[]; /* future_wake, group_spawn_wait, ... */
extern const size_t bench_rows_tasks_count;

extern const struct rt_bench_row bench_rows_queues[]; /* queue_switch, should_yield */
extern const size_t bench_rows_queues_count;

extern const struct rt_bench_row bench_rows_locks[]; /* mutex, mutex1, semaphore, rwlock */
extern const size_t bench_rows_locks_count;

extern const struct rt_bench_row bench_rows_channels[]; /* chan_local, pingpong_local, ... */
extern const size_t bench_rows_channels_count;

extern const struct rt_bench_row bench_rows_time[]; /* late_sleep, timer_arm_1m, sleep_many */
extern const size_t bench_rows_time_count;

extern const struct rt_bench_row bench_rows_xcore[]; /* xcore_rtt, xcore_stream, ... */
extern const size_t bench_rows_xcore_count;

extern const struct rt_bench_row bench_rows_foreign[]; /* foreign_submit, foreign_submit64 */
extern const size_t bench_rows_foreign_count;

extern const struct rt_bench_row bench_rows_service[]; /* service_call, service_call64 */
extern const size_t bench_rows_service_count;

extern const struct rt_bench_row bench_rows_batch[]; /* spawn_batch, spawn_batch_1m, ... */
extern const size_t bench_rows_batch_count;

extern const struct rt_bench_row bench_rows_nop[]; /* uring_nop, uring_nop1 */
extern const size_t bench_rows_nop_count;

extern const struct rt_bench_row bench_rows_file[]; /* file_randread ..._fixed ..._buffered */
extern const size_t bench_rows_file_count;

extern const struct rt_bench_row bench_rows_stream[]; /* reader_stream, writer_stream, ... */
extern const size_t bench_rows_stream_count;

extern const struct rt_bench_row bench_rows_read_many[]; /* read_many, read_many_direct */
extern const size_t bench_rows_read_many_count;

extern const struct rt_bench_row bench_rows_names[]; /* name_open, file_stat, file_load, ... */
extern const size_t bench_rows_names_count;

extern const struct rt_bench_row bench_rows_blocking[]; /* blocking, list_1000 */
extern const size_t bench_rows_blocking_count;

extern const struct rt_bench_row bench_rows_echo[]; /* tcp_echo */
extern const size_t bench_rows_echo_count;

extern const struct rt_bench_row bench_rows_start[]; /* start_stop */
extern const size_t bench_rows_start_count;

#endif /* BENCH_ROWS_ROWS_H */
