/* SPDX-License-Identifier: MIT */
/* Version: of the library that runs, against that of the headers a program was compiled with. */
#include "rt/version.h"

uint32_t rt_version(void)
{
    return RT_VERSION_NUMBER;
}
