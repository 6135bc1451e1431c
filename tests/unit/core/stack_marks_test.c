/* SPDX-License-Identifier: MIT */
/*
 * Stack marks: the table, against a naive model, and what happens without memory.
 *
 * Functions are numbers here, which are never called; the stack is a real one.
 */
#include "core/stack_marks.h"

#include "os/mem.h"
#include "support/fault.h"
#include "support/harness.h"
#include "support/rand.h"

#define FUNCTIONS 300 /* more than the table first has room for */
#define PAGE      4096

static struct rti_stack_pool *pool;
static struct rti_stack *stack;

static int make_stack(void **state)
{
    const struct rti_stack_config config = { .arena_bytes = 1 };

    (void)state;
    return rti_stack_pool_create(&pool, &config) < 0 ||
           rti_stack_get(pool, RTI_STACK_64K, &stack) < 0;
}

static int free_stack(void **state)
{
    (void)state;
    rti_stack_put(pool, stack);
    rti_stack_pool_destroy(pool);
    return 0;
}

static rt_task_fn function(unsigned number)
{
    return (rt_task_fn)(uintptr_t)((number + 1) * 48);
}

/* So many pages from the top of the stack have been written. */
static void touch(unsigned pages)
{
    char *end = (char *)rti_stack_low(stack) + rti_stack_class_bytes(RTI_STACK_64K);

    (void)rti_mem_discard(rti_stack_low(stack), rti_stack_class_bytes(RTI_STACK_64K));
    for (unsigned i = 1; i <= pages; i++) {
        *(volatile char *)(end - (size_t)i * PAGE) = 0;
    }
}

static const struct rti_stack_mark *find(const struct rti_stack_marks *marks, rt_task_fn fn)
{
    const struct rti_stack_mark *found = NULL;

    for (uint32_t i = 0; i < marks->room; i++) {
        if (marks->marks[i].fn == fn) {
            assert_null(found);
            found = &marks->marks[i];
        }
    }
    return found;
}

static void the_table_knows_of_each_function_how_many_and_how_deep(void **state)
{
    struct rti_stack_marks marks = { .marks = NULL };
    unsigned fibers[FUNCTIONS] = { 0 };
    unsigned deepest[FUNCTIONS] = { 0 };
    struct rand_state rand;

    (void)state;
    rand_init(&rand, rt_test_seed(0));
    for (unsigned i = 0; i < 3000; i++) {
        const unsigned number = (unsigned)(rand_next(&rand) % FUNCTIONS);
        const unsigned pages = 1 + (unsigned)(rand_next(&rand) % 15);

        touch(pages);
        rti_stack_marks_end(&marks, function(number), stack, true);
        fibers[number]++;
        deepest[number] = pages > deepest[number] ? pages : deepest[number];
    }
    for (unsigned i = 0; i < FUNCTIONS; i++) {
        const struct rti_stack_mark *mark = find(&marks, function(i));

        assert_true((mark != NULL) == (fibers[i] > 0));
        if (mark != NULL) {
            assert_int_equal(mark->fibers, fibers[i]);
            assert_int_equal(mark->bytes_max, deepest[i] * PAGE);
            assert_int_equal(mark->stack_bytes, 16 * PAGE);
        }
    }
    assert_int_equal(marks.missed, 0);
    rti_stack_marks_fini(&marks);
}

static void what_cannot_be_measured_is_counted_as_missed(void **state)
{
    struct rti_stack_marks marks = { .marks = NULL };

    (void)state;
    touch(3);
    rti_stack_marks_end(&marks, function(0), stack, false); /* it did not begin */
    touch(0);
    rti_stack_marks_end(&marks, function(0), stack, true); /* nothing was touched: not known */
    assert_int_equal(marks.missed, 2);
    touch(3);
    for (unsigned n = 1; n <= 2; n++) { /* no mincore(), no table */
        fault_begin(n);
        rti_stack_marks_end(&marks, function(0), stack, true);
        assert_true(fault_end());
        assert_int_equal(marks.missed, 2 + n);
        assert_int_equal(marks.used, 0);
    }
    rti_stack_marks_end(&marks, function(0), stack, true);
    assert_int_equal(marks.missed, 4);
    assert_int_equal(find(&marks, function(0))->bytes_max, 3 * PAGE);
    rti_stack_marks_fini(&marks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_knows_of_each_function_how_many_and_how_deep),
        cmocka_unit_test(what_cannot_be_measured_is_counted_as_missed),
    };

    return cmocka_run_group_tests(tests, make_stack, free_stack);
}
