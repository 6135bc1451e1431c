/* SPDX-License-Identifier: MIT */
/* Task queue: the cold half, making room. */
#include "core/taskq.h"

#include <errno.h>
#include <stddef.h>

#include "os/sys.h"

#define ENTRIES_FIRST 64u

int rti_taskq_init(struct rti_taskq *queue, const char *name)
{
    *queue = (struct rti_taskq){ .name = name, .mask = ENTRIES_FIRST - 1 };
    queue->ring = rti_sys_alloc(ENTRIES_FIRST * sizeof(struct rt_task *));
    return queue->ring == NULL ? -ENOMEM : 0;
}

void rti_taskq_fini(struct rti_taskq *queue)
{
    rti_sys_free(queue->ring);
    queue->ring = NULL;
}

int rti_taskq_grow(struct rti_taskq *queue)
{
    const uint32_t entries = (queue->mask + 1) * 2;
    const uint32_t length = rti_taskq_length(queue);
    struct rt_task **ring = rti_sys_alloc(entries * sizeof(struct rt_task *));

    if (ring == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < length; i++) {
        ring[i] = queue->ring[(queue->head + i) & queue->mask];
    }
    rti_sys_free(queue->ring);
    queue->ring = ring;
    queue->mask = entries - 1;
    queue->head = 0;
    queue->tail = length;
    return 0;
}
