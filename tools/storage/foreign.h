/* SPDX-License-Identifier: MIT */
/* Foreign: options that fio has and rt-storage has not, so that an error can say which it is. */
#ifndef STORAGE_FOREIGN_H
#define STORAGE_FOREIGN_H

#include <stdbool.h>

bool foreign_has(const char *name);

#endif /* STORAGE_FOREIGN_H */
