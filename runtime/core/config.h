/* SPDX-License-Identifier: MIT */
/* Configuration: a user's struct, checked and completed with defaults. */
#ifndef RTI_CORE_CONFIG_H
#define RTI_CORE_CONFIG_H

#include "base/log.h"
#include "rt/executor.h"

/*
 * Fill *out from `config` (NULL: all defaults) and set up the log that it
 * names, which then says what is wrong. Returns 0; -EINVAL; -E2BIG when
 * `config` is of a newer library and uses what this one does not know.
 */
int rti_config_read(struct rt_config *out, struct rti_log *log, const struct rt_config *config);

/* That a program gets which chooses none. */
uint32_t rti_config_stall_signal(void);

#endif /* RTI_CORE_CONFIG_H */
