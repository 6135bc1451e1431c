/* SPDX-License-Identifier: MIT */
/*
 * Doctor: can a runtime start here, and will it run well?
 *
 * It really starts one as the plan says, with tasks that return at once, and looks
 * at what the kernel, the limits of the process and the machine's settings say.
 */
#ifndef TOPOLOGY_DOCTOR_H
#define TOPOLOGY_DOCTOR_H

#include <stdbool.h>

#include "warnings.h"

/* A note for each check. `subject` is this machine, and has a root. */
void doctor_examine(struct notes *notes, const struct subject *subject);

/* Is one of them bad? */
bool doctor_is_alarmed(const struct notes *notes);

#endif /* TOPOLOGY_DOCTOR_H */
