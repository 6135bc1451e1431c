/* SPDX-License-Identifier: MIT */
/* Sim, event counters: eventfd(2), not blocking. A signal is seen by the polls that wait for it. */
#include "sim_internal.h"

#include <errno.h>

#include "os/sys.h"

int __real_rti_sys_eventfd(void);
int __wrap_rti_sys_eventfd(void);
int __real_rti_sys_eventfd_signal(int fd);
int __wrap_rti_sys_eventfd_signal(int fd);

static struct sim_counter *counter_of(int fd)
{
    struct sim_object *object = sim_fd_object(fd);

    return object != NULL && object->kind == SIM_KIND_COUNTER
               ? RTI_CONTAINER_OF(object, struct sim_counter, object)
               : NULL;
}

int __wrap_rti_sys_eventfd(void)
{
    struct sim_counter *counter;

    if (!sim.is_active) {
        return __real_rti_sys_eventfd();
    }
    counter = sim_alloc(sizeof(*counter));
    counter->object.kind = SIM_KIND_COUNTER;
    counter->object.refs = 1;
    rti_list_init(&counter->object.waiters);
    return sim_fd_install(&counter->object);
}

int __wrap_rti_sys_eventfd_signal(int fd)
{
    struct sim_counter *counter;

    if (!sim.is_active) {
        return __real_rti_sys_eventfd_signal(fd);
    }
    sim_point();
    counter = counter_of(fd);
    sim_trace("signal(%d)%s", fd, counter == NULL ? ": no counter" : "");
    if (counter == NULL) {
        return -EBADF;
    }
    counter->count++;
    sim_object_changed(&counter->object);
    sim_settle();
    return 0;
}
