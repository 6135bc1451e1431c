/* SPDX-License-Identifier: MIT */
/* Topology: see topology.h. hwloc keeps what it found only as long as it takes to copy it. */
#include "shard/topology.h"

#include <errno.h>
#include <hwloc.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "core/config.h"
#include "os/quota.h"
#include "os/sys.h"

/* What the walk over the CPUs remembers of the one before. */
struct walk {
    hwloc_topology_t hwloc;
    hwloc_const_cpuset_t allowed; /* by cpuset and affinity */
    hwloc_obj_t core;
    hwloc_obj_t cache;
    int32_t cores;  /* met so far */
    int32_t caches; /* met so far */
    int32_t thread; /* the next one of the core */
};

static int fail(const struct rti_log *log, const char *what, const char *text, int error)
{
    rti_log(log, RT_LOG_ERROR, "%s%s%s%s cannot be read: %s", what, text == NULL ? "" : " \"",
            text == NULL ? "" : text, text == NULL ? "" : "\"", strerrordesc_np(error));
    return -error;
}

/* hwloc leaves errno alone when it has no name for what went wrong. */
static int hwloc_error(void)
{
    return errno != 0 ? errno : EIO;
}

static int open_source(hwloc_topology_t hwloc, enum rt_topology_source source, const char *text,
                       const struct rti_log *log)
{
    errno = 0;
    switch (source) {
    case RT_TOPOLOGY_THIS:
        return 0;
    case RT_TOPOLOGY_SYNTHETIC:
        return hwloc_topology_set_synthetic(hwloc, text) == 0
                   ? 0
                   : fail(log, "the description of a machine", text, hwloc_error());
    case RT_TOPOLOGY_XML:
        return hwloc_topology_set_xml(hwloc, text) == 0
                   ? 0
                   : fail(log, "the file of a machine", text, hwloc_error());
    }
    rti_log(log, RT_LOG_ERROR, "source %d of a topology is unknown", (int)source);
    return -EINVAL;
}

/* hwloc loads its plugins with the first topology of the process and unloads them with the last.
 * That takes several times as long as to read the machine (2.5 ms and 0.35), so one topology that
 * nobody uses stays, and the next read finds them loaded. */
static void keep_plugins(void)
{
    static hwloc_topology_t kept;
    hwloc_topology_t none = NULL;
    hwloc_topology_t idle;

    if (__atomic_load_n(&kept, __ATOMIC_RELAXED) != NULL || hwloc_topology_init(&idle) < 0) {
        return;
    }
    if (!__atomic_compare_exchange_n(&kept, &none, idle, false, __ATOMIC_RELAXED,
                                     __ATOMIC_RELAXED)) {
        hwloc_topology_destroy(idle); /* another thread was first; nobody looks into either */
    }
}

/* What only a picture of the machine needs: instruction caches, disks and network interfaces; but
 * not what stands for them on the PCI bus, and not the plugins that would start the drivers of
 * graphics cards. */
static int want_details(hwloc_topology_t hwloc)
{
    static const char *const graphics[] = { "opencl", "gl", "cuda", "nvml", "rsmi", "levelzero" };

    for (size_t i = 0; i < sizeof(graphics) / sizeof(graphics[0]); i++) {
        /* Fails for one that is not installed. */
        (void)hwloc_topology_set_components(hwloc, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST,
                                            graphics[i]);
    }
    if (hwloc_topology_set_icache_types_filter(hwloc, HWLOC_TYPE_FILTER_KEEP_ALL) < 0) {
        return -1;
    }
    return hwloc_topology_set_type_filter(hwloc, HWLOC_OBJ_OS_DEVICE,
                                          HWLOC_TYPE_FILTER_KEEP_IMPORTANT);
}

static int load(hwloc_topology_t hwloc, enum rt_topology_source source, const char *text,
                bool with_details, const struct rti_log *log)
{
    /* CPUs that are not allowed stay known, so that errors can speak of them. To learn more of
     * some processors hwloc would move this thread over all CPUs: not in a user's thread. */
    unsigned long flags = HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED;
    int r = open_source(hwloc, source, text, log);

    if (r < 0) {
        return r;
    }
    if (source == RT_TOPOLOGY_THIS) {
        flags |= HWLOC_TOPOLOGY_FLAG_DONT_CHANGE_BINDING;
    }
    errno = 0;
    if (hwloc_topology_set_flags(hwloc, flags) < 0 || (with_details && want_details(hwloc) < 0) ||
        hwloc_topology_load(hwloc) < 0) {
        return fail(log, "the machine", text, hwloc_error());
    }
    return 0;
}

/* The largest cache above a CPU. */
static hwloc_obj_t largest_cache(hwloc_obj_t pu)
{
    hwloc_obj_t largest = NULL;

    for (hwloc_obj_t object = pu->parent; object != NULL; object = object->parent) {
        if (hwloc_obj_type_is_dcache(object->type)) {
            largest = object;
        }
    }
    return largest;
}

/* Of several nodes that are equally near, the first has the ordinary memory: the kernel numbers
 * nodes with CPUs before those without. */
static int32_t nearest_node(hwloc_obj_t pu)
{
    return pu->nodeset == NULL ? -1 : hwloc_bitmap_first(pu->nodeset);
}

/* The cpuset is as far as hwloc can see it: one of a hidden cgroup looks like an affinity. */
static enum rt_cpu_state read_state(const struct walk *walk, unsigned number)
{
    if (hwloc_bitmap_isset(walk->allowed, number)) {
        return RT_CPU_ALLOWED;
    }
    return hwloc_bitmap_isset(hwloc_topology_get_allowed_cpuset(walk->hwloc), number)
               ? RT_CPU_MASKED
               : RT_CPU_DISALLOWED;
}

static void read_cpu(struct walk *walk, struct rt_topology_cpu *cpu, hwloc_obj_t pu)
{
    hwloc_obj_t core = hwloc_get_ancestor_obj_by_type(walk->hwloc, HWLOC_OBJ_CORE, pu);
    hwloc_obj_t package = hwloc_get_ancestor_obj_by_type(walk->hwloc, HWLOC_OBJ_PACKAGE, pu);
    hwloc_obj_t cache = largest_cache(pu);

    if (core == NULL || core != walk->core) {
        walk->core = core;
        walk->cores++;
        walk->thread = 0;
    }
    if (cache != NULL && cache != walk->cache) {
        walk->cache = cache;
        walk->caches++;
    }
    cpu->number = (int32_t)pu->os_index;
    cpu->core = walk->cores - 1;
    cpu->thread = walk->thread++;
    cpu->cache = cache == NULL ? -1 : walk->caches - 1;
    cpu->package = package == NULL ? -1 : (int32_t)package->logical_index;
    cpu->node = nearest_node(pu);
    cpu->state = read_state(walk, pu->os_index);
}

/* Neighbours stand together in hwloc's order too. */
static int read_cpus(struct rt_topology *topology, hwloc_topology_t hwloc,
                     hwloc_const_cpuset_t allowed)
{
    struct walk walk = { .hwloc = hwloc, .allowed = allowed };
    hwloc_const_cpuset_t all = hwloc_topology_get_complete_cpuset(hwloc);
    hwloc_const_cpuset_t online = hwloc_topology_get_topology_cpuset(hwloc);
    const int count = hwloc_bitmap_weight(all);
    uint32_t n = 0;

    topology->cpus = count <= 0 ? NULL : rti_sys_alloc((size_t)count * sizeof(*topology->cpus));
    if (topology->cpus == NULL) {
        return count <= 0 ? -EINVAL : -ENOMEM;
    }
    for (hwloc_obj_t pu = NULL;
         (pu = hwloc_get_next_obj_by_type(hwloc, HWLOC_OBJ_PU, pu)) != NULL;) {
        RTI_ASSERT(n < (uint32_t)count);
        read_cpu(&walk, &topology->cpus[n++], pu);
    }
    for (int number = hwloc_bitmap_first(all); number >= 0;
         number = hwloc_bitmap_next(all, number)) {
        if (!hwloc_bitmap_isset(online, (unsigned)number)) {
            RTI_ASSERT(n < (uint32_t)count);
            topology->cpus[n++] = (struct rt_topology_cpu){ number,        -1, -1, -1, -1, -1,
                                                            RT_CPU_OFFLINE };
        }
    }
    topology->cpu_count = n;
    topology->core_count = (uint32_t)walk.cores;
    return 0;
}

static void count_cache(struct rt_topology *topology, hwloc_obj_t object)
{
    static const uint8_t kinds[] = {
        [HWLOC_OBJ_CACHE_UNIFIED] = RT_CACHE_UNIFIED,
        [HWLOC_OBJ_CACHE_DATA] = RT_CACHE_DATA,
        [HWLOC_OBJ_CACHE_INSTRUCTION] = RT_CACHE_INSTRUCTION,
    };
    const struct rt_topology_cache cache = {
        .level = object->attr->cache.depth,
        .kind = kinds[object->attr->cache.type],
        .count = 1,
        .cpus = (uint32_t)hwloc_bitmap_weight(object->cpuset),
        .bytes = object->attr->cache.size,
    };

    for (uint32_t i = 0; i < topology->cache_count; i++) {
        struct rt_topology_cache *other = &topology->caches[i];

        if (other->level == cache.level && other->kind == cache.kind && other->cpus == cache.cpus &&
            other->bytes == cache.bytes) {
            other->count++;
            return;
        }
    }
    topology->caches[topology->cache_count++] = cache;
}

/* From the largest to the smallest; each level of the tree has caches of one type. */
static int read_caches(struct rt_topology *topology, hwloc_topology_t hwloc)
{
    const int depths = hwloc_topology_get_depth(hwloc);
    size_t objects = 0;

    for (int depth = 0; depth < depths; depth++) {
        if (hwloc_obj_type_is_cache(hwloc_get_depth_type(hwloc, depth))) {
            objects += hwloc_get_nbobjs_by_depth(hwloc, depth);
        }
    }
    topology->caches = rti_sys_alloc((objects + 1) * sizeof(*topology->caches));
    if (topology->caches == NULL) {
        return -ENOMEM;
    }
    for (int depth = 0; depth < depths; depth++) {
        if (!hwloc_obj_type_is_cache(hwloc_get_depth_type(hwloc, depth))) {
            continue;
        }
        for (hwloc_obj_t object = NULL;
             (object = hwloc_get_next_obj_by_depth(hwloc, depth, object)) != NULL;) {
            count_cache(topology, object);
        }
    }
    return 0;
}

static int read_nodes(struct rt_topology *topology, hwloc_topology_t hwloc)
{
    const int count = hwloc_get_nbobjs_by_type(hwloc, HWLOC_OBJ_NUMANODE);
    hwloc_obj_t object = NULL;

    topology->nodes = rti_sys_alloc(((size_t)count + 1) * sizeof(*topology->nodes));
    if (topology->nodes == NULL) {
        return -ENOMEM;
    }
    while ((object = hwloc_get_next_obj_by_type(hwloc, HWLOC_OBJ_NUMANODE, object)) != NULL) {
        struct rt_topology_node *node = &topology->nodes[topology->node_count++];

        node->number = (int32_t)object->os_index;
        node->bytes = object->attr->numanode.local_memory;
        for (uint32_t i = 0; i < topology->cpu_count; i++) {
            node->cpus += topology->cpus[i].node == node->number;
        }
    }
    return 0;
}

/* The place of a node that hwloc names among ours. */
static uint32_t place_of(const struct rt_topology *topology, hwloc_obj_t object)
{
    uint32_t i = 0;

    while (i < topology->node_count &&
           (object == NULL || topology->nodes[i].number != (int32_t)object->os_index)) {
        i++;
    }
    return i;
}

static void fill_distances(struct rt_topology *topology, const struct hwloc_distances_s *found)
{
    const uint32_t count = topology->node_count;

    for (uint32_t i = 0; i < found->nbobjs; i++) {
        for (uint32_t j = 0; j < found->nbobjs; j++) {
            const uint32_t from = place_of(topology, found->objs[i]);
            const uint32_t to = place_of(topology, found->objs[j]);

            if (from < count && to < count) {
                topology->distances[from * count + to] = (uint32_t)
                                                             found->values[i * found->nbobjs + j];
            }
        }
    }
}

/* A description in words has none, nor has a machine with one node. */
static int read_distances(struct rt_topology *topology, hwloc_topology_t hwloc)
{
    const size_t count = topology->node_count;
    struct hwloc_distances_s *found = NULL;
    unsigned matrices = 1;
    int r = 0;

    if (hwloc_distances_get_by_type(hwloc, HWLOC_OBJ_NUMANODE, &matrices, &found,
                                    HWLOC_DISTANCES_KIND_MEANS_LATENCY, 0) < 0 ||
        matrices == 0) {
        return 0;
    }
    if (found->nbobjs == count) { /* one that leaves a node out is no help */
        topology->distances = rti_sys_alloc(count * count * sizeof(*topology->distances));
        if (topology->distances == NULL) {
            r = -ENOMEM;
        } else {
            fill_distances(topology, found);
        }
    }
    hwloc_distances_release(hwloc, found);
    return r;
}

static void read_device(struct rt_topology *topology, hwloc_topology_t hwloc, hwloc_obj_t object)
{
    hwloc_obj_t place = hwloc_get_non_io_ancestor_obj(hwloc, object);
    struct rt_topology_device *device = &topology->devices[topology->device_count++];

    snprintf(device->name, sizeof(device->name), "%s", object->name == NULL ? "?" : object->name);
    device->kind = object->attr->osdev.type == HWLOC_OBJ_OSDEV_BLOCK ? RT_DEVICE_BLOCK
                                                                     : RT_DEVICE_NETWORK;
    device->node = -1;
    if (place != NULL && place->nodeset != NULL && hwloc_bitmap_weight(place->nodeset) == 1) {
        device->node = hwloc_bitmap_first(place->nodeset);
    }
}

static int read_devices(struct rt_topology *topology, hwloc_topology_t hwloc)
{
    const int count = hwloc_get_nbobjs_by_type(hwloc, HWLOC_OBJ_OS_DEVICE);
    hwloc_obj_t object = NULL;

    topology->devices = rti_sys_alloc(((size_t)count + 1) * sizeof(*topology->devices));
    if (topology->devices == NULL) {
        return -ENOMEM;
    }
    while ((object = hwloc_get_next_osdev(hwloc, object)) != NULL) {
        if (object->attr->osdev.type == HWLOC_OBJ_OSDEV_BLOCK ||
            object->attr->osdev.type == HWLOC_OBJ_OSDEV_NETWORK) {
            read_device(topology, hwloc, object);
        }
    }
    return 0;
}

/* The CPUs that this thread may use, by cpuset and by taskset; of another machine, those that
 * its description allows. */
static int read_allowed(hwloc_bitmap_t allowed, hwloc_topology_t hwloc,
                        enum rt_topology_source source)
{
    errno = 0;
    if (source == RT_TOPOLOGY_THIS) {
        return hwloc_get_cpubind(hwloc, allowed, HWLOC_CPUBIND_THREAD) == 0 ? 0 : -hwloc_error();
    }
    return hwloc_bitmap_copy(allowed, hwloc_topology_get_allowed_cpuset(hwloc)) == 0 ? 0 : -ENOMEM;
}

static int copy(struct rt_topology *topology, hwloc_topology_t hwloc,
                enum rt_topology_source source)
{
    hwloc_bitmap_t allowed = hwloc_bitmap_alloc();
    int r = allowed == NULL ? -ENOMEM : read_allowed(allowed, hwloc, source);

    if (r == 0) {
        r = read_cpus(topology, hwloc, allowed);
    }
    if (r == 0) {
        r = read_caches(topology, hwloc);
    }
    if (r == 0) {
        r = read_nodes(topology, hwloc);
    }
    if (r == 0) {
        r = read_distances(topology, hwloc);
    }
    if (r == 0) {
        r = read_devices(topology, hwloc);
    }
    topology->package_count = (uint32_t)hwloc_get_nbobjs_by_type(hwloc, HWLOC_OBJ_PACKAGE);
    hwloc_bitmap_free(allowed);
    return r;
}

static int copy_or_explain(struct rt_topology **out, hwloc_topology_t hwloc,
                           enum rt_topology_source source, const struct rti_log *log)
{
    struct rt_topology *topology = rti_sys_alloc(sizeof(*topology));
    int r = topology == NULL ? -ENOMEM : copy(topology, hwloc, source);

    if (r < 0) {
        rt_topology_destroy(topology);
        return fail(log, "the machine", NULL, -r);
    }
    if (source == RT_TOPOLOGY_THIS) {
        topology->cpu_quota = rti_quota_read("", log);
    }
    *out = topology;
    return 0;
}

int rti_topology_read(struct rt_topology **out, enum rt_topology_source source, const char *text,
                      bool with_details, const struct rti_log *log)
{
    hwloc_topology_t hwloc;
    int r;

    if (hwloc_topology_init(&hwloc) < 0) {
        return fail(log, "the machine", NULL, ENOMEM);
    }
    keep_plugins();
    r = load(hwloc, source, text, with_details, log);
    if (r == 0) {
        r = copy_or_explain(out, hwloc, source, log);
    }
    hwloc_topology_destroy(hwloc);
    return r;
}

int rt_topology_read(struct rt_topology **out, uint32_t source, const char *text,
                     const struct rt_config *config)
{
    struct rt_config complete;
    struct rti_log log;
    const int r = rti_config_read(&complete, &log, config);

    RTI_ASSERT(out != NULL);
    if (r < 0) {
        return r;
    }
    if ((source == RT_TOPOLOGY_THIS) != (text == NULL)) {
        rti_log(&log, RT_LOG_ERROR, "a topology is read from this machine or from a text, not %s",
                text == NULL ? "from no text" : "from both");
        return -EINVAL;
    }
    return rti_topology_read(out, (enum rt_topology_source)source, text, true, &log);
}

double rt_topology_quota(const char *root, const struct rt_config *config)
{
    struct rt_config complete;
    struct rti_log log;
    const int r = rti_config_read(&complete, &log, config);

    RTI_ASSERT(root != NULL);
    return r < 0 ? r : rti_quota_read(root, &log);
}

void rt_topology_destroy(struct rt_topology *topology)
{
    if (topology == NULL) {
        return;
    }
    rti_sys_free(topology->cpus);
    rti_sys_free(topology->caches);
    rti_sys_free(topology->nodes);
    rti_sys_free(topology->devices);
    rti_sys_free(topology->distances);
    rti_sys_free(topology);
}
