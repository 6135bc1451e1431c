/* SPDX-License-Identifier: MIT */
/* The initializer macros are C; this is that they are C++17 too. Compiled, never run. */
#include "rt/rt.h"

extern rt_config config;
extern rt_spawn_options spawn_options;
extern rt_tcp_options tcp_options;
extern rt_deadline_options deadline_options;
extern rt_mesh_options mesh_options;
extern rt_group group;
extern rt_group limited_group;
extern rt_future future;
extern rt_small_future small_future;
extern rt_oneshot oneshot;
extern rt_mutex mutex;
extern rt_condition condition;
extern rt_rwlock rwlock;
extern rt_semaphore semaphore;
extern rt_event event;
extern rt_gate gate;
extern rt_once once;

rt_config config = RT_CONFIG_INIT;
rt_spawn_options spawn_options = RT_SPAWN_OPTIONS_INIT;
rt_tcp_options tcp_options = RT_TCP_OPTIONS_INIT;
rt_file_options file_options = RT_FILE_OPTIONS_INIT;
rt_deadline_options deadline_options = RT_DEADLINE_OPTIONS_INIT;
rt_mesh_options mesh_options = RT_MESH_OPTIONS_INIT;
rt_group group = RT_GROUP_INIT;
rt_group limited_group = RT_GROUP_INIT_WITH(16, RT_GROUP_CANCEL_ON_FAILURE);
rt_future future = RT_FUTURE_INIT(nullptr, nullptr);
rt_small_future small_future = RT_SMALL_FUTURE_INIT(nullptr, nullptr);
rt_oneshot oneshot = RT_ONESHOT_INIT;
rt_mutex mutex = RT_MUTEX_INIT;
rt_condition condition = RT_CONDITION_INIT;
rt_rwlock rwlock = RT_RWLOCK_INIT;
rt_semaphore semaphore = RT_SEMAPHORE_INIT(2);
rt_event event = RT_EVENT_INIT;
rt_gate gate = RT_GATE_INIT;
rt_once once = RT_ONCE_INIT;
