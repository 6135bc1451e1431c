/* SPDX-License-Identifier: MIT */
/* Symbol: see symbol.h. */
#include "os/symbol.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>

void rti_symbol_find(struct rti_symbol *out, uintptr_t address)
{
    struct link_map *map = NULL;
    const char *folder;
    Dl_info info;

    *out = (struct rti_symbol){ .in_module = address };
    if (dladdr1((const void *)address, &info, (void **)&map, RTLD_DL_LINKMAP) == 0) {
        return;
    }
    folder = strrchr(info.dli_fname, '/');
    out->module = folder != NULL ? folder + 1 : info.dli_fname;
    if (map != NULL) {
        out->in_module = address - map->l_addr; /* not from its start: a program may be linked to
                                                   an address of its own */
    }
    if (info.dli_sname != NULL) {
        out->name = info.dli_sname;
        out->offset = address - (uintptr_t)info.dli_saddr;
    }
}
