/* SPDX-License-Identifier: MIT */
/*
 * Claims: see claims.h for the idea and its rules.
 *
 * The kernel looks at SO_REUSEPORT when a socket is bound and again when it
 * listens. The first one sets it in between: nobody could share its bind, and
 * yet it leads the group of those that listen.
 */
#include "cross/claims.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "os/sys.h"

struct endpoint {
    struct sockaddr_storage socket; /* zero behind its `bytes` */
    socklen_t bytes;
};

struct rti_claim {
    struct rti_list link; /* in claims->open, oldest first */
    struct rti_list seats;
    struct endpoint asked; /* port 0 if the kernel was to choose */
    struct endpoint bound;
};

enum lock_state { UNLOCKED, LOCKED, LOCKED_AND_AWAITED };

struct rti_claims {
    uint32_t lock;        /* enum lock_state; guards all else. Atomic */
    struct rti_list open; /* claims */
};

/* A futex, for it is held across system calls. Who had to wait says so when it takes the lock: it
 * cannot know whether others wait too. */
static void lock(struct rti_claims *claims)
{
    uint32_t wanted = LOCKED;

    /* pairs with the release in unlock() */
    while (__atomic_exchange_n(&claims->lock, wanted, __ATOMIC_ACQUIRE) != UNLOCKED) {
        wanted = LOCKED_AND_AWAITED;
        (void)rti_sys_futex_wait(&claims->lock, LOCKED_AND_AWAITED, RT_NEVER);
    }
}

static void unlock(struct rti_claims *claims)
{
    /* pairs with the acquire in lock() */
    if (__atomic_exchange_n(&claims->lock, UNLOCKED, __ATOMIC_RELEASE) == LOCKED_AND_AWAITED) {
        (void)rti_sys_futex_wake(&claims->lock);
    }
}

int rti_claims_create(struct rti_claims **out)
{
    struct rti_claims *claims = rti_sys_alloc(sizeof(*claims));

    if (claims == NULL) {
        return -ENOMEM;
    }
    rti_list_init(&claims->open);
    *out = claims;
    return 0;
}

static void claim_free(struct rti_claim *claim)
{
    rti_list_remove(&claim->link);
    rti_sys_free(claim);
}

void rti_claims_destroy(struct rti_claims *claims)
{
    struct rti_list *node;

    if (claims == NULL) {
        return;
    }
    while ((node = rti_list_first(&claims->open)) != NULL) {
        claim_free(RTI_CONTAINER_OF(node, struct rti_claim, link));
    }
    rti_sys_free(claims);
}

static bool is_same(const struct endpoint *one, const struct endpoint *other)
{
    return one->bytes == other->bytes && memcmp(&one->socket, &other->socket, one->bytes) == 0;
}

static bool has_seat(const struct rti_claim *claim, const struct rti_executor *owner)
{
    const struct rti_list *node;

    for (node = claim->seats.next; node != &claim->seats; node = node->next) {
        if (RTI_CONTAINER_OF(node, const struct rti_seat, link)->owner == owner) {
            return true;
        }
    }
    return false;
}

/* The claim that a listener of `owner` joins, or NULL (L2). */
static struct rti_claim *find_claim(struct rti_claims *claims, const struct rti_executor *owner,
                                    const struct endpoint *wanted)
{
    struct rti_list *node;

    for (node = claims->open.next; node != &claims->open; node = node->next) {
        struct rti_claim *claim = RTI_CONTAINER_OF(node, struct rti_claim, link);

        if ((is_same(&claim->asked, wanted) || is_same(&claim->bound, wanted)) &&
            !has_seat(claim, owner)) {
            return claim;
        }
    }
    return NULL;
}

static int bind_to(int fd, const struct endpoint *endpoint)
{
    return rti_sys_bind(fd, (const struct sockaddr *)&endpoint->socket, endpoint->bytes);
}

static int share_port(int fd)
{
    const int on = 1;

    return rti_sys_setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
}

static int join_claim(const struct rti_claim *claim, int fd)
{
    const int r = share_port(fd);

    return r < 0 ? r : bind_to(fd, &claim->bound);
}

/* Bind alone, then learn what it became and let others in. */
static int bind_first(struct rti_claim *claim, int fd)
{
    int r = bind_to(fd, &claim->asked);

    if (r == 0) {
        claim->bound.bytes = sizeof(claim->bound.socket);
        r = rti_sys_getsockname(fd, (struct sockaddr *)&claim->bound.socket, &claim->bound.bytes);
    }
    return r < 0 ? r : share_port(fd);
}

static int make_claim(struct rti_claims *claims, struct rti_claim **out, int fd,
                      const struct endpoint *asked)
{
    struct rti_claim *claim = rti_sys_alloc(sizeof(*claim));
    int r;

    if (claim == NULL) {
        return -ENOMEM;
    }
    claim->asked = *asked;
    rti_list_init(&claim->seats);
    rti_list_push_back(&claims->open, &claim->link);
    r = bind_first(claim, fd);
    if (r < 0) {
        claim_free(claim);
        return r;
    }
    *out = claim;
    return 0;
}

static int bind_locked(struct rti_claims *claims, struct rti_seat *seat, int fd,
                       const struct endpoint *wanted)
{
    struct rti_claim *claim = find_claim(claims, seat->owner, wanted);
    const int r = claim != NULL ? join_claim(claim, fd) : make_claim(claims, &claim, fd, wanted);

    if (r < 0) {
        return r;
    }
    seat->claim = claim;
    rti_list_push_back(&claim->seats, &seat->link);
    return 0;
}

int rti_claims_bind(struct rti_claims *claims, struct rti_seat *seat,
                    const struct rti_executor *owner, int fd, const struct sockaddr *address,
                    socklen_t bytes)
{
    struct endpoint wanted = { .bytes = bytes };
    int r;

    seat->claim = NULL;
    seat->owner = owner;
    if (claims == NULL) {
        return rti_sys_bind(fd, address, bytes);
    }
    RTI_ASSERT(bytes <= sizeof(wanted.socket));
    memcpy(&wanted.socket, address, bytes);
    lock(claims);
    r = bind_locked(claims, seat, fd, &wanted);
    unlock(claims);
    return r;
}

void rti_claims_leave(struct rti_claims *claims, struct rti_seat *seat)
{
    struct rti_claim *claim = seat->claim;

    if (claim == NULL) {
        return;
    }
    lock(claims);
    rti_list_remove(&seat->link);
    if (rti_list_is_empty(&claim->seats)) {
        claim_free(claim); /* L1 */
    }
    unlock(claims);
    seat->claim = NULL;
}
