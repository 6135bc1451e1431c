/* SPDX-License-Identifier: MIT */
/* 64-bit integers as text. */
#include "number.h"

bool number_parse(struct slice text, int64_t *out)
{
    const bool negative = text.len > 0 && text.data[0] == '-';
    const uint64_t limit = (uint64_t)INT64_MAX + negative;
    uint64_t value = 0;
    size_t i = negative;

    if (i == text.len || text.len > NUMBER_BYTES_MAX) {
        return false;
    }
    if (text.data[i] == '0' && text.len > 1) {
        return false;
    }
    for (; i < text.len; i++) {
        const unsigned digit = (unsigned)(unsigned char)text.data[i] - '0';

        if (digit > 9 || value > (limit - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

size_t number_print(char *text, int64_t number)
{
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    char digits[NUMBER_BYTES_MAX];
    size_t count = 0;
    size_t len = 0;

    do {
        digits[count++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0) {
        text[len++] = '-';
    }
    while (count > 0) {
        text[len++] = digits[--count];
    }
    return len;
}
