/* SPDX-License-Identifier: MIT */
/* Resolve: from the options of a section to a job. */
#ifndef STORAGE_RESOLVE_H
#define STORAGE_RESOLVE_H

#include "memory.h"
#include "setting.h"

/*
 * Fills what several options say together, and refuses what contradicts itself. `source` is at the
 * section. The job lives as long as `memory`, from which its texts are taken. False after an error.
 */
bool draft_finish(struct source *source, struct draft *draft, struct memory *memory);

#endif /* STORAGE_RESOLVE_H */
