/* SPDX-License-Identifier: MIT */
/* Files, polled: whether a file that asks for it is, and what the log says where it is not. */
#include <string.h>

#include "io/file.h"
#include "os/features.h"

static const char *cure_of(const struct rti_reactor *reactor, int error)
{
    if ((reactor->disabled & RTI_FEATURE_IOPOLL) != 0) {
        return "RT_DISABLE or config.disable turns it off";
    }
    return error == -ENOMEM ? "raise RLIMIT_MEMLOCK (ulimit -l)"
                            : "this kernel cannot, or a filter forbids it";
}

/* Tried anew for each file, for memory comes and goes; said when the reason is another one. */
static void explain_ring(struct rti_executor *executor, int error)
{
    struct rti_reactor *reactor = &executor->reactor;

    if (error != reactor->polled_error) {
        reactor->polled_error = error;
        rti_log(&executor->log, RT_LOG_WARNING,
                "no ring to poll devices (%s): %s; files that ask for it go by interrupts",
                strerrorname_np(-error), cure_of(reactor, error));
    }
}

void rti_file_want_polls(struct rt_file *file)
{
    struct rti_executor *executor = file->handle.executor;
    int r;

    if (rti_file_is_direct(file)) {
        r = rti_polled_open(&executor->reactor);
        file->polls = r == 0;
        if (r < 0) {
            explain_ring(executor, r);
        }
    }
    executor->reactor.polls_refused += !file->polls;
}

void rti_file_polls_refused(struct rt_file *file)
{
    struct rti_executor *executor = file->handle.executor;
    struct rti_device *device = file->device;

    if (!file->polls) {
        return; /* another of its transfers came before */
    }
    file->polls = false;
    executor->reactor.polls_refused++;
    if (!device->refusal_told) {
        device->refusal_told = true;
        rti_log(&executor->log, RT_LOG_WARNING,
                "device %u:%u cannot be polled (EOPNOTSUPP), its files that ask for it go by "
                "interrupts: it has no poll queues (an NVMe disk has with nvme.poll_queues=N, a "
                "virtio one with virtio_blk.poll_queues=N, on the kernel's command line), or the "
                "file system cannot",
                (unsigned)(device->number >> 32), (unsigned)device->number);
    }
}
