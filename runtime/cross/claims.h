/* SPDX-License-Identifier: MIT */
/*
 * Claims: the addresses that the shards of one runtime listen on together.
 *
 * The first listener of an address binds it alone. So it meets whoever has it
 * already, and the address is claimed. The listeners of other shards take a
 * seat at the claim: they bind what the first one got, which has the port that
 * the kernel chose, and share it by SO_REUSEPORT.
 *
 * L1 A claim lives from its first bind until its last seat is left.
 * L2 A shard has at most one seat at a claim. A listener takes its seat at the
 *    oldest claim of the address that has none of its shard, or makes a claim.
 * L3 To look for a claim and to bind is one step under the lock: of shards that
 *    begin at once, one is the first.
 *
 * All calls from any thread. They block for some system calls, at most one per
 * shard that does the same: for starting and stopping only.
 */
#ifndef RTI_CROSS_CLAIMS_H
#define RTI_CROSS_CLAIMS_H

#include <sys/socket.h>

#include "base/list.h"

struct rti_claim;
struct rti_claims;
struct rti_executor;

/* A listener's part of a claim; lies in the listener. */
struct rti_seat {
    struct rti_list link;             /* in the claim's seats */
    struct rti_claim *claim;          /* NULL: bound without claims */
    const struct rti_executor *owner; /* the shard that listens */
};

int rti_claims_create(struct rti_claims **out);

/* Listeners that were left open do not matter: they have no seat any more. */
void rti_claims_destroy(struct rti_claims *claims);

/*
 * Bind the new socket `fd` to the address, as a listener of the shard `owner`.
 * Its SO_REUSEADDR and IPV6_V6ONLY have been set.
 *
 * `claims` NULL: there are no other shards, and the socket is bound alone.
 * Returns 0; -ENOMEM; or an error of bind and its kin: then no seat was taken,
 * and the socket may be bound.
 */
int rti_claims_bind(struct rti_claims *claims, struct rti_seat *seat,
                    const struct rti_executor *owner, int fd, const struct sockaddr *address,
                    socklen_t bytes);

/* The socket was closed; before that another shard would not get its address. */
void rti_claims_leave(struct rti_claims *claims, struct rti_seat *seat);

#endif /* RTI_CROSS_CLAIMS_H */
