/* SPDX-License-Identifier: MIT */
/*
 * Whole files: read at once, made at once, replaced at once.
 *
 *     void *text;
 *     size_t bytes;
 *
 *     if (rt_file_load("settings", 65536, &text, &bytes, RT_NEVER) == 0) {
 *         r = rt_file_replace("settings", text, bytes / 2, 0644, RT_NEVER);
 *         rt_file_unload(text);
 *     }
 *
 * A file that is stored or replaced is written under another name in its directory
 * (".shardrt-" and six letters), made durable, and then renamed. So who opens it finds
 * the old content or the new one, never a part; also after a power cut at any moment.
 * What a power cut or a kill may leave is the file under the other name: no process that
 * runs then owns it, so a service may remove such names when it starts.
 */
#ifndef RT_WHOLE_FILE_H
#define RT_WHOLE_FILE_H

#include <sys/types.h>

#include "rt/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Read a whole file into memory, of which it takes 16 KiB at least where the limit allows. Files
 * whose size is not known beforehand (/proc) too.
 *
 * @param limit   bytes that the file may have at most.
 * @param memory  gets the content and a zero behind it, on success only; the caller gives it back
 *                by rt_file_unload().
 * @param bytes   gets the length, without that zero, on success only.
 * @return 0; -EFBIG above the limit; -ENOMEM; what open(2) or read(2) fail with (-EISDIR);
 *         -ETIME; -ECANCELED.
 * \context{In a task. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_file_load(const char *path, size_t limit, void **memory, size_t *bytes, rt_time deadline);

/**
 * Free what rt_file_load() has read.
 *
 * @param memory  NULL does nothing.
 * \context{Any thread. Does not suspend.}
 */
RT_API RT_ANY_THREAD
void rt_file_unload(void *memory);

/**
 * Make a file that is not there yet, with its content; on success both are durable.
 *
 * @param buf   may be NULL where `bytes` is 0.
 * @param mode  permissions, less the umask.
 * @return 0; -EEXIST: the name is taken; -EINVAL where the path ends with no name (a text says so),
 *         and on a file system that cannot rename without replacing (NFS); or as
 *         rt_file_replace().
 * \context{In a task. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_file_store(const char *path, const void *buf, size_t bytes, mode_t mode, rt_time deadline);

/**
 * Replace a file's content in one step, or make the file; on success the new content is durable.
 *
 * The name gets a new file: others who have the old one open keep the old content; owner and
 * permissions are those of a new file; a symbolic link is itself replaced.
 *
 * On failure the file is as it was and nothing is left beside it (where even removing fails, a
 * text names what is left). With one exception: when the sync of the directory fails, which is
 * the last step, its error is returned while the name already has the new content; a power cut
 * may then leave either. The deadline and a cancel do not end that step.
 *
 * @param buf   may be NULL where `bytes` is 0.
 * @param mode  permissions, less the umask.
 * @return 0; -EINVAL where the path ends with no name (a text says so); -ENOSPC, -EIO and whatever
 *         else making, writing, syncing and renaming a file can fail with; -ENOMEM; -ETIME;
 *         -ECANCELED.
 * \context{In a task. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_file_replace(const char *path, const void *buf, size_t bytes, mode_t mode, rt_time deadline);

#ifdef __cplusplus
}
#endif

#endif /* RT_WHOLE_FILE_H */
