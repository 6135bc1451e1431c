/* SPDX-License-Identifier: MIT */
/*
 * Sim, streams: the bytes, FINs and RSTs between two joined sockets.
 *
 * Each end owns what has arrived for it. `peer` is NULL once the other end is
 * closed; an end that is closed with unread bytes sends RST instead of FIN.
 * After RST, bytes that had arrived can still be read, then the error is taken
 * by the first call that meets it.
 */
#include "sim_internal.h"

#include <errno.h>
#include <string.h>

void sim_stream_join(struct sim_socket *one, struct sim_socket *other)
{
    one->inbound = sim_alloc(sim.stream_bytes);
    other->inbound = sim_alloc(sim.stream_bytes);
    one->peer = other;
    other->peer = one;
    one->state = SIM_SOCKET_CONNECTED;
    other->state = SIM_SOCKET_CONNECTED;
}

size_t sim_stream_room(const struct sim_socket *socket)
{
    if (socket->state != SIM_SOCKET_CONNECTED || socket->fin_sent || socket->is_reset) {
        return 0;
    }
    if (socket->peer == NULL) {
        return sim.stream_bytes; /* the network takes it; RST is the answer */
    }
    return sim.stream_bytes - socket->peer->inbound_count;
}

static int take_error(struct sim_socket *socket)
{
    int error = socket->error;

    socket->error = 0;
    return error;
}

static void copy_out(struct sim_socket *socket, uint8_t *bytes, size_t count)
{
    size_t first = sim.stream_bytes - socket->inbound_head;

    if (first > count) {
        first = count;
    }
    memcpy(bytes, socket->inbound + socket->inbound_head, first);
    memcpy(bytes + first, socket->inbound, count - first);
}

int32_t sim_stream_recv(struct sim_socket *socket, uint8_t *bytes, size_t count, bool peek)
{
    if (socket->state != SIM_SOCKET_CONNECTED) {
        return -ENOTCONN;
    }
    if (count == 0) {
        return 0;
    }
    if (socket->inbound_count == 0) {
        if (socket->error != 0 && !socket->fin_received) {
            return take_error(socket);
        }
        return socket->fin_received || socket->read_shut || socket->is_reset ? 0 : SIM_WAIT;
    }
    if (count > socket->inbound_count) {
        count = socket->inbound_count;
    }
    copy_out(socket, bytes, count);
    if (!peek) {
        socket->inbound_head = (socket->inbound_head + count) % sim.stream_bytes;
        socket->inbound_count -= count;
        if (socket->peer != NULL) {
            sim_object_changed(&socket->peer->object);
        }
    }
    return (int32_t)count;
}

/* `socket` gets an RST. */
static void receive_reset(struct sim_socket *socket)
{
    socket->peer = NULL;
    socket->is_reset = true;
    socket->error = socket->fin_received ? -EPIPE : -ECONNRESET;
    sim_object_changed(&socket->object);
}

int32_t sim_stream_send(struct sim_socket *socket, const uint8_t *bytes, size_t count)
{
    struct sim_socket *peer = socket->peer;
    size_t room = sim_stream_room(socket);
    size_t tail;
    size_t first;

    if (socket->error != 0) {
        return take_error(socket);
    }
    if (socket->state != SIM_SOCKET_CONNECTED || socket->fin_sent || socket->is_reset) {
        return -EPIPE;
    }
    if (count == 0) {
        return 0;
    }
    if (room == 0) {
        return SIM_WAIT;
    }
    if (count > room) {
        count = room;
    }
    if (peer == NULL) { /* goes out; nobody is there, so RST comes back */
        receive_reset(socket);
        return (int32_t)count;
    }
    tail = (peer->inbound_head + peer->inbound_count) % sim.stream_bytes;
    first = sim.stream_bytes - tail < count ? sim.stream_bytes - tail : count;
    memcpy(peer->inbound + tail, bytes, first);
    memcpy(peer->inbound, bytes + first, count - first);
    peer->inbound_count += count;
    sim_object_changed(&peer->object);
    return (int32_t)count;
}

void sim_stream_finish(struct sim_socket *socket)
{
    if (socket->fin_sent) {
        return;
    }
    socket->fin_sent = true;
    if (socket->peer != NULL) {
        socket->peer->fin_received = true;
        sim_object_changed(&socket->peer->object);
    }
}

void sim_stream_reset(struct sim_socket *socket)
{
    struct sim_socket *peer = socket->peer;

    socket->is_reset = true;
    socket->peer = NULL;
    if (peer != NULL) {
        receive_reset(peer);
    }
}

void sim_stream_break(struct sim_socket *socket)
{
    sim_stream_reset(socket);
    sim_object_changed(&socket->object);
}

void sim_stream_closed(struct sim_socket *socket)
{
    struct sim_socket *peer = socket->peer;

    if (peer == NULL) {
        return;
    }
    if (socket->inbound_count > 0 || socket->linger_reset) {
        sim_stream_reset(socket);
        return;
    }
    socket->peer = NULL;
    peer->peer = NULL;
    if (!peer->fin_received) {
        peer->fin_received = true;
    }
    sim_object_changed(&peer->object);
}
