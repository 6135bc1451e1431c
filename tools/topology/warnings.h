/* SPDX-License-Identifier: MIT */
/*
 * Warnings: what makes a plan work worse than it could, with the command that
 * cures it.
 *
 * Some follow from the machine and the plan alone. Others need to know how the
 * machine is set up (interrupts, governor, memory that may be used): they are
 * looked for only where there is a root to read that from.
 */
#ifndef TOPOLOGY_WARNINGS_H
#define TOPOLOGY_WARNINGS_H

#include "notes.h"
#include "numbers.h"
#include "subject.h"

void warn(struct notes *notes, const struct subject *subject);

/* The same, and of what there is no need to warn of a note that it is well. */
void warn_or_praise(struct notes *notes, const struct subject *subject);

/* "--cpus 0,2,4", and a number of shards where config asks for more; NULL: there is no CPU. */
char *cure_by_list(const struct numbers *cpus, const struct rt_config *config);

#endif /* TOPOLOGY_WARNINGS_H */
