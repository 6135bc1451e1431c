/* SPDX-License-Identifier: MIT */
/* Configuration: see config.h. */
#include "core/config.h"

#include <errno.h>

#include "base/sized.h"

#define TASKS_MAX_DEFAULT 1048576u
#define TASKS_MAX_LIMIT   16777216u
#define RING_ENTRIES      256u
#define RING_ENTRIES_MAX  32768u /* IORING_MAX_ENTRIES */
#define CQ_ENTRIES        4096u
#define CQ_ENTRIES_MAX    65536u /* IORING_MAX_CQ_ENTRIES */
#define IO_WORKERS        8u
#define IO_WORKERS_MAX    4096u
#define TASK_QUOTA        RT_MICROSECONDS(500)
#define STOP_TIMEOUT      RT_SECONDS(30)

static int bound(const struct rti_log *log, const char *name, uint32_t *value, uint32_t otherwise,
                 uint32_t max)
{
    if (*value == 0) {
        *value = otherwise;
    }
    if (*value > max) {
        rti_log(log, RT_LOG_ERROR, "config.%s is %u; it must be 1 to %u, or 0 for the default (%u)",
                name, *value, max, otherwise);
        return -EINVAL;
    }
    return 0;
}

static int bound_time(const struct rti_log *log, const char *name, rt_time *value,
                      rt_time otherwise)
{
    if (*value == 0) {
        *value = otherwise;
    }
    if (*value < 0) {
        rti_log(log, RT_LOG_ERROR, "config.%s is %lld ns; it must not be below 0", name,
                (long long)*value);
        return -EINVAL;
    }
    return 0;
}

static int complete(struct rt_config *config, const struct rti_log *log)
{
    int r = bound(log, "tasks_max", &config->tasks_max, TASKS_MAX_DEFAULT, TASKS_MAX_LIMIT);

    if (r == 0) {
        r = bound(log, "ring_entries", &config->ring_entries, RING_ENTRIES, RING_ENTRIES_MAX);
    }
    if (r == 0) {
        r = bound(log, "cq_entries", &config->cq_entries, CQ_ENTRIES, CQ_ENTRIES_MAX);
    }
    if (r == 0) {
        r = bound(log, "stack_bytes", &config->stack_bytes, 64 * 1024, 256 * 1024);
    }
    if (r == 0) {
        r = bound(log, "io_workers", &config->io_workers, IO_WORKERS, IO_WORKERS_MAX);
    }
    if (r == 0) {
        r = bound_time(log, "task_quota", &config->task_quota, TASK_QUOTA);
    }
    if (r == 0) {
        r = bound_time(log, "stop_timeout", &config->stop_timeout, STOP_TIMEOUT);
    }
    if (r == 0 && config->reserved != 0) {
        rti_log(log, RT_LOG_ERROR, "config.reserved is %u; it must be 0", config->reserved);
        r = -EINVAL;
    }
    if (r == 0 && config->cq_entries < config->ring_entries) {
        config->cq_entries = config->ring_entries;
    }
    if (config->name == NULL) {
        config->name = "shard";
    }
    return r;
}

int rti_config_read(struct rt_config *out, struct rti_log *log, const struct rt_config *config)
{
    int r = rti_sized_copy(out, sizeof(*out), config);

    log->write = out->log != NULL ? out->log : rti_log_to_stderr;
    log->arg = out->log_arg;
    log->level = RT_LOG_WARNING;
    if (r < 0) {
        rti_log(log, RT_LOG_ERROR,
                "config.size is %u: it sets fields that this library (%zu bytes) does not know; "
                "run with the library that the program was built for",
                config->size, sizeof(*out));
        return r;
    }
    if (out->log_level > RT_LOG_INFO) {
        rti_log(log, RT_LOG_ERROR, "config.log_level is %u; it must be 1 to 3, or 0",
                out->log_level);
        return -EINVAL;
    }
    if (out->log_level != 0) {
        log->level = (enum rt_log_level)out->log_level;
    }
    return complete(out, log);
}
