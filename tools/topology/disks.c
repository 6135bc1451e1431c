/* SPDX-License-Identifier: MIT */
/*
 * Disks: see disks.h.
 *
 * The class folders of /sys have a link to the folder of a disk, or of an NVMe
 * controller. Some folder above it stands for the device on the bus, and names its
 * interrupts in `msi_irqs`.
 */
#include "disks.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "interrupts.h"
#include "numbers.h"

/* For the caller to free; NULL: it is not to be seen. */
static char *folder_of(const char *root, const char *disk)
{
    static const char *const classes[] = { "block", "nvme" };
    char *folder = NULL;

    for (size_t i = 0; folder == NULL && i < sizeof(classes) / sizeof(classes[0]); i++) {
        char *link = text_of("%s/sys/class/%s/%s", root, classes[i], disk);

        folder = realpath(link, NULL);
        free(link);
    }
    return folder;
}

/* The list of interrupts in the nearest folder above that has one, or NULL. Changes `folder`. */
static DIR *open_list(char *folder)
{
    char *slash;
    DIR *list = NULL;

    while (list == NULL && strstr(folder, "/devices/") != NULL &&
           (slash = strrchr(folder, '/')) != NULL) {
        char *name = text_of("%s/msi_irqs", folder);

        list = opendir(name);
        free(name);
        *slash = '\0';
    }
    return list;
}

static void find_cpus(struct numbers *cpus, const char *root, const char *disk)
{
    char *folder = folder_of(root, disk);
    DIR *list = folder == NULL ? NULL : open_list(folder);
    const struct dirent *entry;

    while (list != NULL && (entry = readdir(list)) != NULL) {
        if (entry->d_name[0] != '.') {
            interrupt_cpus(cpus, root, strtol(entry->d_name, NULL, 10));
        }
    }
    if (list != NULL) {
        (void)closedir(list);
    }
    free(folder);
}

static void tell(struct notes *notes, const char *root, const char *disk)
{
    struct numbers cpus = { 0 };
    char *text;

    find_cpus(&cpus, root, disk);
    text = numbers_text(&cpus);
    if (cpus.count > 0) {
        notes_add(notes, LEVEL_OK, "interrupts", NULL, "interrupts of %s come to CPU%s %s", disk,
                  cpus.count == 1 ? "" : "s", text);
    } else {
        notes_add(notes, LEVEL_OK, "interrupts", NULL,
                  "it is not known to which CPUs interrupts of %s come", disk);
    }
    free(text);
    numbers_free(&cpus);
}

void tell_disks(struct notes *notes, const struct subject *subject)
{
    char *names;
    char *rest;
    const char *disk;

    if (subject->root == NULL || subject->plan->near_disks == NULL) {
        return;
    }
    names = text_of("%s", subject->plan->near_disks);
    rest = names;
    while ((disk = strsep(&rest, " ")) != NULL) {
        if (*disk != '\0') {
            tell(notes, subject->root, disk);
        }
    }
    free(names);
}
