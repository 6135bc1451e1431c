/* SPDX-License-Identifier: MIT */
/* Errors: texts for results. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rt/base.h"

const char *rt_strerror(int result)
{
    const char *text;

    switch (abs(result)) {
    case ETIME:
        return "deadline passed";
    case ECANCELED:
        return "cancelled";
    case ESHUTDOWN:
        return "the executor is stopping";
    default:
        text = strerrordesc_np(abs(result));
        return text != NULL ? text : "unknown error";
    }
}
