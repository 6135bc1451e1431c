/* SPDX-License-Identifier: MIT */
/* Time: the public clock. */
#include "rt/timer.h"

#include "core/executor.h"
#include "os/sys.h"

rt_time rt_now(void)
{
    return rti_sys_now();
}

rt_time rt_turn_time(void)
{
    RTI_ASSERT(rti_current != NULL);
    return rti_current->turn_time;
}

rt_time rt_in(rt_time duration)
{
    return rti_time_add(rti_sys_now(), duration);
}
