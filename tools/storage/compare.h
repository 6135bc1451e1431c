/* SPDX-License-Identifier: MIT */
/*
 * Compare: is the new one of two results slower? Results are those of `rt-storage --json`, or of
 * fio with --output-format=json: the keys are the same, so either may be compared with the other.
 *
 * The verdict is on operations per second, job by job, reads and writes apart. Both programs look
 * at these twice a second; how much the samples differ gives an interval for the change. A row is
 * slower or faster when its whole interval lies beyond `threshold`: the change is certain, and
 * matters. The threshold also stands for what no interval knows, such as where a file came to lie
 * on the device. Latencies and CPU time are shown, without a verdict: there are no samples of them.
 */
#ifndef STORAGE_COMPARE_H
#define STORAGE_COMPARE_H

#include <stdbool.h>
#include <stdio.h>

#define COMPARE_THRESHOLD 0.03

/*
 * Print the comparison, as a table or as JSON; threshold: 0.03 for 3 %. Returns the exit status: 0
 * when nothing is slower, 1 when something is, or fails that did not; 2, after a message, when the
 * files cannot be compared.
 */
int compare(const char *path_old, const char *path_new, double threshold, bool json, FILE *out);

#endif /* STORAGE_COMPARE_H */
