/* SPDX-License-Identifier: MIT */
/* Errors: texts for results. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "rt/base.h"

const char *rt_strerror(int result)
{
    const int error = result == INT_MIN ? 0 : abs(result); /* that one has no positive twin */
    const char *text;

    switch (error) {
    case ETIME:
        return "deadline passed";
    case ECANCELED:
        return "cancelled";
    case ESHUTDOWN:
        return "the executor is stopping";
    default:
        text = strerrordesc_np(error);
        return text != NULL ? text : "unknown error";
    }
}
