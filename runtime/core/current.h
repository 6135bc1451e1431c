/* SPDX-License-Identifier: MIT */
/* Current: the only thread-local variable, this thread's executor. */
#ifndef RTI_CORE_CURRENT_H
#define RTI_CORE_CURRENT_H

struct rti_executor;

/* NULL on a thread that runs no executor. A task never changes its thread, so a cached address of
 * it stays right across suspensions. */
extern _Thread_local struct rti_executor *rti_current __attribute__((tls_model("initial-exec")));

#endif /* RTI_CORE_CURRENT_H */
