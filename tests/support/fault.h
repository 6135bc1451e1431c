/* SPDX-License-Identifier: MIT */
/*
 * Fault: makes the nth system call of the runtime fail, and counts what lives.
 *
 *     for (unsigned n = 1;; n++) {
 *         fault_begin(n);
 *         run();                          must not crash, hang or leak
 *         if (!fault_end()) break;        fewer than n calls were made: done
 *     }
 *
 * A test links with fault.c and with --wrap for every function of os/sys.h.
 * Each fails with an error that the real one can give. What gives something
 * back (close, munmap) is done and reports failure all the same, as in Linux.
 */
#ifndef RT_TEST_FAULT_H
#define RT_TEST_FAULT_H

#include <stdbool.h>
#include <stdint.h>

/* Count calls from now on; the nth fails (0: none does). */
void fault_begin(unsigned n);

/* Stop counting. Whether a call was made to fail. */
bool fault_end(void);

/* The function that was made to fail last, for messages. */
const char *fault_name(void);

/* Calls counted since fault_begin(). */
unsigned fault_calls(void);

/* What lives now: blocks of the heap, mapped bytes, as seen at the seam. */
int64_t fault_live_blocks(void);
int64_t fault_live_mapped(void);

/* Blocks of the heap that were taken, ever. */
uint64_t fault_allocations(void);

#endif /* RT_TEST_FAULT_H */
