/* SPDX-License-Identifier: MIT */
/* The initializer macros are C; this is that they are C++17 too. Compiled, never run. */
#include "rt/rt.h"

extern rt_config config;
extern rt_spawn_options spawn_options;
extern rt_tcp_options tcp_options;
extern rt_group group;
extern rt_oneshot oneshot;

rt_config config = RT_CONFIG_INIT;
rt_spawn_options spawn_options = RT_SPAWN_OPTIONS_INIT;
rt_tcp_options tcp_options = RT_TCP_OPTIONS_INIT;
rt_group group = RT_GROUP_INIT;
rt_oneshot oneshot = RT_ONESHOT_INIT;
