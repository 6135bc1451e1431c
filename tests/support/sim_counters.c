/* SPDX-License-Identifier: MIT */
/* Sim, event counters: eventfd(2), not blocking. A signal is seen by the polls that wait for it. */
#include "sim_internal.h"

#include <errno.h>

#include "os/sys.h"

int __real_rti_sys_eventfd(void);
int __wrap_rti_sys_eventfd(void);
int __real_rti_sys_eventfd_signal(int fd);
int __wrap_rti_sys_eventfd_signal(int fd);
int __real_rti_sys_eventfd_take(int fd);
int __wrap_rti_sys_eventfd_take(int fd);
int __real_rti_sys_await_readable(int fd);
int __wrap_rti_sys_await_readable(int fd);

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

int __wrap_rti_sys_eventfd_take(int fd)
{
    struct sim_counter *counter;

    if (!sim.is_active) {
        return __real_rti_sys_eventfd_take(fd);
    }
    sim_point();
    counter = counter_of(fd);
    if (counter == NULL) {
        return -EBADF;
    }
    if (counter->count == 0) {
        return -EAGAIN;
    }
    counter->count = 0;
    sim_object_changed(&counter->object); /* one can write again: polls for POLLOUT */
    sim_settle();
    return 0;
}

static bool is_signalled(void *counter)
{
    return ((const struct sim_counter *)counter)->count > 0;
}

int __wrap_rti_sys_await_readable(int fd)
{
    struct sim_wait wait = { .what = "an event counter",
                             .is_over = is_signalled,
                             .deadline = RT_NEVER,
                             .may_be_interrupted = true };
    struct sim_counter *counter;
    int r;

    if (!sim.is_active) {
        return __real_rti_sys_await_readable(fd);
    }
    sim_point();
    counter = counter_of(fd);
    RTI_ASSERT(counter != NULL); /* nothing else is waited for in this way */
    counter->object.refs++;
    wait.arg = counter;
    r = sim_thread_wait(&wait);
    sim_object_put(&counter->object);
    return r;
}
