/* SPDX-License-Identifier: MIT */
/*
 * Assertions: for errors of a programmer, ours or the user's, never for input.
 *
 * RTI_ASSERT is on in every build and must cost O(1). RTI_DASSERT is on in
 * debug builds only and may validate whole structures. A condition must have
 * no side effect. The message goes to standard error, then the process aborts.
 */
#ifndef RTI_BASE_ASSERT_H
#define RTI_BASE_ASSERT_H

#include "base/compiler.h"

RTI_NORETURN RTI_COLD void rti_assert_failed(const char *condition, const char *file, int line);

/* An error of the user's program: says what is wrong in the user's words, then aborts. */
RTI_NORETURN RTI_COLD __attribute__((format(printf, 1, 2))) void rti_misuse(const char *format,
                                                                            ...);

/* Added to what both say; NULL: nothing. For what is wrong with the process as a whole. */
extern const char *rti_misuse_note;

#define RTI_ASSERT(condition) \
    (RTI_LIKELY(condition) ? (void)0 : rti_assert_failed(#condition, __FILE__, __LINE__))

/* 1 in debug builds, else 0: for checks that are more than a condition. */
#ifdef NDEBUG
#define RTI_DEBUG 0
#else
#define RTI_DEBUG 1
#endif

#ifdef NDEBUG
#define RTI_DASSERT(condition) ((void)sizeof(condition))
#else
#define RTI_DASSERT(condition) RTI_ASSERT(condition)
#endif

#endif /* RTI_BASE_ASSERT_H */
