/* SPDX-License-Identifier: MIT */
/*
 * Waits: every kind of wait meets cancel, completion, deadline, join, scope and stop, in random
 * order, thousands of seeds for each kind.
 *
 * A program has one to four waiters of one kind, fibers and futures. Each waits
 * some times: by the call, as a case of a select, by a future that polls; with a
 * random deadline, in random scopes and shields. Meanwhile the first task makes
 * the awaited things happen, cancels, ends scopes, joins with deadlines, wakes
 * for nothing, lets time pass, and perhaps returns, which cancels all. Then:
 *
 *   - each wait has ended once, for a reason that was there: -ETIME at no earlier time than its
 *     deadline or a scope's, -ECANCELED when it or a scope was cancelled and no shield held that
 *     off, success when the kind has something to show for it;
 *   - no wait goes on whose deadline has passed, whose task was cancelled, or for whom something is
 *     there;
 *   - items, units, locks and bytes given are taken or still there, first come, first served;
 *   - no task, operation, timer or stack is left.
 *
 * The program is in waits.c and waits_run.c, the kinds are beside them. RT_SEED=<seed> replays one
 * seed of each, RT_SEEDS=<n> runs that many, RT_WAIT=<name> only kinds of that name.
 */
#include "waits.h"

#include "base/compiler.h"
#include "support/sim.h"

#define SEEDS (RTI_ASAN || RTI_TSAN ? 1000U : 10000U)

/* One seed: without trouble in half of them; the kernel never fails, for what a failed operation
 * gives is not in question here. */
static struct sim_config some_kernel(struct rand_state *rand, uint64_t seed,
                                     const struct kind *kind)
{
    struct sim_config sim = { .seed = seed };

    if (rand_chance(rand, 500)) {
        sim = sim_config_chaos(seed);
        sim.faults.error = 0;
        sim.faults.accept_aborted = 0;
        sim.faults.accept_emfile = 0;
    } else {
        sim.delay_max = (rt_time)rand_below(rand, 100000);
    }
    sim.start = RT_SECONDS(1000) + (rt_time)seed; /* from which spurious wakes are drawn */
    sim.stream_bytes = kind->stream_bytes;
    sim.poison = true;
    return sim;
}

static unsigned run_seed(const struct kind *kind, uint64_t seed)
{
    static struct run run;
    struct rt_config config = RT_CONFIG_INIT;
    struct sim_config sim;

    waits_begin(&run, kind, seed);
    sim = some_kernel(&run.rand, seed, kind);
    config.ring_entries = 1u << rand_below(&run.rand, 4);
    config.tasks_max = 256;
    sim_begin(&sim);
    T_CHECK(rt_run(&config, waits_first, &run) == 0);
    T_CHECK(sim_end(NULL) == 0);
    return waits_end(&run);
}

int main(void)
{
    static const struct kind *const *const lists[] = {
        waits_tasks, waits_io, waits_streams, waits_channels, waits_locks, waits_events, NULL,
    };

    return waits_run(lists, SEEDS, run_seed);
}
