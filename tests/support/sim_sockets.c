/* SPDX-License-Identifier: MIT */
/*
 * Sim, sockets: TCP over IPv4 and IPv6, as far as a listener and a client need it.
 *
 * A connection exists as soon as its listener has room in the backlog: before
 * it is accepted, both ends are joined and bytes may flow, as in Linux. All is
 * delivered at once; time passes only in the requests that wait for it.
 */
#include "sim_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>

#include "os/sys.h"

#define BACKLOG_MAX 4096 /* net.core.somaxconn */
#define PORT_FIRST  32768
#define PORT_LAST   60999

int __real_rti_sys_socket(int domain, int type, int protocol);
int __wrap_rti_sys_socket(int domain, int type, int protocol);
int __real_rti_sys_bind(int fd, const struct sockaddr *address, socklen_t bytes);
int __wrap_rti_sys_bind(int fd, const struct sockaddr *address, socklen_t bytes);
int __real_rti_sys_listen(int fd, int backlog);
int __wrap_rti_sys_listen(int fd, int backlog);
int __real_rti_sys_setsockopt(int fd, int level, int option, const void *value, socklen_t bytes);
int __wrap_rti_sys_setsockopt(int fd, int level, int option, const void *value, socklen_t bytes);
int __real_rti_sys_getsockopt(int fd, int level, int option, void *value, socklen_t *bytes);
int __wrap_rti_sys_getsockopt(int fd, int level, int option, void *value, socklen_t *bytes);
int __real_rti_sys_poll(int fd, unsigned events);
int __wrap_rti_sys_poll(int fd, unsigned events);
int __real_rti_sys_getsockname(int fd, struct sockaddr *address, socklen_t *bytes);
int __wrap_rti_sys_getsockname(int fd, struct sockaddr *address, socklen_t *bytes);
int __real_rti_sys_getpeername(int fd, struct sockaddr *address, socklen_t *bytes);
int __wrap_rti_sys_getpeername(int fd, struct sockaddr *address, socklen_t *bytes);

/* ---- addresses ---- */

bool sim_address_read(struct sim_address *out, const struct sockaddr *address, socklen_t bytes)
{
    memset(out, 0, sizeof(*out));
    if (bytes < sizeof(sa_family_t)) {
        return false;
    }
    memcpy(&out->family, address, sizeof(out->family));
    if (out->family == AF_INET && bytes >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in in;

        memcpy(&in, address, sizeof(in));
        out->port = ntohs(in.sin_port);
        memcpy(out->bytes, &in.sin_addr, sizeof(in.sin_addr));
        return true;
    }
    if (out->family == AF_INET6 && bytes >= sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 in6;

        memcpy(&in6, address, sizeof(in6));
        out->port = ntohs(in6.sin6_port);
        memcpy(out->bytes, &in6.sin6_addr, sizeof(in6.sin6_addr));
        return true;
    }
    return false;
}

void sim_address_write(const struct sim_address *from, struct sockaddr *out, socklen_t *bytes)
{
    union {
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } value;
    socklen_t length;

    memset(&value, 0, sizeof(value));
    if (from->family == AF_INET6) {
        value.in6.sin6_family = AF_INET6;
        value.in6.sin6_port = htons(from->port);
        memcpy(&value.in6.sin6_addr, from->bytes, sizeof(value.in6.sin6_addr));
        length = sizeof(value.in6);
    } else {
        value.in.sin_family = AF_INET;
        value.in.sin_port = htons(from->port);
        memcpy(&value.in.sin_addr, from->bytes, sizeof(value.in.sin_addr));
        length = sizeof(value.in);
    }
    memcpy(out, &value, *bytes < length ? *bytes : length);
    *bytes = length;
}

static bool is_wildcard(const struct sim_address *address)
{
    static const uint8_t zero[16];

    return memcmp(address->bytes, zero, sizeof(zero)) == 0;
}

static bool covers(const struct sim_address *bound, const struct sim_address *address)
{
    return bound->family == address->family && bound->port == address->port &&
           (is_wildcard(bound) || is_wildcard(address) ||
            memcmp(bound->bytes, address->bytes, sizeof(bound->bytes)) == 0);
}

/* ---- life ---- */

struct sim_socket *sim_socket_new(sa_family_t family)
{
    struct sim_socket *socket = sim_alloc(sizeof(*socket));

    socket->object.kind = SIM_KIND_SOCKET;
    socket->object.refs = 1;
    rti_list_init(&socket->object.waiters);
    rti_list_init(&socket->in_queue);
    rti_list_init(&socket->backlog);
    rti_list_push_back(&sim.sockets, &socket->in_sim);
    socket->family = family;
    socket->local.family = family;
    return socket;
}

int sim_socket_open(int domain, int type, int protocol)
{
    struct sim_socket *socket;

    if (domain != AF_INET && domain != AF_INET6) {
        return -EAFNOSUPPORT;
    }
    if ((type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) != SOCK_STREAM ||
        (protocol != 0 && protocol != IPPROTO_TCP)) {
        return -EPROTONOSUPPORT;
    }
    socket = sim_socket_new((sa_family_t)domain);
    socket->is_nonblock = (type & SOCK_NONBLOCK) != 0;
    return sim_fd_install(&socket->object);
}

static void drop_backlog(struct sim_socket *listener)
{
    struct rti_list *node;

    while ((node = rti_list_first(&listener->backlog)) != NULL) {
        struct sim_socket *socket = RTI_CONTAINER_OF(node, struct sim_socket, in_queue);

        rti_list_remove(node);
        listener->backlog_count--;
        sim_stream_reset(socket);
        sim_object_put(&socket->object);
    }
    sim_object_changed(&sim.backlog_room);
}

void sim_socket_released(struct sim_socket *socket)
{
    RTI_ASSERT(rti_list_is_empty(&socket->object.waiters));
    rti_list_remove(&socket->in_sim);
    if (socket->state == SIM_SOCKET_LISTENING) {
        socket->state = SIM_SOCKET_SHUT;
        drop_backlog(socket);
    }
    sim_stream_closed(socket);
    free(socket->inbound);
    free(socket);
}

/* ---- bind, listen, connect, accept ---- */

static bool is_taken(const struct sim_socket *socket, const struct sim_address *address)
{
    struct rti_list *node;

    for (node = sim.sockets.next; node != &sim.sockets; node = node->next) {
        const struct sim_socket *other = RTI_CONTAINER_OF(node, struct sim_socket, in_sim);

        if (other == socket || !other->is_bound || !covers(&other->local, address)) {
            continue;
        }
        if (other->reuse_port && socket->reuse_port) {
            continue;
        }
        if (other->reuse_address && socket->reuse_address && other->state != SIM_SOCKET_LISTENING) {
            continue;
        }
        return true;
    }
    return false;
}

/* Two may be bound with SO_REUSEADDR; the first that listens has it. */
static bool is_listened_to(const struct sim_socket *socket)
{
    struct rti_list *node;

    for (node = sim.sockets.next; node != &sim.sockets; node = node->next) {
        const struct sim_socket *other = RTI_CONTAINER_OF(node, struct sim_socket, in_sim);

        if (other != socket && other->state == SIM_SOCKET_LISTENING &&
            covers(&other->local, &socket->local) && !(other->reuse_port && socket->reuse_port)) {
            return true;
        }
    }
    return false;
}

static bool find_port(const struct sim_socket *socket, struct sim_address *address)
{
    for (int tries = 0; tries <= PORT_LAST - PORT_FIRST; tries++) {
        address->port = sim.port_next;
        sim.port_next = sim.port_next == PORT_LAST ? PORT_FIRST : (uint16_t)(sim.port_next + 1);
        if (!is_taken(socket, address)) {
            return true;
        }
    }
    return false;
}

int sim_socket_bind(struct sim_socket *socket, const struct sim_address *address)
{
    struct sim_address wanted = *address;

    if (socket->is_bound || socket->state != SIM_SOCKET_NEW) {
        return -EINVAL;
    }
    if (wanted.family != socket->family) {
        return -EAFNOSUPPORT;
    }
    if (wanted.port == 0 ? !find_port(socket, &wanted) : is_taken(socket, &wanted)) {
        return -EADDRINUSE;
    }
    socket->local = wanted;
    socket->is_bound = true;
    return 0;
}

int sim_socket_listen(struct sim_socket *socket, int backlog)
{
    if (socket->state != SIM_SOCKET_NEW && socket->state != SIM_SOCKET_LISTENING &&
        socket->state != SIM_SOCKET_SHUT) {
        return -EINVAL;
    }
    if (!socket->is_bound && sim_socket_bind(socket, &socket->local) < 0) {
        return -EADDRINUSE;
    }
    if (is_listened_to(socket)) {
        return -EADDRINUSE;
    }
    socket->backlog_max = backlog < 0 || backlog > BACKLOG_MAX ? BACKLOG_MAX : (unsigned)backlog;
    socket->state = SIM_SOCKET_LISTENING;
    return 0;
}

/* A listener that the address reaches; of several with SO_REUSEPORT, any. */
static struct sim_socket *find_listener(const struct sim_address *address)
{
    struct sim_socket *found = NULL;
    unsigned count = 0;
    struct rti_list *node;

    for (node = sim.sockets.next; node != &sim.sockets; node = node->next) {
        struct sim_socket *socket = RTI_CONTAINER_OF(node, struct sim_socket, in_sim);

        if (socket->state != SIM_SOCKET_LISTENING || !covers(&socket->local, address)) {
            continue;
        }
        count++;
        if (count == 1 || rand_below(&sim.rand, count) == 0) {
            found = socket;
        }
    }
    return found;
}

static void local_for(struct sim_socket *socket, const struct sim_address *remote)
{
    if (!socket->is_bound) {
        struct sim_address any = { .family = socket->family };

        (void)find_port(socket, &any);
        socket->local.port = any.port;
        socket->is_bound = true;
    }
    if (is_wildcard(&socket->local)) { /* all is on one machine */
        memcpy(socket->local.bytes, remote->bytes, sizeof(remote->bytes));
    }
}

int sim_socket_connect(struct sim_socket *socket, const struct sim_address *address)
{
    struct sim_address target = *address;
    struct sim_socket *listener;
    struct sim_socket *other;

    if (socket->state == SIM_SOCKET_CONNECTED) {
        return -EISCONN;
    }
    if (socket->state != SIM_SOCKET_NEW) {
        return -EINVAL;
    }
    if (target.family != socket->family) {
        return target.family == AF_UNSPEC ? 0 : -EAFNOSUPPORT;
    }
    if (is_wildcard(&target)) { /* Linux takes it for the loopback address */
        target.bytes[target.family == AF_INET ? 0 : 15] = target.family == AF_INET ? 127 : 1;
        target.bytes[3] = target.family == AF_INET ? 1 : 0;
    }
    listener = find_listener(&target);
    if (listener == NULL) {
        return -ECONNREFUSED;
    }
    if (listener->backlog_count > listener->backlog_max) {
        return SIM_WAIT; /* Linux drops the SYN and sends it again later */
    }
    local_for(socket, &target);
    socket->remote = target;
    other = sim_socket_new(socket->family);
    other->local = target;
    other->remote = socket->local;
    sim_stream_join(socket, other);
    rti_list_push_back(&listener->backlog, &other->in_queue);
    listener->backlog_count++;
    sim_object_changed(&listener->object);
    sim_object_changed(&socket->object);
    return 0;
}

struct sim_socket *sim_socket_accept(struct sim_socket *listener, int *out_error)
{
    struct sim_socket *socket;

    if (listener->state != SIM_SOCKET_LISTENING) {
        *out_error = -EINVAL;
        return NULL;
    }
    if (listener->backlog_count == 0) {
        *out_error = SIM_WAIT;
        return NULL;
    }
    if (!listener->is_test_side && (sim.stats.descriptors >= sim.fd_limit ||
                                    sim_fault(sim.config.faults.accept_emfile, "EMFILE"))) {
        *out_error = -EMFILE;
        return NULL;
    }
    socket = RTI_CONTAINER_OF(rti_list_first(&listener->backlog), struct sim_socket, in_queue);
    rti_list_remove(&socket->in_queue);
    listener->backlog_count--;
    sim_object_changed(&sim.backlog_room);
    if (!listener->is_test_side && sim_fault(sim.config.faults.accept_aborted, "ECONNABORTED")) {
        sim_stream_reset(socket);
        sim_object_put(&socket->object);
        *out_error = -ECONNABORTED;
        return NULL;
    }
    return socket;
}

int sim_socket_shutdown(struct sim_socket *socket, int how)
{
    if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR) {
        return -EINVAL;
    }
    if (socket->state == SIM_SOCKET_LISTENING) {
        if (how != SHUT_WR) {
            socket->state = SIM_SOCKET_SHUT;
            socket->is_bound = false;
            drop_backlog(socket);
            sim_object_changed(&socket->object);
        }
        return 0;
    }
    if (socket->state != SIM_SOCKET_CONNECTED || socket->is_reset) {
        return -ENOTCONN;
    }
    if (how != SHUT_WR) {
        socket->read_shut = true;
    }
    if (how != SHUT_RD) {
        sim_stream_finish(socket);
    }
    sim_object_changed(&socket->object);
    return 0;
}

unsigned sim_socket_poll(const struct sim_socket *socket)
{
    unsigned mask = 0;

    if (socket->state == SIM_SOCKET_LISTENING) {
        return socket->backlog_count > 0 ? POLLIN | POLLRDNORM : 0;
    }
    if (socket->state != SIM_SOCKET_CONNECTED) {
        return POLLOUT | POLLWRNORM | POLLHUP;
    }
    if (socket->inbound_count > 0 || socket->fin_received || socket->read_shut ||
        socket->is_reset) {
        mask |= POLLIN | POLLRDNORM;
    }
    if (socket->fin_received || socket->read_shut || socket->is_reset) {
        mask |= POLLRDHUP;
    }
    if (socket->is_reset || ((socket->fin_received || socket->read_shut) && socket->fin_sent)) {
        mask |= POLLHUP;
    }
    if (socket->is_reset || socket->fin_sent || sim_stream_room(socket) > 0) {
        mask |= POLLOUT | POLLWRNORM;
    }
    if (socket->error != 0) {
        mask |= POLLERR;
    }
    return mask;
}

/* ---- system calls ---- */

/* Each call begins here, so another thread may go on first. */
static struct sim_socket *socket_at(int fd, int *out_error)
{
    struct sim_object *object;

    sim_point();
    object = sim_fd_object(fd);
    *out_error = object == NULL ? -EBADF : -ENOTSOCK;
    return object != NULL && object->kind == SIM_KIND_SOCKET
               ? RTI_CONTAINER_OF(object, struct sim_socket, object)
               : NULL;
}

int __wrap_rti_sys_socket(int domain, int type, int protocol)
{
    if (!sim.is_active) {
        return __real_rti_sys_socket(domain, type, protocol);
    }
    return sim_socket_open(domain, type, protocol);
}

int __wrap_rti_sys_bind(int fd, const struct sockaddr *address, socklen_t bytes)
{
    struct sim_address wanted;
    struct sim_socket *socket;
    int error;

    if (!sim.is_active) {
        return __real_rti_sys_bind(fd, address, bytes);
    }
    socket = socket_at(fd, &error);
    if (socket == NULL) {
        return error;
    }
    if (!sim_address_read(&wanted, address, bytes)) {
        return -EINVAL;
    }
    return sim_socket_bind(socket, &wanted);
}

int __wrap_rti_sys_listen(int fd, int backlog)
{
    struct sim_socket *socket;
    int error;

    if (!sim.is_active) {
        return __real_rti_sys_listen(fd, backlog);
    }
    socket = socket_at(fd, &error);
    return socket == NULL ? error : sim_socket_listen(socket, backlog);
}

int __wrap_rti_sys_setsockopt(int fd, int level, int option, const void *value, socklen_t bytes)
{
    struct sim_socket *socket;
    struct linger linger;
    int number = 0;
    int error;

    if (!sim.is_active) {
        return __real_rti_sys_setsockopt(fd, level, option, value, bytes);
    }
    socket = socket_at(fd, &error);
    if (socket == NULL) {
        return error;
    }
    if (bytes < sizeof(number)) {
        return -EINVAL;
    }
    memcpy(&number, value, sizeof(number));
    if (level == SOL_SOCKET && option == SO_REUSEADDR) {
        socket->reuse_address = number != 0;
    } else if (level == SOL_SOCKET && option == SO_REUSEPORT) {
        socket->reuse_port = number != 0;
    } else if (level == SOL_SOCKET && option == SO_LINGER && bytes >= sizeof(linger)) {
        memcpy(&linger, value, sizeof(linger));
        socket->linger_reset = linger.l_onoff != 0 && linger.l_linger == 0;
    }
    return 0; /* the others (TCP_NODELAY, buffer sizes ...) change nothing here */
}

/* TCP_INFO alone, and of it the length of a listener's queue. */
int __wrap_rti_sys_poll(int fd, unsigned events)
{
    const struct sim_object *object;

    if (!sim.is_active || fd < SIM_FD_FIRST) {
        return __real_rti_sys_poll(fd, events);
    }
    object = sim_fd_object(fd);
    return object == NULL ? -EBADF : (int)(sim_object_poll(object) & (events | POLLERR | POLLHUP));
}

int __wrap_rti_sys_getsockopt(int fd, int level, int option, void *value, socklen_t *bytes)
{
    struct tcp_info info = { .tcpi_unacked = 0 };
    struct sim_socket *socket;
    int error;

    if (!sim.is_active) {
        return __real_rti_sys_getsockopt(fd, level, option, value, bytes);
    }
    socket = socket_at(fd, &error);
    if (socket == NULL) {
        return error;
    }
    if (level != IPPROTO_TCP || option != TCP_INFO) {
        return -ENOPROTOOPT;
    }
    info.tcpi_unacked = socket->state == SIM_SOCKET_LISTENING ? socket->backlog_count : 0;
    *bytes = *bytes < sizeof(info) ? *bytes : (socklen_t)sizeof(info);
    memcpy(value, &info, *bytes);
    return 0;
}

int __wrap_rti_sys_getsockname(int fd, struct sockaddr *address, socklen_t *bytes)
{
    struct sim_socket *socket;
    int error;

    if (!sim.is_active) {
        return __real_rti_sys_getsockname(fd, address, bytes);
    }
    socket = socket_at(fd, &error);
    if (socket == NULL) {
        return error;
    }
    sim_address_write(&socket->local, address, bytes);
    return 0;
}

int __wrap_rti_sys_getpeername(int fd, struct sockaddr *address, socklen_t *bytes)
{
    struct sim_socket *socket;
    int error;

    if (!sim.is_active) {
        return __real_rti_sys_getpeername(fd, address, bytes);
    }
    socket = socket_at(fd, &error);
    if (socket == NULL) {
        return error;
    }
    if (socket->state != SIM_SOCKET_CONNECTED || socket->is_reset) {
        return -ENOTCONN;
    }
    sim_address_write(&socket->remote, address, bytes);
    return 0;
}
