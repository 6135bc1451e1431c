/* SPDX-License-Identifier: MIT */
/* Disks: those that a plan is near, and the CPUs that take their interrupts. */
#ifndef TOPOLOGY_DISKS_H
#define TOPOLOGY_DISKS_H

#include "notes.h"
#include "subject.h"

/* A note for each disk below config.near; none without subject->root. */
void tell_disks(struct notes *notes, const struct subject *subject);

#endif /* TOPOLOGY_DISKS_H */
