/* SPDX-License-Identifier: MIT */
/*
 * Stacks and alternate stacks when system calls fail: each call fails once, and
 * whatever comes of it, nothing is left behind and the next attempt works.
 */
#include <errno.h>

#include "fiber/overflow.h"
#include "fiber/stack.h"
#include "support/fault.h"
#include "support/harness.h"

#define STACKS 70 /* more than a batch of guards */

/* Get stacks of all classes, give them back, trim, destroy. Failures may be of memory only. */
static void use_a_pool(bool by_mprotect)
{
    const struct rti_stack_config config = { .arena_bytes = (size_t)1 << 20,
                                             .guard_by_mprotect = by_mprotect };
    struct rti_stack *stacks[STACKS];
    struct rti_stack_stats stats;
    struct rti_stack_pool *pool = NULL;
    unsigned count = 0;

    if (rti_stack_pool_create(&pool, &config) < 0) {
        T_CHECK(pool == NULL);
        return;
    }
    for (unsigned i = 0; i < STACKS; i++) {
        struct rti_stack *stack = NULL;
        const int r = rti_stack_get(pool, (enum rti_stack_class)(i % RTI_STACK_CLASSES), &stack);

        T_CHECK(r == 0 || r == -ENOMEM);
        T_CHECK((r == 0) == (stack != NULL));
        if (stack != NULL) {
            *(volatile char *)rti_stack_low(stack) = 1;
            stacks[count++] = stack;
        }
    }
    T_CHECK(count >= STACKS - 1); /* one failure costs one stack at most */
    while (count > 0) {
        rti_stack_put(pool, stacks[--count]);
    }
    (void)rti_stack_age(pool, 1);
    if (rti_stack_age(pool, 1)) {
        while (rti_stack_trim(pool)) {
        }
    }
    rti_stack_get_stats(pool, &stats);
    T_CHECK(stats.cached + stats.trimmed >= STACKS - 1);
    rti_stack_pool_destroy(pool);
}

static void fail_each_call_of_a_pool(bool by_mprotect)
{
    const int64_t blocks = fault_live_blocks();
    const int64_t mapped = fault_live_mapped();
    unsigned n = 0;
    bool hit;

    do {
        n++;
        fault_begin(n);
        use_a_pool(by_mprotect);
        hit = fault_end();
        T_CHECK(fault_live_blocks() == blocks);
        T_CHECK(fault_live_mapped() == mapped);
    } while (hit);
    assert_int_equal(t_failures(), 0);
    assert_true(n > STACKS); /* a guard each, at the least */
}

static void a_pool_leaks_nothing_whatever_call_fails(void **state)
{
    (void)state;
    fail_each_call_of_a_pool(false);
}

static void a_pool_with_guards_by_mprotect_leaks_nothing_either(void **state)
{
    (void)state;
    fail_each_call_of_a_pool(true);
}

static bool describe_nothing(void *arg, void *address, char *text, size_t bytes)
{
    (void)arg;
    (void)address;
    (void)text;
    (void)bytes;
    return false;
}

static void use_overflow(void)
{
    struct rti_overflow_thread thread;

    if (rti_overflow_install() < 0) {
        return;
    }
    if (rti_overflow_thread_begin(&thread, describe_nothing, NULL) == 0) {
        rti_overflow_thread_end(&thread);
    }
    rti_overflow_remove();
}

static void the_overflow_report_leaks_nothing_whatever_call_fails(void **state)
{
    const int64_t mapped = fault_live_mapped();
    struct sigaction before;
    struct sigaction after;
    unsigned n = 0;
    bool hit;

    (void)state;
    assert_int_equal(sigaction(SIGSEGV, NULL, &before), 0);
    do {
        n++;
        fault_begin(n);
        use_overflow();
        hit = fault_end();
        use_overflow(); /* what could not be put back is put back now */
        assert_int_equal(fault_live_mapped(), mapped);
        assert_int_equal(sigaction(SIGSEGV, NULL, &after), 0);
        assert_true(after.sa_handler == before.sa_handler);
    } while (hit);
    assert_true(n > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pool_leaks_nothing_whatever_call_fails),
        cmocka_unit_test(a_pool_with_guards_by_mprotect_leaks_nothing_either),
        cmocka_unit_test(the_overflow_report_leaks_nothing_whatever_call_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
