/* SPDX-License-Identifier: MIT */
/*
 * Folder: a directory for the files of a test, below TMPDIR or /tmp, which goes with all that is in
 * it.
 *
 *     cmocka_unit_test_setup_teardown(test, folder_make, folder_remove)     or of all of a group
 *     fd = open(folder_file("data"), ...);
 */
#ifndef RT_TEST_FOLDER_H
#define RT_TEST_FOLDER_H

#include "support/harness.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder_path[224];

static inline int folder_make(void **state)
{
    const char *below = getenv("TMPDIR");

    (void)state;
    snprintf(folder_path, sizeof(folder_path), "%s/shardrt-test-XXXXXX",
             below != NULL ? below : "/tmp");
    return mkdtemp(folder_path) != NULL ? 0 : -1;
}

/* The same, and it is the working directory. */
static inline int folder_enter(void **state)
{
    return folder_make(state) == 0 && chdir(folder_path) == 0 ? 0 : -1;
}

static inline int folder_remove_one(const char *path, const struct stat *info, int kind,
                                    struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

static inline int folder_remove(void **state)
{
    (void)state;
    return chdir("/") == 0 && nftw(folder_path, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0
               ? 0
               : -1;
}

/* The path of a name in it; valid until the next call. */
static inline const char *folder_file(const char *name)
{
    static char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s", folder_path, name);
    return path;
}

/* The same, for good, after the folders that it lies in were made. */
static inline void folder_make_way(char path[PATH_MAX], const char *name)
{
    snprintf(path, PATH_MAX, "%s", folder_file(name));
    for (char *slash = strchr(path + strlen(folder_path) + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
        *slash = '/';
    }
}

/* A file with this text, and the folders that it lies in. */
static inline void folder_put(const char *name, const char *text)
{
    char path[PATH_MAX];
    FILE *file;

    folder_make_way(path, name);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

#endif /* RT_TEST_FOLDER_H */
