/* SPDX-License-Identifier: MIT */
/*
 * Own group: a child process in a scheduling group of its own, which is preferred
 * to all others (sched_autogroup(7)). Else the other work of the machine takes
 * its share of the measured CPUs.
 */
#ifndef BENCH_OWN_GROUP_H
#define BENCH_OWN_GROUP_H

#include <stdbool.h>

/*
 * Call work(arg, why) in such a child, and return what it returned, as the exit
 * status of this process. SIGINT and SIGTERM go on to the child. `why`: NULL, or
 * why the group has no preference.
 */
int own_group_run(int (*work)(void *arg, const char *why), void *arg);

/* In the child: what it is doing, so that the parent can name it if the child ends meanwhile. */
void own_group_note(const char *text);

#endif /* BENCH_OWN_GROUP_H */
