/* SPDX-License-Identifier: MIT */
/*
 * The backtrace of a fiber that is switched out.
 *
 * Functions of the fiber note their own return addresses before it is left: what
 * the unwinder finds must be those, in that order. How much of the stack it
 * takes is measured by painting the stack below the fiber first.
 */
#include "support/harness.h"

#include <errno.h>
#include <string.h>

#include "fiber/backtrace.h"

#define DEPTH      4
#define FRAMES_MAX 64
#define PAINT      0xa5

static struct rti_stack_pool *pool;
static struct rti_stack *stack;
static struct rti_fiber flow;
static struct rti_fiber fiber;
static uintptr_t noted[DEPTH + 1]; /* return addresses, innermost first */
static volatile int steps;

static RTI_NOINLINE void innermost(void)
{
    noted[0] = (uintptr_t)__builtin_return_address(0);
    rti_fiber_switch(&fiber, &flow);
    steps++;
}

static RTI_NOINLINE void nested(int depth)
{
    noted[depth] = (uintptr_t)__builtin_return_address(0);
    if (depth > 1) {
        nested(depth - 1);
    } else {
        innermost();
    }
    steps++; /* so that the calls above are none that could be jumps */
}

static void entry(void *arg)
{
    (void)arg;
    nested(DEPTH);
    rti_fiber_exit_to(&fiber, &flow);
}

/* Leaves too little below its frame. */
static RTI_NOINLINE void wide(void)
{
    volatile char room[12 * 1024];

    room[0] = 1;
    rti_fiber_switch(&fiber, &flow);
    steps += room[0];
}

static void wide_entry(void *arg)
{
    (void)arg;
    wide();
    rti_fiber_exit_to(&fiber, &flow);
}

static int setup(void **state)
{
    const struct rti_stack_config config = { .stacks_max = 0 };

    (void)state;
    if (rti_stack_pool_create(&pool, &config) < 0 ||
        rti_stack_get(pool, RTI_STACK_16K, &stack) < 0) {
        return -1;
    }
    rti_fiber_adopt(&flow);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rti_fiber_release(&flow);
    rti_stack_put(pool, stack);
    rti_stack_pool_destroy(pool);
    return 0;
}

static void the_calls_of_a_fiber_are_found_innermost_first(void **state)
{
    uintptr_t frames[FRAMES_MAX];
    int count;
    const int before = steps;
    int at = 0;

    (void)state;
    rti_fiber_init(&fiber, stack, entry, NULL);
    rti_fiber_switch(&flow, &fiber);
    count = rti_fiber_backtrace(&fiber, stack, frames, FRAMES_MAX);
    assert_in_range(count, DEPTH + 2, DEPTH + 8);
    while (at < count && frames[at] != noted[0]) { /* before it: the switch, inlined or not */
        at++;
    }
    assert_in_range(at, 1, 2);
    for (int i = 0; i <= DEPTH; i++) {
        assert_true(frames[at + i] == noted[i]);
    }
    rti_fiber_switch(&flow, &fiber); /* it goes on as if nothing had been */
    assert_int_equal(steps - before, DEPTH + 1);
}

static void a_fiber_that_never_ran_is_in_no_call(void **state)
{
    uintptr_t frames[FRAMES_MAX];

    (void)state;
    rti_fiber_init(&fiber, stack, entry, NULL);
    assert_int_equal(rti_fiber_backtrace(&fiber, stack, frames, FRAMES_MAX), 0);
    rti_fiber_switch(&flow, &fiber);
    rti_fiber_switch(&flow, &fiber);
}

static void no_more_addresses_are_written_than_there_is_room_for(void **state)
{
    uintptr_t frames[3] = { 0, 0, 1 };

    (void)state;
    rti_fiber_init(&fiber, stack, entry, NULL);
    rti_fiber_switch(&flow, &fiber);
    assert_int_equal(rti_fiber_backtrace(&fiber, stack, frames, 2), 2);
    assert_true(frames[1] != 0);
    assert_int_equal(frames[2], 1);
    rti_fiber_switch(&flow, &fiber);
}

static void a_stack_that_is_nearly_full_is_left_alone(void **state)
{
    uintptr_t frames[FRAMES_MAX];

    (void)state;
    rti_fiber_init(&fiber, stack, wide_entry, NULL);
    rti_fiber_switch(&flow, &fiber);
    assert_int_equal(rti_fiber_backtrace(&fiber, stack, frames, FRAMES_MAX), -ENOBUFS);
    rti_fiber_switch(&flow, &fiber);
}

static void the_unwinder_takes_less_room_than_is_asked_for(void **state)
{
    unsigned char *low = rti_stack_low(stack);
    uintptr_t frames[FRAMES_MAX];
    size_t untouched = 0;
    size_t room;

    (void)state;
    rti_fiber_init(&fiber, stack, entry, NULL);
    rti_fiber_switch(&flow, &fiber);
    room = (size_t)((unsigned char *)fiber.stack_pointer - low);
    memset(low, PAINT, room);
    assert_true(rti_fiber_backtrace(&fiber, stack, frames, FRAMES_MAX) > 0);
    while (untouched < room && low[untouched] == PAINT) {
        untouched++;
    }
    print_message("the unwinder took %zu bytes\n", room - untouched);
    assert_in_range(room - untouched, 1, RTI_BACKTRACE_ROOM * 3 / 4);
    rti_fiber_switch(&flow, &fiber);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_unwinder_takes_less_room_than_is_asked_for, setup,
                                        teardown), /* first: the loader binds in it */
        cmocka_unit_test_setup_teardown(the_calls_of_a_fiber_are_found_innermost_first, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_fiber_that_never_ran_is_in_no_call, setup, teardown),
        cmocka_unit_test_setup_teardown(no_more_addresses_are_written_than_there_is_room_for, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_stack_that_is_nearly_full_is_left_alone, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
