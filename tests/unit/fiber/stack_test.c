/* SPDX-License-Identifier: MIT */
/* Stacks: who gets which slot, guards that fault, and memory that goes back (S1-S3 in stack.h). */
#include "fiber/stack.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/poison.h"
#include "support/harness.h"
#include "support/rand.h"

#define KIB 1024

static struct rti_stack_pool *pool_with(const struct rti_stack_config *config)
{
    struct rti_stack_pool *pool = NULL;

    assert_int_equal(rti_stack_pool_create(&pool, config), 0);
    return pool;
}

static struct rti_stack *get(struct rti_stack_pool *pool, enum rti_stack_class size_class)
{
    struct rti_stack *stack = NULL;

    assert_int_equal(rti_stack_get(pool, size_class, &stack), 0);
    return stack;
}

static struct rti_stack_stats stats_of(const struct rti_stack_pool *pool)
{
    struct rti_stack_stats stats;

    rti_stack_get_stats(pool, &stats);
    return stats;
}

/* All but `keep` free slots of each class lose their memory. */
static void trim_all(struct rti_stack_pool *pool, uint32_t keep)
{
    for (int period = 0; period < 2; period++) {
        bool more = rti_stack_age(pool, keep);

        assert_true(more == rti_stack_is_trimming(pool));
        while (more) {
            more = rti_stack_trim(pool);
        }
    }
    assert_false(rti_stack_has_surplus(pool, keep));
}

/* Run `act` in a child without a word on standard error; its wait status. */
static int status_of_child(void (*act)(void *arg), void *arg)
{
    int status = 0;
    const pid_t child = fork();

    if (child == 0) {
        const int nothing = open("/dev/null", O_WRONLY | O_CLOEXEC);

        (void)dup2(nothing, STDERR_FILENO);
        (void)signal(SIGSEGV, SIG_DFL); /* sanitizers catch it and exit */
        (void)signal(SIGBUS, SIG_DFL);
        (void)signal(SIGABRT, SIG_DFL);
        act(arg);
        _exit(0);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void touch(void *arg)
{
    *(volatile char *)arg = 1;
}

static bool faults(void *address)
{
    const int status = status_of_child(touch, address);

    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

static void assert_guarded(struct rti_stack *stack)
{
    char *guard = rti_stack_guard(stack);
    char *low = rti_stack_low(stack);
    char *top = rti_stack_top(stack);

    assert_true(faults(guard));
    assert_true(faults(low - 1));
    assert_false(faults(low));
    assert_false(faults(top - 1));
}

/* Pages of [low, low + bytes) that have memory. */
static size_t resident_pages(void *low, size_t bytes)
{
    const size_t pages = bytes / 4096;
    unsigned char *state = calloc(pages, 1);
    size_t count = 0;

    assert_non_null(state);
    assert_int_equal(mincore(low, bytes, state), 0);
    for (size_t i = 0; i < pages; i++) {
        count += state[i] & 1;
    }
    free(state);
    return count;
}

static size_t resident_of(struct rti_stack *stack)
{
    const size_t bytes = rti_stack_class_bytes((enum rti_stack_class)stack->size_class);

    return resident_pages(rti_stack_low(stack), bytes);
}

static void the_stack_given_back_last_is_handed_out_first(void **state)
{
    struct rti_stack_pool *pool = pool_with(&(struct rti_stack_config){ .stacks_max = 0 });
    struct rti_stack *stacks[8];

    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        stacks[i] = get(pool, RTI_STACK_64K);
    }
    for (unsigned i = 0; i < 8; i++) {
        rti_stack_put(pool, stacks[i]);
    }
    for (unsigned i = 8; i-- > 0;) {
        assert_ptr_equal(get(pool, RTI_STACK_64K), stacks[i]);
    }
    for (unsigned i = 0; i < 8; i++) {
        rti_stack_put(pool, stacks[i]);
    }
    rti_stack_pool_destroy(pool);
}

static void bounds_have_the_size_of_the_class_less_the_colour(void **state)
{
    struct rti_stack_pool *pool = pool_with(&(struct rti_stack_config){ .stacks_max = 0 });

    (void)state;
    for (unsigned c = 0; c < RTI_STACK_CLASSES; c++) {
        struct rti_stack *stack = get(pool, (enum rti_stack_class)c);
        const size_t bytes = (size_t)((char *)rti_stack_top(stack) - (char *)rti_stack_low(stack));
        const size_t sizes[] = { 16 * KIB, 64 * KIB, 256 * KIB };

        assert_int_equal(rti_stack_class_bytes((enum rti_stack_class)c), sizes[c]);
        assert_in_range(bytes, sizes[c] - 15 * RTI_CACHE_LINE, sizes[c]);
        assert_int_equal((uintptr_t)rti_stack_top(stack) % RTI_CACHE_LINE, 0);
        assert_ptr_equal((char *)rti_stack_guard(stack) + RTI_STACK_GUARD_BYTES,
                         rti_stack_low(stack));
        rti_stack_put(pool, stack);
    }
    rti_stack_pool_destroy(pool);
}

/* Sixteen tops in a row lie on sixteen cache lines of a page, and pages at odd distances. */
static void tops_are_spread_over_the_cache_and_the_tlb(void **state)
{
    struct rti_stack_pool *pool = pool_with(&(struct rti_stack_config){ .stacks_max = 0 });
    struct rti_stack *stacks[RTI_STACK_COLOURS];
    uint64_t lines = 0;

    (void)state;
    for (unsigned i = 0; i < RTI_STACK_COLOURS; i++) {
        stacks[i] = get(pool, RTI_STACK_64K);
        lines |= 1ull << ((uintptr_t)rti_stack_top(stacks[i]) % 4096 / RTI_CACHE_LINE);
        if (i > 0) {
            const uintptr_t distance = (uintptr_t)rti_stack_low(stacks[i]) -
                                       (uintptr_t)rti_stack_low(stacks[i - 1]);

            assert_int_equal(distance / 4096 % 2, 1);
        }
    }
    assert_int_equal(__builtin_popcountll(lines), RTI_STACK_COLOURS);
    for (unsigned i = 0; i < RTI_STACK_COLOURS; i++) {
        rti_stack_put(pool, stacks[i]);
    }
    rti_stack_pool_destroy(pool);
}

struct put_twice {
    struct rti_stack_pool *pool;
    struct rti_stack *stack;
};

static void put_twice(void *arg)
{
    struct put_twice *put = arg;

    rti_stack_put(put->pool, put->stack);
    rti_stack_put(put->pool, put->stack);
}

static void giving_a_stack_back_twice_aborts(void **state) /* S1 */
{
    struct put_twice put = { .pool = pool_with(&(struct rti_stack_config){ .stacks_max = 0 }) };
    int status;

    (void)state;
    put.stack = get(put.pool, RTI_STACK_16K);
    status = status_of_child(put_twice, &put);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    rti_stack_put(put.pool, put.stack);
    rti_stack_pool_destroy(put.pool);
}

/* Against a naive model: which slots are in use, and in what order the free ones were put. */
static void any_order_of_gets_and_puts_hands_out_free_slots_only(void **state)
{
    const struct rti_stack_config config = { .arena_bytes = 300 * KIB };
    struct rti_stack_pool *pool = pool_with(&config);
    struct rti_stack *used[200];
    struct rand_state rand;
    unsigned count = 0;

    (void)state;
    rand_init(&rand, rt_test_seed(0));
    for (unsigned step = 0; step < 20000; step++) {
        const uint64_t dice = rand_next(&rand);

        if (dice % 20 == 0) {
            if (!rti_stack_is_trimming(pool)) {
                (void)rti_stack_age(pool, (uint32_t)(dice >> 32) % 20);
            } else if ((dice >> 16) % 2 == 0) { /* else some lie marked for long */
                (void)rti_stack_trim(pool);
            }
        } else if (dice % 2 == 0 && count < 200) {
            struct rti_stack *stack = get(pool, (enum rti_stack_class)((dice >> 8) % 3));

            for (unsigned i = 0; i < count; i++) {
                assert_ptr_not_equal(used[i], stack); /* S1 */
            }
            *(struct rti_stack **)rti_stack_low(stack) = stack;
            used[count++] = stack;
        } else if (count > 0) {
            const unsigned i = (unsigned)(dice >> 8) % count;
            struct rti_stack *stack = used[i];

            assert_ptr_equal(*(struct rti_stack **)rti_stack_low(stack), stack); /* S3 */
            rti_stack_put(pool, stack);
            used[i] = used[--count];
        }
        assert_int_equal(stats_of(pool).in_use, count);
    }
    while (count > 0) {
        rti_stack_put(pool, used[--count]);
    }
    rti_stack_pool_destroy(pool);
}

static void check_guards(bool by_mprotect)
{
    const struct rti_stack_config config = { .guard_by_mprotect = by_mprotect };
    const unsigned mappings = t_mappings();
    struct rti_stack_pool *pool = pool_with(&config);

    for (unsigned c = 0; c < RTI_STACK_CLASSES; c++) {
        struct rti_stack *stacks[3];

        for (unsigned i = 0; i < 3; i++) {
            stacks[i] = get(pool, (enum rti_stack_class)c);
        }
        assert_guarded(stacks[0]);
        assert_guarded(stacks[2]);
        for (unsigned i = 0; i < 3; i++) {
            rti_stack_put(pool, stacks[i]);
        }
    }
    if (by_mprotect) {
        assert_false(stats_of(pool).guard_installs);
    }
    rti_stack_pool_destroy(pool);
    /* Sanitizers map memory for themselves meanwhile. */
    assert_true(RTI_ASAN || RTI_TSAN || t_mappings() <= mappings);
}

static void a_guard_faults_and_its_neighbours_do_not(void **state) /* S2 */
{
    (void)state;
    check_guards(false);
}

static void a_guard_made_by_mprotect_faults_as_well(void **state) /* S2 */
{
    (void)state;
    check_guards(true);
}

enum locked_result {
    LOCKED_AS_EXPECTED = 0,
    LOCKED_NOT_ALLOWED = 1,
    LOCKED_OTHERWISE = 2,
};

/* In a child. Memory that is locked can have no guards of the cheap kind, nor be given back. */
static void use_locked_memory(void *arg)
{
    const struct rti_stack_config config = { .arena_bytes = 256 * KIB };
    struct rti_stack_pool *pool = NULL;
    struct rti_stack *stack = NULL;
    struct rti_stack *found = NULL;

    (void)arg;
    if (mlockall(MCL_FUTURE | MCL_ONFAULT) < 0) {
        _exit(LOCKED_NOT_ALLOWED);
    }
    if (rti_stack_pool_create(&pool, &config) < 0 ||
        rti_stack_get(pool, RTI_STACK_64K, &stack) < 0 || stats_of(pool).guard_installs ||
        !rti_stack_pool_find_guard(pool, rti_stack_guard(stack), &found)) {
        _exit(LOCKED_OTHERWISE);
    }
    memset(rti_stack_low(stack), 1, 4 * KIB);
    rti_stack_put(pool, stack);
    (void)rti_stack_age(pool, 0);
    if (!rti_stack_age(pool, 0) || rti_stack_trim(pool) || rti_stack_has_surplus(pool, 0)) {
        _exit(LOCKED_OTHERWISE); /* it is not tried again and again */
    }
    if (stats_of(pool).cached != 1 || stats_of(pool).trimmed != 0 ||
        rti_stack_get(pool, RTI_STACK_64K, &found) < 0 || found != stack) {
        _exit(LOCKED_OTHERWISE);
    }
    touch(rti_stack_guard(stack));
}

static void a_process_that_locks_its_memory_gets_guards_by_mprotect(void **state)
{
    int status;

    (void)state;
    if (RTI_ASAN || RTI_TSAN) {
        skip(); /* they turn mlockall() into nothing */
    }
    status = status_of_child(use_locked_memory, NULL);
    if (WIFEXITED(status) && WEXITSTATUS(status) == LOCKED_NOT_ALLOWED) {
        skip();
    }
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void fifty_thousand_stacks_fit_into_few_mappings(void **state)
{
    enum { COUNT = 50000 };
    struct rti_stack_pool *pool = pool_with(&(struct rti_stack_config){ .stacks_max = 0 });
    struct rti_stack **stacks = calloc(COUNT, sizeof(stacks[0]));
    const unsigned mappings = t_mappings();

    (void)state;
    assert_non_null(stacks);
    stacks[0] = get(pool, RTI_STACK_16K);
    if (!stats_of(pool).guard_installs) {
        rti_stack_put(pool, stacks[0]);
        rti_stack_pool_destroy(pool);
        free(stacks);
        skip(); /* a kernel before 6.13 */
    }
    for (unsigned i = 1; i < COUNT; i++) {
        stacks[i] = get(pool, RTI_STACK_16K);
    }
    if (!RTI_ASAN && !RTI_TSAN) { /* their own memory is mapped in pieces */
        assert_in_range(t_mappings(), mappings, mappings + 2 * stats_of(pool).arenas);
    }
    assert_guarded(stacks[0]);
    assert_guarded(stacks[COUNT - 1]);
    for (unsigned i = 0; i < COUNT; i++) {
        rti_stack_put(pool, stacks[i]);
    }
    rti_stack_pool_destroy(pool);
    free(stacks);
}

static void a_full_pool_refuses_with_again(void **state)
{
    struct rti_stack_pool *pool = pool_with(&(struct rti_stack_config){ .stacks_max = 2 });
    struct rti_stack *first = get(pool, RTI_STACK_16K);
    struct rti_stack *second = get(pool, RTI_STACK_64K);
    struct rti_stack *third = NULL;

    (void)state;
    assert_int_equal(rti_stack_get(pool, RTI_STACK_16K, &third), -EAGAIN);
    assert_null(third);
    rti_stack_put(pool, second);
    assert_int_equal(rti_stack_get(pool, RTI_STACK_16K, &third), 0);
    rti_stack_put(pool, first);
    rti_stack_put(pool, third);
    rti_stack_pool_destroy(pool);
}

static void an_arena_beyond_reason_is_refused_and_a_small_one_holds_one_slot(void **state)
{
    const struct rti_stack_config huge = { .arena_bytes = SIZE_MAX };
    struct rti_stack_pool *pool = NULL;
    struct rti_stack *first;
    struct rti_stack *second;

    (void)state;
    assert_int_equal(rti_stack_pool_create(&pool, &huge), -EINVAL);
    assert_null(pool);
    pool = pool_with(&(struct rti_stack_config){ .arena_bytes = 1 });
    first = get(pool, RTI_STACK_64K);
    second = get(pool, RTI_STACK_64K);
    assert_int_equal(stats_of(pool).arenas, 2);
    rti_stack_put(pool, first);
    rti_stack_put(pool, second);
    rti_stack_pool_destroy(pool);
    rti_stack_pool_destroy(NULL);
}

/* Eight slots are used; all but the two that were put last lose their memory. */
static void check_trim(bool by_mprotect)
{
    const struct rti_stack_config config = { .guard_by_mprotect = by_mprotect };
    struct rti_stack_pool *pool = pool_with(&config);
    struct rti_stack *stacks[8];

    for (unsigned i = 0; i < 8; i++) {
        stacks[i] = get(pool, RTI_STACK_64K);
        memset(rti_stack_low(stacks[i]), 1, 60 * KIB);
        assert_int_equal(resident_of(stacks[i]), 15);
    }
    for (unsigned i = 0; i < 8; i++) {
        rti_stack_put(pool, stacks[(i * 3) % 8]); /* 0 3 6 1 4 7 2 5 */
    }
    assert_int_equal(stats_of(pool).cached, 8);
    trim_all(pool, 2);
    assert_int_equal(stats_of(pool).cached, 2);
    assert_int_equal(stats_of(pool).trimmed, 6);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(resident_of(stacks[i]), i == 2 || i == 5 ? 15 : 0);
    }
    assert_ptr_equal(get(pool, RTI_STACK_64K), stacks[5]);
    assert_ptr_equal(get(pool, RTI_STACK_64K), stacks[2]);
    for (unsigned i = 0; i < 6; i++) {
        assert_guarded(get(pool, RTI_STACK_64K)); /* S2 */
    }
    assert_int_equal(stats_of(pool).in_use, 8);
    assert_int_equal(stats_of(pool).cached, 0);
    for (unsigned i = 0; i < 8; i++) {
        rti_stack_put(pool, stacks[i]);
    }
    trim_all(pool, 8);
    assert_int_equal(stats_of(pool).trimmed, 6);
    rti_stack_pool_destroy(pool);
}

static void trim_takes_the_memory_of_the_coldest_and_leaves_guards(void **state)
{
    (void)state;
    check_trim(false);
}

static void trim_leaves_guards_made_by_mprotect(void **state)
{
    (void)state;
    check_trim(true);
}

/* A hundred are used at a time; then forty. A period in which a hundred were needed spares them.
 * What is taken of the idle ones comes in batches of 16, so up to 15 more count as needed. */
static void what_was_needed_within_a_period_outlives_it(void **state)
{
    struct rti_stack_pool *pool = pool_with(&(struct rti_stack_config){ .stacks_max = 0 });
    struct rti_stack *stacks[100];

    (void)state;
    for (unsigned needed = 100; needed > 0; needed = needed == 100 ? 40 : 0) {
        for (unsigned period = 0; period < 5; period++) {
            for (unsigned i = 0; i < needed; i++) {
                stacks[i] = get(pool, RTI_STACK_16K);
            }
            for (unsigned i = 0; i < needed; i++) {
                rti_stack_put(pool, stacks[i]);
            }
            if (rti_stack_age(pool, 0)) {
                assert_int_equal(needed, 40);
                assert_int_equal(period, 0); /* the first whole one in which less was needed */
                assert_false(rti_stack_trim(pool));
            }
        }
    }
    assert_in_range(stats_of(pool).trimmed, 45, 60);
    assert_in_range(stats_of(pool).cached, 40, 55);
    trim_all(pool, 0);
    assert_int_equal(stats_of(pool).cached, 0);
    rti_stack_pool_destroy(pool);
}

/* Among stacks that stay in use: so no two doomed ones are neighbours, and each takes a call. */
static void a_trim_does_a_part_at_a_time_and_in_the_end_all(void **state)
{
    enum { COUNT = 5000 };
    struct rti_stack_pool *pool = pool_with(&(struct rti_stack_config){ .stacks_max = 0 });
    struct rti_stack **stacks = calloc(COUNT, sizeof(stacks[0]));
    unsigned parts = 0;
    bool more;

    (void)state;
    assert_non_null(stacks);
    for (unsigned i = 0; i < COUNT; i++) {
        stacks[i] = get(pool, (enum rti_stack_class)(i / 2 % 2));
    }
    for (unsigned i = 0; i < COUNT; i += 4) {
        rti_stack_put(pool, stacks[i]);
        rti_stack_put(pool, stacks[i + 2]);
    }
    assert_true(rti_stack_has_surplus(pool, 10));
    assert_false(rti_stack_age(pool, 10));
    assert_true(rti_stack_age(pool, 10));
    do {
        const uint64_t before = stats_of(pool).trimmed;

        more = rti_stack_trim(pool);
        assert_in_range(stats_of(pool).trimmed - before, more ? 0 : 1, 2000 / 10 + 1);
        parts++;
    } while (more);
    assert_int_equal(stats_of(pool).trimmed, COUNT / 2 - 20);
    assert_int_equal(stats_of(pool).cached, 20);
    assert_in_range(parts, (COUNT / 2 - 20) / 201, COUNT);
    assert_false(rti_stack_has_surplus(pool, 10));
    for (unsigned i = 1; i < COUNT; i += 2) {
        rti_stack_put(pool, stacks[i]);
    }
    rti_stack_pool_destroy(pool);
    free(stacks);
}

static void an_address_in_a_guard_names_its_stack(void **state)
{
    struct rti_stack_pool *pool = pool_with(&(struct rti_stack_config){ .arena_bytes = 1 });
    struct rti_stack *stacks[6];
    struct rti_stack *found = NULL;
    int local = 0;

    (void)state;
    assert_false(rti_stack_pool_find_guard(pool, &local, &found));
    for (unsigned i = 0; i < 6; i++) {
        stacks[i] = get(pool, (enum rti_stack_class)(i % RTI_STACK_CLASSES));
    }
    for (unsigned i = 0; i < 6; i++) {
        char *guard = rti_stack_guard(stacks[i]);
        char *low = rti_stack_low(stacks[i]);

        assert_true(rti_stack_pool_find_guard(pool, guard, &found));
        assert_ptr_equal(found, stacks[i]);
        found = NULL;
        assert_true(rti_stack_pool_find_guard(pool, low - 1, &found));
        assert_ptr_equal(found, stacks[i]);
        assert_false(rti_stack_pool_find_guard(pool, low, &found));
    }
    assert_false(rti_stack_pool_find_guard(pool, NULL, &found));
    assert_false(rti_stack_pool_find_guard(pool, &local, &found));
    for (unsigned i = 0; i < 6; i++) {
        rti_stack_put(pool, stacks[i]);
    }
    rti_stack_pool_destroy(pool);
}

static void a_free_stack_is_poisoned_for_asan(void **state)
{
    (void)state;
#if RTI_ASAN
    struct rti_stack_pool *pool = pool_with(&(struct rti_stack_config){ .stacks_max = 0 });
    struct rti_stack *stack = get(pool, RTI_STACK_16K);
    char *low = rti_stack_low(stack);
    char *top = rti_stack_top(stack);

    assert_null(__asan_region_is_poisoned(low, (size_t)(top - low)));
    rti_stack_put(pool, stack);
    assert_true(__asan_address_is_poisoned(low));
    assert_true(__asan_address_is_poisoned(top - 1));
    assert_ptr_equal(get(pool, RTI_STACK_16K), stack);
    assert_null(__asan_region_is_poisoned(low, (size_t)(top - low)));
    rti_stack_put(pool, stack);
    rti_stack_pool_destroy(pool);
    assert_false(__asan_address_is_poisoned(low));
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_stack_given_back_last_is_handed_out_first),
        cmocka_unit_test(bounds_have_the_size_of_the_class_less_the_colour),
        cmocka_unit_test(tops_are_spread_over_the_cache_and_the_tlb),
        cmocka_unit_test(giving_a_stack_back_twice_aborts),
        cmocka_unit_test(any_order_of_gets_and_puts_hands_out_free_slots_only),
        cmocka_unit_test(a_guard_faults_and_its_neighbours_do_not),
        cmocka_unit_test(a_guard_made_by_mprotect_faults_as_well),
        cmocka_unit_test(a_process_that_locks_its_memory_gets_guards_by_mprotect),
        cmocka_unit_test(fifty_thousand_stacks_fit_into_few_mappings),
        cmocka_unit_test(a_full_pool_refuses_with_again),
        cmocka_unit_test(an_arena_beyond_reason_is_refused_and_a_small_one_holds_one_slot),
        cmocka_unit_test(trim_takes_the_memory_of_the_coldest_and_leaves_guards),
        cmocka_unit_test(trim_leaves_guards_made_by_mprotect),
        cmocka_unit_test(what_was_needed_within_a_period_outlives_it),
        cmocka_unit_test(a_trim_does_a_part_at_a_time_and_in_the_end_all),
        cmocka_unit_test(an_address_in_a_guard_names_its_stack),
        cmocka_unit_test(a_free_stack_is_poisoned_for_asan),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
