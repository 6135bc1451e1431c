/* SPDX-License-Identifier: MIT */
/* Doctor: see doctor.h. One function per check; each adds one note. */
#include "doctor.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <rt/rt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "files.h"
#include "kernels.h"

/* Sizes of the kernel's, from its include/uapi/linux/io_uring.h and struct io_rings. */
#define RINGS_HEADER 320u
#define SQE_BYTES    64u
#define CQE_BYTES    16u
#define PAGE_BYTES   4096u

/* What config fields of 0 mean (rt/executor.h). */
#define RING_ENTRIES 256u
#define CQ_ENTRIES   4096u
#define TASKS_MAX    1048576u

#define CAP_IPC_LOCK_BIT 14

/* Standard input, output and error; a ring and an event counter for each shard. */
#define DESCRIPTORS_BASE  3u
#define DESCRIPTORS_SHARD 2u
#define SELECT_MAX        1024u /* descriptors that select(2) can watch: why limits are this low */

struct patient {
    struct notes *notes;
    const struct subject *subject;
    struct kernel kernel;
    int started; /* what rt_start() gave */
    pthread_mutex_t lock;
    char error[512];    /* the first that the runtime has logged */
    char features[128]; /* granted to shard 0; "" if it did not start */
};

/* The start */

static void hear(void *arg, enum rt_log_level level, const char *text)
{
    struct patient *patient = arg;

    pthread_mutex_lock(&patient->lock);
    if (level == RT_LOG_ERROR && patient->error[0] == '\0') {
        (void)snprintf(patient->error, sizeof(patient->error), "%s", text);
    }
    pthread_mutex_unlock(&patient->lock);
}

static int tell_features(void *arg)
{
    struct patient *patient = arg;

    if (rt_shard_index() == 0) {
        (void)rt_features_format(patient->features, sizeof(patient->features));
    }
    return 0;
}

static void start(struct patient *patient)
{
    struct rt_config config = *patient->subject->config;

    config.log = hear;
    config.log_arg = patient;
    config.log_level = RT_LOG_ERROR;
    config.trace = NULL;
    config.flags |= RT_CONFIG_NO_SIGNALS;
    patient->started = rt_start(&config, tell_features, patient);
}

static void check_start(struct patient *patient)
{
    const uint32_t shards = patient->subject->plan->shard_count;

    if (patient->started < 0) {
        notes_add(patient->notes, LEVEL_BAD, "start", NULL,
                  "%u shard%s could not be started (%s): %s", shards, shards == 1 ? "" : "s",
                  rt_strerror(patient->started), patient->error);
        return;
    }
    notes_add(patient->notes, LEVEL_OK, "start", NULL, "%u shard%s started and ended", shards,
              shards == 1 ? "" : "s");
    notes_add(patient->notes, LEVEL_OK, "features", NULL, "granted: %s", patient->features);
}

/* The kernel */

static void check_kernel(struct patient *patient)
{
    const struct kernel *kernel = &patient->kernel;
    const size_t before = patient->notes->count;

    if (!kernel->known) {
        notes_add(patient->notes, LEVEL_WARNING, "kernel", text_of("uname -r"),
                  "its version cannot be read from /proc/sys/kernel/osrelease");
        return;
    }
    if (!kernel_is(kernel, 6, 1, 0)) {
        notes_add(patient->notes, LEVEL_BAD, "kernel", text_of("install Linux 6.1 or later"),
                  "Linux %s is older than 6.1", kernel->release);
        return;
    }
    notes_add(patient->notes, LEVEL_OK, "kernel", NULL, "Linux %s", kernel->release);
    kernel_faults(patient->notes, kernel);
    if (patient->notes->count == before + 1) {
        notes_add(patient->notes, LEVEL_OK, "fault", NULL, "none is known of Linux %d.%d.%d",
                  kernel->version[0], kernel->version[1], kernel->version[2]);
    }
}

static long read_switch(const struct patient *patient)
{
    return file_number(patient->subject->root, "/proc/sys/kernel/io_uring_disabled", 0);
}

static void check_switch(struct patient *patient)
{
    const long disabled = read_switch(patient);

    /* 1 spares members of a group and CAP_SYS_ADMIN: whether that is us, the start has shown. */
    if (disabled <= 0 || (disabled == 1 && patient->started == 0)) {
        notes_add(patient->notes, LEVEL_OK, "sysctl", NULL, "kernel.io_uring_disabled is %ld%s",
                  disabled, disabled == 1 ? ", and this user is excepted" : "");
    } else {
        notes_add(patient->notes, LEVEL_BAD, "sysctl",
                  text_of("sudo sysctl kernel.io_uring_disabled=0"),
                  "io_uring is turned off: kernel.io_uring_disabled is %ld", disabled);
    }
}

static void blame_filter(struct patient *patient, bool filtered)
{
    if (filtered) {
        notes_add(patient->notes, LEVEL_BAD, "seccomp",
                  text_of("docker run --security-opt seccomp=PROFILE.json IMAGE"),
                  "a filter refuses io_uring (%s): its profile must allow io_uring_setup, "
                  "io_uring_enter and io_uring_register",
                  strerrorname_np(-patient->started));
    } else if (patient->started == -ENOSYS) {
        notes_add(patient->notes, LEVEL_BAD, "seccomp",
                  text_of("install a kernel with CONFIG_IO_URING=y"),
                  "no filter is set, and the kernel has no io_uring (ENOSYS)");
    } else {
        notes_add(patient->notes, LEVEL_BAD, "seccomp",
                  text_of("journalctl --dmesg --grep 'avc|apparmor|io_uring'"),
                  "no filter is set, and io_uring is refused (%s): a security module may do so",
                  strerrorname_np(-patient->started));
    }
}

static void check_seccomp(struct patient *patient)
{
    char *mode = file_status(patient->subject->root, "Seccomp");
    const bool filtered = mode != NULL && strcmp(mode, "0") != 0;
    const int r = patient->started;

    free(mode);
    if ((r == -EPERM || r == -EACCES || r == -ENOSYS) && read_switch(patient) <= 0) {
        blame_filter(patient, filtered);
    } else {
        notes_add(patient->notes, LEVEL_OK, "seccomp", NULL, "%s",
                  filtered ? "a filter is set, but not against io_uring" : "no filter is set");
    }
}

/* Limits */

static uint64_t round_up(uint64_t bytes)
{
    return (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

static uint32_t power_of_two(uint32_t entries)
{
    uint32_t power = 1;

    while (power < entries) {
        power *= 2;
    }
    return power;
}

/* What the kernel maps for a ring. */
static uint64_t ring_bytes(const struct rt_config *config)
{
    const uint32_t wanted = config->cq_entries != 0 ? config->cq_entries : CQ_ENTRIES;
    const uint32_t sq = power_of_two(config->ring_entries != 0 ? config->ring_entries
                                                               : RING_ENTRIES);
    const uint32_t cq = power_of_two(wanted > sq ? wanted : sq);

    return round_up(RINGS_HEADER + (uint64_t)cq * CQE_BYTES) + round_up((uint64_t)sq * SQE_BYTES);
}

/* CAP_IPC_LOCK of the machine, not only of a user namespace in which this process is root. */
static bool may_lock(const char *root)
{
    char *capabilities = file_status(root, "CapEff");
    char *map = file_read(root, "/proc/self/uid_map");
    const unsigned long long bits = capabilities == NULL ? 0 : strtoull(capabilities, NULL, 16);
    unsigned long inside = 0;
    unsigned long outside = 0;
    bool whole = true;

    if (map != NULL) {
        char *end;

        inside = strtoul(map, &end, 10);
        outside = strtoul(end, &end, 10);
        whole = inside == 0 && outside == 0 && strtoul(end, NULL, 10) == UINT32_MAX;
    }
    free(capabilities);
    free(map);
    return whole && (bits >> CAP_IPC_LOCK_BIT & 1) != 0;
}

static void check_memlock(struct patient *patient)
{
    const struct subject *subject = patient->subject;
    const uint64_t need = subject->plan->shard_count * ring_bytes(subject->config) / 1024;
    struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

    (void)getrlimit(RLIMIT_MEMLOCK, &limit);
    /* 8078486e1d53 and 81a4058e0cd0 ("io_uring: use region api for SQ", "CQ") count rings again,
     * as before 5.12. */
    if (!kernel_is(&patient->kernel, 6, 14, 0)) {
        notes_add(patient->notes, LEVEL_OK, "memlock", NULL,
                  "this kernel does not count rings as locked memory");
    } else if (may_lock(subject->root) || limit.rlim_cur == RLIM_INFINITY) {
        notes_add(patient->notes, LEVEL_OK, "memlock", NULL, "no limit for this process");
    } else if (need > limit.rlim_cur / 1024) {
        notes_add(patient->notes, LEVEL_BAD, "memlock", text_of("ulimit -l %" PRIu64, need),
                  "the rings of %u shard%s take %" PRIu64 " KiB of locked memory; the limit of the "
                  "user is %" PRIu64 " KiB",
                  subject->plan->shard_count, subject->plan->shard_count == 1 ? "" : "s", need,
                  (uint64_t)limit.rlim_cur / 1024);
    } else {
        notes_add(patient->notes, LEVEL_OK, "memlock", NULL,
                  "rings take %" PRIu64 " of the %" PRIu64 " KiB that the user may lock", need,
                  (uint64_t)limit.rlim_cur / 1024);
    }
}

static void check_descriptors(struct patient *patient)
{
    const uint64_t need = DESCRIPTORS_BASE +
                          (uint64_t)DESCRIPTORS_SHARD * patient->subject->plan->shard_count;
    struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

    (void)getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < need) {
        notes_add(patient->notes, LEVEL_BAD, "descriptors",
                  text_of("ulimit -n %" PRIu64, need + SELECT_MAX),
                  "the runtime alone takes %" PRIu64 " descriptors; the limit is %" PRIu64, need,
                  (uint64_t)limit.rlim_cur);
    } else if (limit.rlim_cur <= SELECT_MAX && limit.rlim_max > limit.rlim_cur) {
        notes_add(patient->notes, LEVEL_WARNING, "descriptors", text_of("ulimit -n $(ulimit -Hn)"),
                  "%" PRIu64 " are left for files and connections; the limit of %" PRIu64
                  " is for programs that call select()",
                  (uint64_t)limit.rlim_cur - need, (uint64_t)limit.rlim_cur);
    } else {
        notes_add(patient->notes, LEVEL_OK, "descriptors", NULL,
                  "the runtime takes %" PRIu64 " of %" PRIu64, need, (uint64_t)limit.rlim_cur);
    }
}

/* Without guard_install a stack splits its mapping, and takes two of those that a process may
 * have (docs/design/decisions/0005-stacks.md). */
static void check_mappings(struct patient *patient)
{
    const long maps = file_number(patient->subject->root, "/proc/sys/vm/max_map_count", -1);
    const uint32_t wanted = patient->subject->config->tasks_max;
    const uint64_t tasks = (uint64_t)(wanted != 0 ? wanted : TASKS_MAX) *
                           patient->subject->plan->shard_count;

    if (patient->features[0] == '\0' || maps < 0) {
        notes_add(patient->notes, LEVEL_OK, "mappings", NULL,
                  "not looked at, since no shard has told how it guards its stacks");
    } else if (strstr(patient->features, "guard_install") != NULL) {
        notes_add(patient->notes, LEVEL_OK, "mappings", NULL,
                  "guards of stacks take none (vm.max_map_count is %ld)", maps);
    } else if (tasks > (uint64_t)maps / 2) {
        notes_add(patient->notes, LEVEL_WARNING, "mappings",
                  text_of("sudo sysctl vm.max_map_count=%" PRIu64,
                          tasks * 2 + SELECT_MAX < INT32_MAX ? tasks * 2 + SELECT_MAX : INT32_MAX),
                  "this kernel guards stacks by mappings, and vm.max_map_count is %ld: about %ld "
                  "tasks can live at a time, and --tasks-max lets %" PRIu64 " do so",
                  maps, maps / 2, tasks);
    } else {
        notes_add(patient->notes, LEVEL_OK, "mappings", NULL,
                  "enough for %" PRIu64 " tasks (vm.max_map_count is %ld)", tasks, maps);
    }
}

/* Settings */

static void check_hugepages(struct patient *patient)
{
    char *modes = file_read(patient->subject->root, "/sys/kernel/mm/transparent_hugepage/enabled");

    if (modes != NULL && strstr(modes, "[always]") != NULL) {
        notes_add(patient->notes, LEVEL_WARNING, "hugepages",
                  text_of("echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled"),
                  "given unasked: the first touch of new memory may clear 2 MiB while the shard "
                  "waits (stacks are excepted)");
    } else {
        notes_add(patient->notes, LEVEL_OK, "hugepages", NULL, "none is given unasked");
    }
    free(modes);
}

static void check_autogroup(struct patient *patient)
{
    const long enabled = file_number(patient->subject->root,
                                     "/proc/sys/kernel/sched_autogroup_enabled", 0);

    notes_add(patient->notes, LEVEL_OK, "autogroup", NULL, "%s",
              enabled > 0
                  ? "on: CPU time is shared by sessions first, so nice counts within one only"
                  : "off: CPU time is shared by threads");
}

void doctor_examine(struct notes *notes, const struct subject *subject)
{
    struct patient patient = { .notes = notes, .subject = subject };

    (void)pthread_mutex_init(&patient.lock, NULL);
    kernel_read(&patient.kernel, subject->root);
    start(&patient);
    check_kernel(&patient);
    check_switch(&patient);
    check_seccomp(&patient);
    check_start(&patient);
    check_memlock(&patient);
    check_descriptors(&patient);
    check_mappings(&patient);
    check_hugepages(&patient);
    check_autogroup(&patient);
    warn_or_praise(notes, subject);
    kernel_free(&patient.kernel);
    (void)pthread_mutex_destroy(&patient.lock);
}

bool doctor_is_alarmed(const struct notes *notes)
{
    for (size_t i = 0; i < notes->count; i++) {
        if (notes->array[i].level == LEVEL_BAD) {
            return true;
        }
    }
    return false;
}
