/* SPDX-License-Identifier: MIT */
/*
 * Sim, the disk: what a power cut leaves of files and names.
 *
 * Beside what readers see, each file has what the disk holds for sure: its content at
 * the last sync, or as the test put it. What was done since are changes: a write is one
 * for each sector, and one more if the length changes. Names are the same: what is
 * durable, and what was created and removed since the directory was synced.
 *
 * D1 A cut leaves all that is durable, and any subset of the changes, in their order. So
 *    a length may be there without its data (which reads as zeros), and a synced file
 *    without its name.
 * D2 A sync makes durable what was changed before it was done, and only that of its file.
 *
 * A real file system loses less: its journal keeps some order. Code that holds here does
 * not lean on that.
 */
#include "sim_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define SECTOR_BYTES 512

/* Of a file's content. */
struct change {
    struct rti_list link;
    size_t at;
    size_t count; /* 0: the length becomes `at` */
    uint8_t bytes[];
};

/* Durable, or a change: the name means this file from now on, or none. */
struct name {
    struct rti_list link;
    struct sim_file *file; /* a reference; NULL: removed */
    char path[];
};

/* A file as the cut has left it. */
struct left {
    struct rti_list link;
    size_t size;
    uint8_t *bytes;
    char path[];
};

/* From the cut to sim_disk_restore(): between two runs, so not in `sim`. */
static struct rti_list image = { &image, &image };

/* ---- names ---- */

static void name_add(struct rti_list *list, const char *path, struct sim_file *file)
{
    const size_t bytes = strlen(path) + 1;
    struct name *name = sim_alloc(sizeof(*name) + bytes);

    memcpy(name->path, path, bytes);
    name->file = file;
    if (file != NULL) {
        file->refs++;
    }
    rti_list_push_back(list, &name->link);
}

static void name_free(struct name *name)
{
    rti_list_remove(&name->link);
    if (name->file != NULL) {
        sim_file_unref(name->file);
    }
    free(name);
}

static void names_clear(struct rti_list *list)
{
    struct rti_list *node;

    while ((node = rti_list_first(list)) != NULL) {
        name_free(RTI_CONTAINER_OF(node, struct name, link));
    }
}

static void name_set(struct rti_list *list, const char *path, struct sim_file *file)
{
    for (struct rti_list *node = list->next; node != list; node = node->next) {
        struct name *name = RTI_CONTAINER_OF(node, struct name, link);

        if (strcmp(name->path, path) == 0) {
            name_free(name);
            break;
        }
    }
    if (file != NULL) {
        name_add(list, path, file);
    }
}

void sim_disk_named(const char *path, struct sim_file *file)
{
    if (sim.config.disk) {
        name_add(&sim.disk.name_changes, path, file);
    }
}

int32_t sim_disk_sync_names(void)
{
    struct rti_list *node;

    while ((node = rti_list_first(&sim.disk.name_changes)) != NULL) {
        struct name *name = RTI_CONTAINER_OF(node, struct name, link);

        name_set(&sim.disk.names, name->path, name->file);
        name_free(name);
    }
    return 0;
}

/* ---- contents ---- */

static void changes_clear(struct sim_file *file)
{
    struct rti_list *node;

    while ((node = rti_list_first(&file->changes)) != NULL) {
        rti_list_remove(node);
        free(RTI_CONTAINER_OF(node, struct change, link));
    }
}

static void change_add(struct sim_file *file, size_t at, const uint8_t *bytes, size_t count)
{
    struct change *change = sim_alloc(sizeof(*change) + count);

    change->at = at;
    change->count = count;
    if (count > 0) {
        memcpy(change->bytes, bytes, count);
    }
    rti_list_push_back(&file->changes, &change->link);
}

void sim_disk_wrote(struct sim_file *file, size_t at, size_t count)
{
    const size_t end = at + count;

    while (sim.config.disk && at < end) {
        const size_t left = SECTOR_BYTES - at % SECTOR_BYTES;
        const size_t part = left < end - at ? left : end - at;

        change_add(file, at, file->bytes + at, part);
        at += part;
    }
}

void sim_disk_resized(struct sim_file *file)
{
    if (sim.config.disk) {
        change_add(file, file->size, NULL, 0);
    }
}

int32_t sim_disk_sync(struct sim_file *file)
{
    if (!sim.config.disk) {
        return 0;
    }
    changes_clear(file);
    free(file->durable);
    file->durable = sim_alloc(file->size + 1);
    if (file->size > 0) {
        memcpy(file->durable, file->bytes, file->size);
    }
    file->durable_size = file->size;
    return 0;
}

void sim_disk_forget(struct sim_file *file)
{
    changes_clear(file);
    free(file->durable);
}

/* ---- the cut ---- */

/* The whole length that a file ever had since it was synced. */
static size_t most_bytes(const struct sim_file *file)
{
    size_t most = file->durable_size;

    for (const struct rti_list *node = file->changes.next; node != &file->changes;
         node = node->next) {
        const struct change *change = RTI_CONTAINER_OF(node, const struct change, link);
        const size_t end = change->at + change->count;

        most = end > most ? end : most;
    }
    return most;
}

static void apply(struct left *left, size_t most, const struct change *change)
{
    if (change->count > 0) {
        memcpy(left->bytes + change->at, change->bytes, change->count);
        return;
    }
    if (change->at < left->size) {
        memset(left->bytes + change->at, 0, most - change->at);
    }
    left->size = change->at;
}

static void keep(const struct name *name, unsigned per_mille)
{
    const struct sim_file *file = name->file;
    const size_t most = most_bytes(file);
    const size_t path_bytes = strlen(name->path) + 1;
    struct left *left = sim_alloc(sizeof(*left) + path_bytes);

    memcpy(left->path, name->path, path_bytes);
    left->bytes = sim_alloc(most + 1);
    left->size = file->durable_size;
    if (file->durable_size > 0) {
        memcpy(left->bytes, file->durable, file->durable_size);
    }
    for (const struct rti_list *node = file->changes.next; node != &file->changes;
         node = node->next) {
        if (rand_chance(&sim.rand, per_mille)) {
            apply(left, most, RTI_CONTAINER_OF(node, const struct change, link));
        }
    }
    rti_list_push_back(&image, &left->link);
}

static void image_clear(void)
{
    struct rti_list *node;

    while ((node = rti_list_first(&image)) != NULL) {
        struct left *left = RTI_CONTAINER_OF(node, struct left, link);

        rti_list_remove(node);
        free(left->bytes);
        free(left);
    }
}

void sim_disk_cut(void)
{
    static const unsigned mostly[] = { 0, 100, 500, 900, 1000 };
    const unsigned per_mille = mostly[rand_below(&sim.rand, 5)];
    struct rti_list names = { &names, &names };

    RTI_ASSERT(sim.is_active && sim.config.disk);
    image_clear();
    for (struct rti_list *node = sim.disk.names.next; node != &sim.disk.names; node = node->next) {
        const struct name *name = RTI_CONTAINER_OF(node, struct name, link);

        name_set(&names, name->path, name->file);
    }
    for (struct rti_list *node = sim.disk.name_changes.next; node != &sim.disk.name_changes;
         node = node->next) {
        const struct name *name = RTI_CONTAINER_OF(node, struct name, link);

        if (rand_chance(&sim.rand, per_mille)) {
            name_set(&names, name->path, name->file);
        }
    }
    for (struct rti_list *node = names.next; node != &names; node = node->next) {
        keep(RTI_CONTAINER_OF(node, struct name, link), per_mille);
    }
    names_clear(&names);
}

void sim_disk_restore(void)
{
    for (struct rti_list *node = image.next; node != &image; node = node->next) {
        const struct left *left = RTI_CONTAINER_OF(node, struct left, link);

        sim_file_put(left->path, left->bytes, left->size);
    }
    image_clear();
}

void sim_disk_cut_before(uint64_t operation, void (*hook)(void *arg), void *arg)
{
    RTI_ASSERT(sim.is_active && sim.config.disk);
    sim.disk.cut_before = operation;
    sim.disk.hook = hook;
    sim.disk.arg = arg;
}

void sim_disk_operation(void)
{
    if (++sim.disk.operations == sim.disk.cut_before) {
        sim_disk_cut();
        sim.disk.hook(sim.disk.arg);
    }
}

void sim_disk_begin(void)
{
    rti_list_init(&sim.disk.names);
    rti_list_init(&sim.disk.name_changes);
}

void sim_disk_end(void)
{
    names_clear(&sim.disk.names);
    names_clear(&sim.disk.name_changes);
}
