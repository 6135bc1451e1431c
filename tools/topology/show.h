/* SPDX-License-Identifier: MIT */
/* A machine, the plans for it and what is to be said of them: for people, as JSON, as a drawing. */
#ifndef TOPOLOGY_SHOW_H
#define TOPOLOGY_SHOW_H

#include <rt/placement.h>
#include <rt/topology.h>
#include <stdbool.h>

#include "notes.h"

#define PLACES (RT_PLACE_NEAR + 1)

struct shown {
    struct rt_plan *plan; /* NULL: not to be shown */
    struct notes disks;   /* of place near */
    struct notes steps;   /* none unless --explain asks for them */
    struct notes warnings;
};

struct view {
    struct rt_topology *machine;
    struct rt_plan *listed; /* see subject.h */
    struct shown by_place[PLACES];
    bool chosen; /* one place was; else all are shown, and a program would take RT_PLACE_CORE */
    bool explained;
};

/* On standard output. */
void show_text(const struct view *view);
void show_json(const struct view *view);
void show_svg(const struct view *view);

/* What the doctor found. */
void show_checks_text(const struct notes *checks);
void show_checks_json(const struct notes *checks, bool alarmed);

#endif /* TOPOLOGY_SHOW_H */
