/* SPDX-License-Identifier: MIT */
/* Configuration: see config.h. */
#include "core/config.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>

#include "base/sized.h"

#define FLAGS \
    ((uint32_t)RT_CONFIG_KEEP | (uint32_t)RT_CONFIG_NO_SIGNALS | (uint32_t)RT_CONFIG_STACK_MARKS)

/* Numbers from 1 to a maximum. */
static const struct {
    const char *name;
    size_t offset;
    uint32_t otherwise; /* 0: the reader of the field decides */
    uint32_t max;
} numbers[] = {
#define NUMBER(field, otherwise, max) { #field, offsetof(struct rt_config, field), otherwise, max }
    NUMBER(tasks_max, 1048576, 16777216),
    NUMBER(ring_entries, 256, 32768), /* IORING_MAX_ENTRIES */
    NUMBER(cq_entries, 4096, 65536),  /* IORING_MAX_CQ_ENTRIES */
    NUMBER(stack_bytes, 64 * 1024, 256 * 1024),
    NUMBER(io_workers, 8, 4096),
    NUMBER(shards, 0, 4096),
    NUMBER(port_entries, 128, 65536),
    NUMBER(posts_max, 64, 65536),
    NUMBER(stacks_warm, 1024, 16777216),
    NUMBER(blocking_threads, 8, 1024),
    NUMBER(blocking_queue, 1024, 16777216),
#undef NUMBER
};

static const struct {
    const char *name;
    size_t offset;
    rt_time otherwise;
} times[] = {
    { "task_quota", offsetof(struct rt_config, task_quota), RT_MICROSECONDS(500) },
    { "stop_timeout", offsetof(struct rt_config, stop_timeout), RT_SECONDS(30) },
    { "spin", offsetof(struct rt_config, spin), RT_SPIN_OFF },
    { "stall_pause", offsetof(struct rt_config, stall_pause), RT_SECONDS(1) },
    { "timer_slack", offsetof(struct rt_config, timer_slack), 0 },
};

static int complete_numbers(struct rt_config *config, const struct rti_log *log)
{
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        uint32_t *value = (uint32_t *)(void *)((char *)config + numbers[i].offset);

        if (*value > numbers[i].max) {
            rti_log(log, RT_LOG_ERROR, "config.%s is %u; it must be 1 to %u, or 0 for the default",
                    numbers[i].name, *value, numbers[i].max);
            return -EINVAL;
        }
        *value = *value == 0 ? numbers[i].otherwise : *value;
    }
    if (config->cq_entries < config->ring_entries) {
        config->cq_entries = config->ring_entries;
    }
    return 0;
}

static int complete_times(struct rt_config *config, const struct rti_log *log)
{
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        rt_time *value = (rt_time *)(void *)((char *)config + times[i].offset);

        if (*value < 0) {
            rti_log(log, RT_LOG_ERROR, "config.%s is %lld ns; it must not be below 0",
                    times[i].name, (long long)*value);
            return -EINVAL;
        }
        *value = *value == 0 ? times[i].otherwise : *value;
    }
    return 0;
}

uint32_t rti_config_stall_signal(void)
{
    return (uint32_t)SIGRTMAX - 2;
}

/* Too large for the table of numbers. */
static int complete_buffers(struct rt_config *config, const struct rti_log *log)
{
    const uint64_t max = (uint64_t)64 << 30;

    if (config->buffer_bytes > max) {
        rti_log(log, RT_LOG_ERROR,
                "config.buffer_bytes is %llu; it must be 1 to %llu, or 0 for the default",
                (unsigned long long)config->buffer_bytes, (unsigned long long)max);
        return -EINVAL;
    }
    if (config->buffer_bytes == 0) {
        config->buffer_bytes = (uint64_t)64 << 20;
    }
    return 0;
}

/* Below 0 is one of its values. */
static int complete_stall(struct rt_config *config, const struct rti_log *log)
{
    if (config->stall_threshold == 0) {
        config->stall_threshold = RT_MILLISECONDS(10);
    }
    if (config->stall_threshold != RT_STALL_OFF && config->stall_threshold < RT_STALL_MIN) {
        rti_log(log, RT_LOG_ERROR,
                "config.stall_threshold is %lld ns; it must be %lld or more, 0 for the default, or "
                "RT_STALL_OFF",
                (long long)config->stall_threshold, (long long)RT_STALL_MIN);
        return -EINVAL;
    }
    if (config->stall_signal == 0) {
        config->stall_signal = rti_config_stall_signal();
    }
    if ((config->stall_signal < (uint32_t)SIGRTMIN && config->stall_signal != SIGURG) ||
        config->stall_signal > (uint32_t)SIGRTMAX || config->stall_signal == config->dump_signal) {
        rti_log(log, RT_LOG_ERROR,
                "config.stall_signal is %u; it must be SIGURG (%d) or a real-time signal (%d to "
                "%d), and not config.dump_signal",
                config->stall_signal, SIGURG, SIGRTMIN, SIGRTMAX);
        return -EINVAL;
    }
    return 0;
}

/* Below 0 is one of its values. */
static int complete_wait_cycles(struct rt_config *config, const struct rti_log *log)
{
    if (config->wait_cycles == 0) {
        config->wait_cycles = RT_WAIT_CYCLES_OFF;
    }
    if (config->wait_cycles != RT_WAIT_CYCLES_OFF && config->wait_cycles < RT_WAIT_CYCLES_MIN) {
        rti_log(log, RT_LOG_ERROR,
                "config.wait_cycles is %lld ns; it must be %lld or more, 0 for the default, or "
                "RT_WAIT_CYCLES_OFF",
                (long long)config->wait_cycles, (long long)RT_WAIT_CYCLES_MIN);
        return -EINVAL;
    }
    return 0;
}

static int check_choices(const struct rt_config *config, const struct rti_log *log)
{
    if (config->place > RT_PLACE_NEAR) {
        rti_log(log, RT_LOG_ERROR, "config.place is %u; it must be one of enum rt_place, 0 to %u",
                config->place, (unsigned)RT_PLACE_NEAR);
        return -EINVAL;
    }
    if (config->io_worker_place > RT_IO_WORKER_OTHERS) {
        rti_log(log, RT_LOG_ERROR,
                "config.io_worker_place is %u; it must be one of enum rt_io_worker_place, 0 to %u",
                config->io_worker_place, (unsigned)RT_IO_WORKER_OTHERS);
        return -EINVAL;
    }
    if (config->spin_policy > RT_SPIN_ADAPTIVE) {
        rti_log(log, RT_LOG_ERROR,
                "config.spin_policy is %u; it must be one of enum rt_spin_policy, 0 to %u",
                config->spin_policy, (unsigned)RT_SPIN_ADAPTIVE);
        return -EINVAL;
    }
    if ((config->flags & ~FLAGS) != 0) {
        rti_log(log, RT_LOG_ERROR,
                "config.flags is %u; its bits are those of enum rt_config_flag, together %u",
                config->flags, FLAGS);
        return -EINVAL;
    }
    return 0;
}

static int complete(struct rt_config *config, const struct rti_log *log)
{
    int r = complete_numbers(config, log);

    if (r == 0) {
        r = complete_times(config, log);
    }
    if (r == 0) {
        r = complete_stall(config, log);
    }
    if (r == 0) {
        r = complete_wait_cycles(config, log);
    }
    if (r == 0) {
        r = complete_buffers(config, log);
    }
    if (r == 0) {
        r = check_choices(config, log);
    }
    if (config->spin == 0 && config->spin_policy == RT_SPIN_ADAPTIVE) {
        config->spin = RT_MICROSECONDS(50);
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
