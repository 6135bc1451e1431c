/* SPDX-License-Identifier: MIT */
/* Interrupts: those of devices that come to CPUs on which shards run. */
#ifndef TOPOLOGY_INTERRUPTS_H
#define TOPOLOGY_INTERRUPTS_H

#include "notes.h"
#include "numbers.h"
#include "warnings.h"

/*
 * A warning if some interrupt comes to a shard's CPU often, now and on the average since
 * the machine was started; none without subject->root.
 */
void warn_of_interrupts(struct notes *notes, const struct subject *subject);

/* Add the CPUs that an interrupt comes to now; none if that cannot be read. */
void interrupt_cpus(struct numbers *cpus, const char *root, long number);

#endif /* TOPOLOGY_INTERRUPTS_H */
