/* SPDX-License-Identifier: MIT */
/*
 * For gdb_backtrace_test.py: two fibers, of which the first is switched out deep
 * in named functions when the second reaches stop_here(). With an argument it
 * aborts there, to leave a core file.
 */
#include <stdlib.h>

#include "fiber/fiber.h"

void *suspended_stack_pointer; /* looked at by the debugger */

static struct rti_fiber flow;
static struct rti_fiber sleeper;
static struct rti_fiber stopper;
static volatile int steps;
static bool aborts;

static RTI_NOINLINE void innermost_of_sleeper(int depth)
{
    steps += depth;
    rti_fiber_switch(&sleeper, &flow);
    steps++;
}

static RTI_NOINLINE void middle_of_sleeper(int depth)
{
    if (depth > 0) {
        middle_of_sleeper(depth - 1);
    } else {
        innermost_of_sleeper(42);
    }
    steps++;
}

static void entry_of_sleeper(void *arg)
{
    (void)arg;
    middle_of_sleeper(3);
    rti_fiber_exit_to(&sleeper, &flow);
}

RTI_NOINLINE void stop_here(void);

RTI_NOINLINE void stop_here(void)
{
    steps++;
    if (aborts) {
        abort();
    }
}

static void entry_of_stopper(void *arg)
{
    (void)arg;
    suspended_stack_pointer = sleeper.stack_pointer;
    stop_here();
    rti_fiber_exit_to(&stopper, &flow);
}

int main(int argc, char **argv)
{
    const struct rti_stack_config config = { .stacks_max = 0 };
    struct rti_stack_pool *pool;
    struct rti_stack *stacks[2];

    (void)argv;
    aborts = argc > 1;
    if (rti_stack_pool_create(&pool, &config) < 0 ||
        rti_stack_get(pool, RTI_STACK_64K, &stacks[0]) < 0 ||
        rti_stack_get(pool, RTI_STACK_64K, &stacks[1]) < 0) {
        return 1;
    }
    rti_fiber_adopt(&flow);
    rti_fiber_init(&sleeper, stacks[0], entry_of_sleeper, NULL);
    rti_fiber_switch(&flow, &sleeper);
    rti_fiber_init(&stopper, stacks[1], entry_of_stopper, NULL);
    rti_fiber_switch(&flow, &stopper);
    rti_fiber_switch(&flow, &sleeper);
    rti_fiber_release(&flow);
    rti_stack_put(pool, stacks[0]);
    rti_stack_put(pool, stacks[1]);
    rti_stack_pool_destroy(pool);
    return 0;
}
