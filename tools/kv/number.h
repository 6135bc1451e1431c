/* SPDX-License-Identifier: MIT */
/* Number: 64-bit integers as text, as strict as the protocol wants them. */
#ifndef KV_NUMBER_H
#define KV_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "slice.h"

/* Bytes of the longest number, "-9223372036854775808". Its text has no terminator. */
#define NUMBER_BYTES_MAX 20

/* True and *out only for the one spelling that number_print() gives: no space, no "+", no leading
 * zero, nothing behind it, in the range of int64_t. */
bool number_parse(struct slice text, int64_t *out);

/* Writes at most NUMBER_BYTES_MAX bytes, and returns how many. */
size_t number_print(char *text, int64_t number);

#endif /* KV_NUMBER_H */
