/* SPDX-License-Identifier: MIT */
/*
 * Sized structs: options that can grow without breaking old programs.
 *
 * Their first member is a uint32_t, the size that the caller was compiled
 * with (0: this library's). A shorter one is completed with zeroes; a longer
 * one is accepted if what lies beyond is zero. This is the rule of openat2(2).
 */
#ifndef RTI_BASE_SIZED_H
#define RTI_BASE_SIZED_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* No later struct is larger, so that a wild size reads no wild memory. */
#define RTI_SIZED_MAX 4096u

/* Copy *in (NULL: all zero) to *out, of `known` bytes; -E2BIG when more than zeroes is beyond. */
static inline int rti_sized_copy(void *out, size_t known, const void *in)
{
    const uint32_t own = (uint32_t)known;
    uint32_t size = 0;

    memset(out, 0, known);
    if (in != NULL) {
        memcpy(&size, in, sizeof(size));
        size = size == 0 ? own : size;
        memcpy(out, in, size < own ? size : own);
    }
    memcpy(out, &own, sizeof(own));
    for (uint32_t i = own; i < size; i++) {
        if (i >= RTI_SIZED_MAX || ((const unsigned char *)in)[i] != 0) {
            return -E2BIG;
        }
    }
    return 0;
}

#endif /* RTI_BASE_SIZED_H */
