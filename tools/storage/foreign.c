/* SPDX-License-Identifier: MIT */
/* Foreign: see foreign.h. */
#include "foreign.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Of fio 3.33, with its engines: `fio --cmdhelp=all` and its manual. Sorted. */
/* clang-format off */
static const char *const names[] = {
    "allow_file_create", "allow_mounted_write", "allrandrepeat", "atomic", "ba", "bindname",
    "block_error_percentiles", "blockalign", "blocksize_range", "blocksize_unaligned",
    "bs_is_seq_rand", "bs_unaligned", "bsrange", "buffer_compress_chunk",
    "buffer_compress_percentage", "buffer_pattern", "busy_poll", "busy_wait_polling", "bwavgtime",
    "cgroup", "cgroup_nodelete", "cgroup_weight", "chunk_size", "clat_percentiles", "clientname",
    "clocksource", "clustername", "cmd_type", "cmdprio", "cmdprio_bssplit", "cmdprio_class",
    "cmdprio_percentage", "continue_on_error", "cpuchunks", "cpuload", "cpumask", "cpumode",
    "cpus_allowed_policy", "create_fsync", "create_on_open", "create_only", "create_serialize",
    "cuda_io", "dedupe_global", "dedupe_mode", "dedupe_percentage", "dedupe_working_set_percentage",
    "description", "dir", "direct_write_to_pmem", "disable_bw", "disable_bw_measurement",
    "disable_clat", "disable_lat", "disable_slat", "disk_util", "donorname", "error_dump",
    "exec_postrun", "exec_prerun", "exit_on_io_done", "exit_what", "exitall", "exitall_on_error",
    "experimental_verify", "fadvise_hint", "fallocate", "file_append", "file_service_type",
    "filename_format", "filesize", "fill_device", "fill_fs", "flow", "flow_id", "flow_sleep",
    "force_async", "fsync_on_close", "gid", "gpu_dev_ids", "grace_time", "gtod_cpu", "gtod_reduce",
    "hdfsdirectory", "hipri_percentage", "hostname", "http_host", "http_mode", "http_pass",
    "http_s3_key", "http_s3_keyid", "http_s3_region", "http_s3_sse_customer_algorithm",
    "http_s3_sse_customer_key", "http_s3_storage_class", "http_swift_auth_token", "http_user",
    "http_verbose", "https", "ignore_error", "ignore_zone_limits", "inplace", "interface",
    "io_limit", "io_size", "io_submit_mode", "iodepth_low", "iomem", "iomem_align", "iopsavgtime",
    "ioscheduler", "job_max_open_zones", "kb_base", "lat_percentiles", "latency_percentile",
    "latency_run", "latency_target", "latency_window", "listen", "load", "lockfile", "lockmem",
    "log_alternate_epoch", "log_alternate_epoch_clock_id", "log_avg_msec", "log_compression",
    "log_compression_cpus", "log_entries", "log_hist_coarseness", "log_hist_msec", "log_max_value",
    "log_offset", "log_prio", "log_store_compressed", "log_unix_epoch", "max_latency",
    "max_open_zones", "mem", "mem_align", "merge_blktrace_file", "merge_blktrace_iters",
    "merge_blktrace_scalars", "mss", "namenode", "new_group", "nfs_url", "nice", "nodelay",
    "nowait", "nrfiles", "numa_cpu_nodes", "numa_mem_policy", "number_ios", "object_class",
    "offset_align", "offset_increment", "opendir", "openfiles", "overwrite", "per_job_logs",
    "percentage_random", "percentile_list", "pingpong", "pool", "port", "pre_read", "prep", "prio",
    "prioclass", "profile", "proto", "protocol", "random_generator", "randrepeat", "rate_cycle",
    "rate_ignore_thinktime", "rate_iops_min", "rate_min", "rbdname", "read_beyond_wp", "read_iolog",
    "read_iolog_chunked", "readfua", "refill_buffers", "replay_align", "replay_no_stall",
    "replay_redirect", "replay_scale", "replay_skip", "replay_time_scale", "rw_sequencer",
    "scramble_buffers", "serialize_overlap", "serverip", "sg_write_mode", "significant_figures",
    "skip_bad", "slat_percentiles", "softrandommap", "sqthread_poll", "sqthread_poll_cpu", "ss",
    "ss_dur", "ss_ramp", "startdelay", "stat_type", "stats", "std_redirect", "steadystate",
    "steadystate_duration", "steadystate_ramp_time", "stream_id", "sync", "sync_file_range",
    "thinktime_blocks", "thinktime_blocks_type", "thinktime_iotime", "thinktime_spin", "thread",
    "threads", "timeout", "touch_objects", "trim_backlog", "trim_backlog_batch", "trim_percentage",
    "trim_verify_zero", "ttl", "uid", "uncached", "unified_rw_reporting", "unique_filename",
    "unit_base", "unlink_each_loop", "uri", "userspace_reap", "verb", "verify_async",
    "verify_async_cpus", "verify_backlog", "verify_backlog_batch", "verify_dump", "verify_fatal",
    "verify_interval", "verify_offset", "verify_only", "verify_pattern", "verify_state_load",
    "verify_state_save", "wait_for", "window_size", "write_barrier", "write_bw_log", "write_hint",
    "write_hist_log", "write_iolog", "write_iops_log", "write_lat_log", "writefua", "xnvme_admin",
    "xnvme_async", "xnvme_dev_nsid", "xnvme_iovec", "xnvme_sync", "zero_buffers",
    "zone_reset_frequency", "zone_reset_threshold", "zonecapacity", "zonemode", "zonerange",
    "zonesize", "zoneskip",
};
/* clang-format on */

static int compare(const void *name, const void *entry)
{
    return strcmp(name, *(const char *const *)entry);
}

bool foreign_has(const char *name)
{
    return bsearch(name, names, sizeof(names) / sizeof(names[0]), sizeof(names[0]), compare) !=
           NULL;
}
