/* SPDX-License-Identifier: MIT */
/* Fibers: switches keep every register, begin and end as often as one likes, and can be unwound. */
#include "fiber/fiber.h"

#include <errno.h>
#include <execinfo.h>
#include <string.h>

#include "support/harness.h"
#include "switch_with_registers.h"

#define FIBERS 64

extern __attribute__((visibility("hidden"))) const char rti_fiber_trampoline[];

/* What the fibers of one test share; `flow` is the test function itself. */
struct world {
    struct rti_stack_pool *pool;
    struct rti_stack *stacks[FIBERS];
    struct rti_fiber fibers[FIBERS];
    struct rti_fiber flow;
    unsigned current;
    unsigned live;
    unsigned switches_left;
    uint64_t random;
    uintptr_t seen; /* what a fiber found out */
};

static struct world world;

static uint64_t next_random(void)
{
    world.random ^= world.random << 13;
    world.random ^= world.random >> 7;
    world.random ^= world.random << 17;
    return world.random;
}

static int setup(void **state)
{
    const struct rti_stack_config config = { .arena_bytes = 0 };

    (void)state;
    memset(&world, 0, sizeof(world));
    world.random = 88172645463325252u;
    if (rti_stack_pool_create(&world.pool, &config) < 0) {
        return -1;
    }
    for (unsigned i = 0; i < FIBERS; i++) {
        if (rti_stack_get(world.pool, RTI_STACK_64K, &world.stacks[i]) < 0) {
            return -1;
        }
    }
    rti_fiber_adopt(&world.flow);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rti_fiber_release(&world.flow);
    for (unsigned i = 0; i < FIBERS; i++) {
        rti_stack_put(world.pool, world.stacks[i]);
    }
    rti_stack_pool_destroy(world.pool);
    return 0;
}

/* Start `entry` on stack 0, and return when it switches or exits to the test's own flow. */
static void run_one(rti_fiber_entry entry, void *arg)
{
    rti_fiber_init(&world.fibers[0], world.stacks[0], entry, arg);
    rti_fiber_switch(&world.flow, &world.fibers[0]);
}

/* Switches to fibers at random, each time with other values in all registers. */
static void juggle_registers(void *arg)
{
    const unsigned me = (unsigned)(uintptr_t)arg;
    uint64_t in[REGISTERS];
    uint64_t out[REGISTERS];

    world.live++;
    while (world.switches_left > 0) {
        const unsigned next = (unsigned)(next_random() % FIBERS);

        world.switches_left--;
        if (next == me) {
            continue;
        }
        for (unsigned i = 0; i < REGISTERS; i++) {
            in[i] = next_random();
        }
        rti_sanitize_leave(&world.fibers[me].sanitizer, &world.fibers[next].sanitizer);
        switch_with_registers(&world.fibers[me].stack_pointer, world.fibers[next].stack_pointer, in,
                              out);
        rti_sanitize_arrive(&world.fibers[me].sanitizer);
        T_CHECK(memcmp(in, out, sizeof(in)) == 0);
    }
    world.live--;
    rti_fiber_exit_to(&world.fibers[me], &world.flow);
}

static void registers_survive_a_hundred_thousand_switches_among_many_fibers(void **state)
{
    (void)state;
    world.switches_left = 100000;
    for (unsigned i = 0; i < FIBERS; i++) {
        rti_fiber_init(&world.fibers[i], world.stacks[i], juggle_registers, (void *)(uintptr_t)i);
    }
    rti_fiber_switch(&world.flow, &world.fibers[0]);
    assert_int_equal(world.switches_left, 0);
    assert_int_equal(world.live, FIBERS - 1); /* the one that used up the last switch has ended */
    assert_int_equal(t_failures(), 0);
}

static void note_argument(void *arg)
{
    world.seen = (uintptr_t)arg;
    world.current = (unsigned)((uintptr_t)__builtin_frame_address(0) % 16);
    rti_fiber_exit_to(&world.fibers[0], &world.flow);
}

static void a_fiber_begins_with_its_argument_and_an_aligned_stack(void **state)
{
    int thing;

    (void)state;
    run_one(note_argument, &thing);
    assert_int_equal(world.seen, (uintptr_t)&thing);
    assert_int_equal(world.current, 0); /* the frame address of a call lies 16 below the caller's */
}

static RTI_NOINLINE uint64_t sum_down(unsigned depth, unsigned suspend_at)
{
    volatile uint64_t frame[16];

    for (unsigned i = 0; i < 16; i++) {
        frame[i] = depth * 16 + i;
    }
    if (depth == suspend_at) {
        rti_fiber_switch(&world.fibers[world.current], &world.flow);
    }
    if (depth > 0) {
        frame[0] += sum_down(depth - 1, suspend_at);
    }
    for (unsigned i = 1; i < 16; i++) {
        frame[0] += frame[i];
    }
    return frame[0];
}

#define DEPTH 100 /* about 20 KiB of stack, three times as much with ASan */

static void recurse(void *arg)
{
    const unsigned me = (unsigned)(uintptr_t)arg;
    const uint64_t words = (DEPTH + 1) * 16;

    T_CHECK(sum_down(DEPTH, me * DEPTH / FIBERS) == words * (words - 1) / 2);
    rti_fiber_exit_to(&world.fibers[me], &world.flow);
}

static void deep_recursion_survives_suspension_at_any_depth(void **state)
{
    (void)state;
    for (unsigned i = 0; i < FIBERS; i++) {
        world.current = i;
        rti_fiber_init(&world.fibers[i], world.stacks[i], recurse, (void *)(uintptr_t)i);
        rti_fiber_switch(&world.flow, &world.fibers[i]);
    }
    for (unsigned i = 0; i < FIBERS; i++) {
        world.current = i;
        rti_fiber_switch(&world.flow, &world.fibers[i]);
    }
    assert_int_equal(t_failures(), 0);
}

static RTI_NOINLINE void exit_deep(unsigned depth)
{
    volatile char frame[32];

    frame[depth % sizeof(frame)] = 1;
    if (depth > 0) {
        exit_deep(depth - 1);
    } else if (world.pool != NULL) {
        rti_fiber_exit_to(&world.fibers[0], &world.flow);
    }
    T_CHECK(frame[depth % sizeof(frame)] == 2); /* not reached; so that no call is a tail call */
}

static void live_once(void *arg)
{
    world.seen += (uintptr_t)arg;
    exit_deep(5);
}

/* Each leaves functions that never return; a sanitizer must not collect them. */
static void a_stack_serves_a_hundred_thousand_fibers(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100000; i++) {
        run_one(live_once, (void *)(uintptr_t)1);
    }
    assert_int_equal(world.seen, 100000);
}

static void live_unfinished(void *arg)
{
    (void)arg;
    (void)sum_down(8, 4);
}

static void a_stack_can_be_taken_from_a_fiber_that_never_ended(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        run_one(live_unfinished, NULL);
        rti_stack_put(world.pool, world.stacks[0]);
        assert_int_equal(rti_stack_get(world.pool, RTI_STACK_64K, &world.stacks[0]), 0);
    }
    run_one(live_once, (void *)(uintptr_t)1);
    assert_int_equal(world.seen, 1);
}

static void put_own_stack(void *arg)
{
    char text[64];

    (void)arg;
    rti_stack_put(world.pool, world.stacks[0]);
    snprintf(text, sizeof(text), "the stack is still %s", "mine");
    T_CHECK(strcmp(text, "the stack is still mine") == 0);
    rti_fiber_exit_to(&world.fibers[0], &world.flow);
}

static void a_fiber_may_give_back_the_stack_it_runs_on(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        run_one(put_own_stack, NULL);
        assert_int_equal(rti_stack_get(world.pool, RTI_STACK_64K, &world.stacks[0]), 0);
    }
    assert_int_equal(t_failures(), 0);
}

static void inner(void *arg)
{
    struct rti_fiber *outer = arg;

    world.seen++;
    rti_fiber_switch(&world.fibers[1], outer);
    world.seen++;
    rti_fiber_exit_to(&world.fibers[1], outer);
}

/* As an executor that runs inside a task of another one does. */
static void adopt_within(void *arg)
{
    struct rti_fiber here;

    (void)arg;
    rti_fiber_adopt(&here);
    rti_fiber_init(&world.fibers[1], world.stacks[1], inner, &here);
    rti_fiber_switch(&here, &world.fibers[1]);
    rti_fiber_switch(&here, &world.fibers[1]);
    rti_fiber_release(&here);
    rti_fiber_exit_to(&world.fibers[0], &world.flow);
}

static void a_fiber_can_be_adopted_as_the_flow_of_others(void **state)
{
    (void)state;
    run_one(adopt_within, NULL);
    assert_int_equal(world.seen, 2);
}

#define FRAMES_MAX 64

static RTI_NOINLINE unsigned unwind_down(unsigned depth, void **frames)
{
    volatile unsigned count;

    if (depth > 0) {
        count = unwind_down(depth - 1, frames);
    } else {
        count = (unsigned)backtrace(frames, FRAMES_MAX);
    }
    return count;
}

static void unwind(void *arg)
{
    world.current = unwind_down(10, arg);
    rti_fiber_exit_to(&world.fibers[0], &world.flow);
}

static void an_unwinder_stops_at_the_beginning_of_the_fiber(void **state)
{
    void *frames[FRAMES_MAX];
    uintptr_t last;

    (void)state;
    (void)backtrace(frames, FRAMES_MAX); /* loads the unwinder, which needs much stack */
    run_one(unwind, frames);
    assert_in_range(world.current, 12, 20);
    last = (uintptr_t)frames[world.current - 1];
    assert_in_range(last, (uintptr_t)rti_fiber_trampoline, (uintptr_t)rti_fiber_trampoline + 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(registers_survive_a_hundred_thousand_switches_among_many_fibers),
        TEST(a_fiber_begins_with_its_argument_and_an_aligned_stack),
        TEST(deep_recursion_survives_suspension_at_any_depth),
        TEST(a_stack_serves_a_hundred_thousand_fibers),
        TEST(a_stack_can_be_taken_from_a_fiber_that_never_ended),
        TEST(a_fiber_may_give_back_the_stack_it_runs_on),
        TEST(a_fiber_can_be_adopted_as_the_flow_of_others),
        TEST(an_unwinder_stops_at_the_beginning_of_the_fiber),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
