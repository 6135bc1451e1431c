/* SPDX-License-Identifier: MIT */
/* A machine and the plans for it, on standard output: for people, and as JSON. */
#ifndef TOPOLOGY_SHOW_H
#define TOPOLOGY_SHOW_H

#include <rt/placement.h>
#include <rt/topology.h>

#define PLACES (RT_PLACE_UNBOUND + 1)

/* The plans, by enum rt_place; NULL for a place that is not to be shown. */
struct plans {
    struct rt_plan *by_place[PLACES];
};

/* 0, or -ENOMEM. */
int show_text(const struct rt_topology *machine, const struct plans *plans);
void show_json(const struct rt_topology *machine, const struct plans *plans);

#endif /* TOPOLOGY_SHOW_H */
