/* SPDX-License-Identifier: MIT */
/* Sim, peers: sockets that the test itself holds, outside of any ring and without delay. */
#include "sim_internal.h"

#include <errno.h>

static int peer_add(struct sim_socket *socket)
{
    socket->is_test_side = true;
    sim.peers = realloc(sim.peers, (sim.peer_count + 1) * sizeof(struct sim_socket *));
    RTI_ASSERT(sim.peers != NULL);
    sim.peers[sim.peer_count] = socket;
    return (int)sim.peer_count++;
}

static struct sim_socket *peer_at(int peer)
{
    RTI_ASSERT(sim.is_active && peer >= 0 && (unsigned)peer < sim.peer_count &&
               sim.peers[peer] != NULL);
    return sim.peers[peer];
}

static void peer_remove(int peer)
{
    struct sim_socket *socket = peer_at(peer);

    sim.peers[peer] = NULL; /* numbers are not used again */
    sim_object_put(&socket->object);
    sim_settle();
}

int sim_peer_connect(const struct sockaddr *address, socklen_t bytes)
{
    struct sim_address target;
    struct sim_socket *socket;
    int r;

    RTI_ASSERT(sim.is_active && sim_address_read(&target, address, bytes));
    socket = sim_socket_new(target.family);
    r = sim_socket_connect(socket, &target);
    if (r < 0) {
        sim_object_put(&socket->object);
        return r == SIM_WAIT ? -EAGAIN : r;
    }
    sim_settle();
    return peer_add(socket);
}

int sim_peer_listen(struct sockaddr *address, socklen_t bytes, int backlog)
{
    struct sim_address wanted;
    struct sim_socket *socket;
    int r;

    RTI_ASSERT(sim.is_active && sim_address_read(&wanted, address, bytes));
    socket = sim_socket_new(wanted.family);
    r = sim_socket_bind(socket, &wanted);
    if (r == 0) {
        r = sim_socket_listen(socket, backlog);
    }
    if (r < 0) {
        sim_object_put(&socket->object);
        return r;
    }
    sim_address_write(&socket->local, address, &bytes);
    return peer_add(socket);
}

int sim_peer_accept(int listener)
{
    int error = 0;
    struct sim_socket *socket = sim_socket_accept(peer_at(listener), &error);

    sim_settle();
    if (socket == NULL) {
        return error == SIM_WAIT ? -EAGAIN : error;
    }
    return peer_add(socket);
}

ssize_t sim_peer_send(int peer, const void *bytes, size_t count)
{
    int32_t r = sim_stream_send(peer_at(peer), bytes, count);

    sim_trace("peer%d send(%zu) = %d", peer, count, r == SIM_WAIT ? -EAGAIN : r);
    sim_settle();
    return r == SIM_WAIT ? -EAGAIN : r;
}

ssize_t sim_peer_recv(int peer, void *bytes, size_t count)
{
    int32_t r = sim_stream_recv(peer_at(peer), bytes, count, false);

    sim_trace("peer%d recv(%zu) = %d", peer, count, r == SIM_WAIT ? -EAGAIN : r);
    sim_settle();
    return r == SIM_WAIT ? -EAGAIN : r;
}

void sim_peer_shutdown(int peer)
{
    sim_trace("peer%d shutdown", peer);
    sim_stream_finish(peer_at(peer));
    sim_settle();
}

void sim_peer_close(int peer)
{
    sim_trace("peer%d close", peer);
    peer_remove(peer);
}

void sim_peer_reset(int peer)
{
    sim_trace("peer%d reset", peer);
    sim_stream_reset(peer_at(peer));
    peer_remove(peer);
}

void sim_peers_end(unsigned *out_count)
{
    *out_count = 0;
    for (unsigned i = 0; i < sim.peer_count; i++) {
        if (sim.peers[i] != NULL) {
            (*out_count)++;
            sim_object_put(&sim.peers[i]->object);
        }
    }
    free(sim.peers);
    sim.peers = NULL;
}
