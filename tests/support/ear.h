/* SPDX-License-Identifier: MIT */
/* Ear: a log that keeps the last line and counts them, for tests of messages. */
#ifndef RT_TEST_EAR_H
#define RT_TEST_EAR_H

#include <stdio.h>

#include "base/log.h"

static struct {
    char text[RTI_LOG_BYTES_MAX];
    unsigned lines;
    enum rt_log_level level;
    void *arg; /* that the last line came with */
} heard;

static inline void hear(void *arg, enum rt_log_level level, const char *text)
{
    snprintf(heard.text, sizeof(heard.text), "%s", text);
    heard.level = level;
    heard.lines++;
    heard.arg = arg;
}

static const struct rti_log ear __attribute__((unused)) = { .write = hear, .level = RT_LOG_ERROR };

#endif /* RT_TEST_EAR_H */
