/* SPDX-License-Identifier: MIT */
/* Port: see port.h. */
#include "cross/port.h"

#include "os/mem.h"
#include "os/sys.h"

static void init_outlet(struct rti_outlet *outlet, struct rti_ring *ring, uint32_t to)
{
    rti_list_init(&outlet->link);
    outlet->ring = ring;
    outlet->to = to;
}

static uint32_t power_of_two(uint32_t count)
{
    uint32_t power = 1;

    while (power < count) {
        power *= 2;
    }
    return power;
}

struct rti_port *rti_port_create(uint32_t from, uint32_t to, uint32_t entries, uint32_t posts_max,
                                 int node)
{
    struct rti_port *port = rti_sys_alloc(sizeof(*port));

    if (port == NULL) {
        return NULL;
    }
    port->from = from;
    port->to = to;
    port->entries = entries;
    port->node = node;
    port->posts_max = posts_max;
    port->posts_mask = power_of_two(posts_max) - 1;
    rti_ring_init(&port->requests, entries);
    rti_ring_init(&port->replies, entries);
    init_outlet(&port->sender.outlet, &port->requests, to);
    init_outlet(&port->receiver.outlet, &port->replies, from);
    rti_list_init(&port->sender.room_waiters);
    rti_list_init(&port->sender.credit_waiters);
    rti_list_init(&port->receiver.work_link);
    rti_list_init(&port->receiver.starved_link);
    port->receiver.late_end = &port->receiver.late;
    port->request_slots = rti_mem_alloc_near(entries * sizeof(struct rti_request), node);
    port->reply_slots = rti_sys_alloc(entries * sizeof(struct rti_reply));
    port->posts = rti_sys_alloc(((size_t)port->posts_mask + 1) * sizeof(struct rti_request));
    if (port->request_slots == NULL || port->reply_slots == NULL || port->posts == NULL) {
        rti_port_destroy(port);
        return NULL;
    }
    return port;
}

void rti_port_destroy(struct rti_port *port)
{
    if (port == NULL) {
        return;
    }
    rti_mem_free_near(port->request_slots, port->entries * sizeof(struct rti_request), port->node);
    rti_sys_free(port->reply_slots);
    rti_sys_free(port->posts);
    rti_sys_free(port);
}
