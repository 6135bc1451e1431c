/* SPDX-License-Identifier: MIT */
/* Dump: the whole of it, from the parts of shards to a descriptor. Implements rt/dump.h. */
#ifndef RTI_SHARD_DUMP_H
#define RTI_SHARD_DUMP_H

#include "base/log.h"
#include "rt/dump.h"

/* 0, or -EINVAL when there are flags that this library does not know; `what` names the value. */
int rti_dump_check_flags(uint32_t flags, const char *what, const struct rti_log *log);

#endif /* RTI_SHARD_DUMP_H */
