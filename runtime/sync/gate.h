/* SPDX-License-Identifier: MIT */
/* Gate: what a service needs of it. */
#ifndef RTI_SYNC_GATE_H
#define RTI_SYNC_GATE_H

#include "core/wait.h"
#include "rt/gate.h"

/* As rt_gate_close(), with a kind of wait of the caller's, who knows who is inside. Its object is
 * the gate, and its `leave` is this one. */
int rti_gate_close_as(struct rt_gate *gate, const struct rti_wait_kind *kind, rt_time deadline);
void rti_gate_close_leave(struct rti_waiter *waiter);

#endif /* RTI_SYNC_GATE_H */
