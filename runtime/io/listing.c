/* SPDX-License-Identifier: MIT */
/* Listing: what is asked of directories and links that the ring has no operation for, so it goes to
 * the pool (cross/blocking.h). */
#include <dirent.h>
#include <limits.h>
#include <string.h>

#include "cross/blocking.h"
#include "io/directory.h"
#include "os/sys.h"

/* What the C library reads at once, too. */
#define RAW_BYTES 32768

/* The kernel's record of a name, and so the smallest one takes 24 bytes: its head has 19, the name
 * 1 and a terminator, and the next begins at a multiple of 8. */
#define ENTRIES_MAX (RAW_BYTES / 24)

struct rti_listing {
    struct rt_directory_entry entries[ENTRIES_MAX];
    char raw[RAW_BYTES] __attribute__((aligned(8)));
};

/* On threads of the pool */

static enum rt_file_type type_of(unsigned char type)
{
    switch (type) {
    case DT_REG:
        return RT_TYPE_FILE;
    case DT_DIR:
        return RT_TYPE_DIRECTORY;
    case DT_LNK:
        return RT_TYPE_SYMLINK;
    case DT_UNKNOWN:
        return RT_TYPE_UNKNOWN;
    default:
        return RT_TYPE_OTHER;
    }
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Of records that take `bytes`; how many there are. */
static int make_entries(struct rti_listing *listing, size_t bytes)
{
    int count = 0;

    for (size_t at = 0; at < bytes;) {
        const struct dirent64 *record = (const void *)(listing->raw + at);

        if (!is_dots(record->d_name)) {
            listing->entries[count++] = (struct rt_directory_entry){
                .name = record->d_name,
                .inode = record->d_ino,
                .type = type_of(record->d_type),
            };
        }
        at += record->d_reclen;
    }
    return count;
}

/* Its result is that of rt_directory_read(). */
static int read_entries(void *arg)
{
    struct rt_directory *directory = arg;
    struct rti_listing *listing = directory->listing;
    int count = 0;
    ssize_t n = directory->rewinds ? rti_sys_seek(directory->handle.fd, 0) : 0;

    if (n < 0) {
        return (int)n;
    }
    directory->rewinds = false;
    do { /* a batch may have nothing but dots */
        n = rti_sys_getdents(directory->handle.fd, listing->raw, sizeof(listing->raw));
        count = n > 0 ? make_entries(listing, (size_t)n) : 0;
    } while (n > 0 && count == 0);
    return n < 0 ? (int)n : count;
}

struct link_text {
    const char *path;
    char *buf;
    size_t bytes;
    int fd;
};

static int read_link(void *arg)
{
    const struct link_text *text = arg;
    const ssize_t n = rti_sys_readlink(text->fd, text->path, text->buf,
                                       text->bytes < INT_MAX ? text->bytes : INT_MAX);

    if (n < 0) {
        return (int)n;
    }
    if ((size_t)n == text->bytes) {
        return -ERANGE; /* it was cut, or has no room for its terminator */
    }
    text->buf[n] = '\0';
    return (int)n;
}

/* On the shard */

static int call_read(struct rt_directory *directory, rt_time deadline)
{
    static const struct rti_wait_kind kind = RTI_BLOCKING_KIND("read directory");
    int result;
    int r;

    if (directory->listing == NULL) {
        directory->listing = rti_sys_alloc(sizeof(*directory->listing));
    }
    if (directory->listing == NULL) {
        return -ENOMEM;
    }
    r = rti_blocking_call(&kind, read_entries, directory, &result, deadline);
    return r < 0 ? r : result;
}

ssize_t rt_directory_read(struct rt_directory *directory, const struct rt_directory_entry **entries,
                          rt_time deadline)
{
    int r;

    RTI_ASSERT(directory != NULL && entries != NULL);
    (void)rti_directory_enter(directory, "rt_directory_read");
    if (directory->is_read) {
        rti_misuse("rt_directory_read(): another task is reading the directory");
    }
    directory->is_read = true;
    r = call_read(directory, deadline);
    directory->is_read = false;
    rti_directory_leave(directory);
    if (r >= 0) {
        *entries = directory->listing->entries;
    }
    return r;
}

void rt_directory_rewind(struct rt_directory *directory)
{
    (void)rti_handle_must_own(directory, "rt_directory_rewind");
    if (directory->is_read) {
        rti_misuse("rt_directory_rewind(): another task is reading the directory");
    }
    directory->rewinds = true;
}

ssize_t rt_readlink(struct rt_directory *at, const char *path, char *buf, size_t bytes,
                    rt_time deadline)
{
    static const struct rti_wait_kind kind = RTI_BLOCKING_KIND("readlink");
    struct link_text text = { .path = path, .buf = buf, .bytes = bytes };
    int result;
    int r;

    RTI_ASSERT(path != NULL && (buf != NULL || bytes == 0));
    text.fd = rti_directory_enter(at, "rt_readlink");
    r = bytes == 0 ? -ERANGE : rti_blocking_call(&kind, read_link, &text, &result, deadline);
    rti_directory_leave(at);
    return r < 0 ? r : result;
}
