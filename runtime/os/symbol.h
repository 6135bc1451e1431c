/* SPDX-License-Identifier: MIT */
/* Symbol: the function and the file that an address of code belongs to, as the loader knows it. */
#ifndef RTI_OS_SYMBOL_H
#define RTI_OS_SYMBOL_H

#include <stdint.h>

struct rti_symbol {
    const char *name;    /* NULL: not exported, so the loader does not know it */
    uintptr_t offset;    /* of the address in the function; valid with a name */
    const char *module;  /* the program or library, without its folder; NULL: none is there */
    uintptr_t in_module; /* the address as addr2line(1) wants it for that file */
};

/* Takes the loader's lock. Of a return address, look for the byte before it: that is the call. */
void rti_symbol_find(struct rti_symbol *out, uintptr_t address);

#endif /* RTI_OS_SYMBOL_H */
