/* SPDX-License-Identifier: MIT */
/* Explain: how a policy came from the CPUs of a machine to a plan, a sentence for each step. */
#ifndef TOPOLOGY_EXPLAIN_H
#define TOPOLOGY_EXPLAIN_H

#include "notes.h"
#include "subject.h"

/* Every CPU of the machine is in the plan or named by a step that leaves it out. */
void explain(struct notes *notes, const struct subject *subject);

#endif /* TOPOLOGY_EXPLAIN_H */
