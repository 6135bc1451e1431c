/* SPDX-License-Identifier: MIT */
/*
 * No-suspend sections: calls between which no other task of the shard can run.
 *
 *     struct rt_no_suspend section;
 *
 *     rt_no_suspend_begin(&section, RT_HERE);
 *     unlink_entry(index, entry);             between these two the index is half changed, so a
 *     link_entry(index, entry);               call that lets other tasks in would be a mistake
 *     rt_no_suspend_end(&section);
 *
 * Tasks of a shard run one at a time, so what they share needs no lock as long as nothing suspends
 * meanwhile. A section says so, and holds the program to it in every build: a call that suspends
 * inside, however deep, aborts and names the section. A call that does not have to wait does not
 * suspend. Sections cost a few instructions, and nothing to those who have none.
 *
 * Sections nest, lie in the frame of the task that begins them, and are ended by it in reverse
 * order. Poll and drop functions of futures and trace functions are such sections by themselves.
 */
#ifndef RT_NO_SUSPEND_H
#define RT_NO_SUSPEND_H

#include "rt/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define RT_STRING_OF(text)    #text
#define RT_STRING_FROM(macro) RT_STRING_OF(macro)

/** The place in the source, "file.c:123". */
#define RT_HERE __FILE__ ":" RT_STRING_FROM(__LINE__)

struct rt_no_suspend {
    /* private */
    struct rt_no_suspend *outer;
    const char *where;
};

/**
 * Begin a section.
 *
 * @param where  names it when something suspends inside: RT_HERE, or words. Must stay valid until
 *               the section ends.
 * \context{In a task. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_no_suspend_begin(struct rt_no_suspend *section, const char *where);

/**
 * End the innermost section, which must be this one; else aborts.
 *
 * \context{In the task that began it. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_no_suspend_end(struct rt_no_suspend *section);

#ifdef __cplusplus
}
#endif

#endif /* RT_NO_SUSPEND_H */
