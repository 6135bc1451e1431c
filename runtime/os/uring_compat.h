/* SPDX-License-Identifier: MIT */
/*
 * io_uring constants newer than the oldest liburing that we build with (2.3).
 *
 * The numbers are the kernel's ABI and never change. They have names of our
 * own, since enum members and macros of a newer header cannot be told apart
 * from missing ones. Where the header is new enough, they are compared.
 */
#ifndef RTI_OS_URING_COMPAT_H
#define RTI_OS_URING_COMPAT_H

#include <liburing.h>

#define RTI_SETUP_NO_SQARRAY (1u << 16) /* Linux 6.6 */
#define RTI_ENTER_NO_IOWAIT  (1u << 7)  /* Linux 6.15 */
#define RTI_FEAT_NO_IOWAIT   (1u << 17) /* Linux 6.15 */

#define RTI_OPCODE_FTRUNCATE 55         /* Linux 6.9; an opcode */

/* The last operation that Linux 6.1 brought: its presence is how we know that the kernel is not
 * older, for version strings of vendors' kernels tell nothing. */
#define RTI_OP_OF_LINUX_6_1 IORING_OP_SENDMSG_ZC

#ifdef IORING_SETUP_NO_SQARRAY
_Static_assert(RTI_SETUP_NO_SQARRAY == IORING_SETUP_NO_SQARRAY, "kernel ABI");
#endif
#ifdef IORING_ENTER_NO_IOWAIT
_Static_assert(RTI_ENTER_NO_IOWAIT == IORING_ENTER_NO_IOWAIT, "kernel ABI");
#endif
#ifdef IORING_FEAT_NO_IOWAIT
_Static_assert(RTI_FEAT_NO_IOWAIT == IORING_FEAT_NO_IOWAIT, "kernel ABI");
#endif

#endif /* RTI_OS_URING_COMPAT_H */
