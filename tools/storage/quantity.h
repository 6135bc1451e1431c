/* SPDX-License-Identifier: MIT */
/* Quantity: numbers with units, as fio reads and writes them. */
#ifndef STORAGE_QUANTITY_H
#define STORAGE_QUANTITY_H

#include <rt/base.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUANTITY_BYTES 32 /* room for the text of any */

/*
 * A whole number, 0x... or decimal with a unit of bytes behind it in any case. As fio 3.33 reads
 * them, not as its manual has it: k, kb and ki are 1024, kib is 1000; so for m, g, t and p. What
 * fio reads as another number than is written, such as 1.5k or 0x10k, is none here.
 */
bool quantity_bytes(const char *text, uint64_t *out);

/* A whole number of us (usec), ms (msec), s, m, h or d; of `unit` ns when it names none. fio takes
 * "sec" too, and reads microseconds. */
bool quantity_time(const char *text, rt_time unit, rt_time *out);

/* The shortest text that quantity_bytes() reads as this number: "4k". Returns `text`. */
const char *quantity_bytes_text(uint64_t bytes, char text[QUANTITY_BYTES]);

/* The same for quantity_time(), with a unit; for whole microseconds. */
const char *quantity_time_text(rt_time time, char text[QUANTITY_BYTES]);

#endif /* STORAGE_QUANTITY_H */
