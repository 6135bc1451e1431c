/* SPDX-License-Identifier: MIT */
/* Pool: what an object is when it is got, which one is got, and that nothing is lost. */
#include "core/pool.h"

#include <string.h>

#include "base/poison.h"
#include "support/fault.h"
#include "support/harness.h"
#include "support/rand.h"

#define OBJECTS_MAX 1000u

static bool is_filled_with(const unsigned char *object, unsigned char byte, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (object[i] != byte) {
            return false;
        }
    }
    return true;
}

static void an_object_is_zeroed_each_time_it_is_got(void **state)
{
    struct rti_pool pool;

    (void)state;
    rti_pool_init(&pool, 100);
    for (int i = 0; i < 200; i++) {
        unsigned char *object = rti_pool_get(&pool);

        assert_non_null(object);
        assert_true(is_filled_with(object, 0, 100));
        memset(object, 0xff, 100);
        if (i % 2 == 0) {
            rti_pool_put(&pool, object);
        }
    }
    rti_pool_fini(&pool);
}

static void the_object_put_last_is_got_first(void **state)
{
    struct rti_pool pool;
    void *objects[3];

    (void)state;
    rti_pool_init(&pool, 64);
    for (int i = 0; i < 3; i++) {
        objects[i] = rti_pool_get(&pool);
    }
    rti_pool_put(&pool, objects[1]);
    rti_pool_put(&pool, objects[2]);
    rti_pool_put(&pool, objects[0]);
    assert_ptr_equal(rti_pool_get(&pool), objects[0]);
    assert_ptr_equal(rti_pool_get(&pool), objects[2]);
    assert_ptr_equal(rti_pool_get(&pool), objects[1]);
    rti_pool_fini(&pool);
}

/* 16 bytes for any size, a cache line for sizes that are a multiple of one. */
static void objects_are_aligned(void **state)
{
    (void)state;
    for (size_t bytes = 1; bytes <= 640; bytes++) {
        struct rti_pool pool;

        rti_pool_init(&pool, bytes);
        for (int i = 0; i < 70; i++) {
            unsigned char *object = rti_pool_get(&pool);

            assert_non_null(object);
            assert_int_equal((uintptr_t)object % (bytes % 64 == 0 ? 64 : 16), 0);
            object[0] = 1;
            object[bytes - 1] = 1;
        }
        rti_pool_fini(&pool);
    }
}

/* Each object is filled with a byte of its own; if two overlapped, one would lose its byte. */
static void objects_of_many_blocks_do_not_overlap(void **state)
{
    unsigned char *objects[OBJECTS_MAX] = { NULL };
    struct rti_pool pool;
    struct rand_state rand;
    uint32_t in_use = 0;

    (void)state;
    rand_init(&rand, rt_test_seed(0));
    rti_pool_init(&pool, 40);
    for (unsigned step = 0; step < 20000; step++) {
        const uint32_t i = (uint32_t)rand_below(&rand, OBJECTS_MAX);

        if (objects[i] == NULL) {
            objects[i] = rti_pool_get(&pool);
            assert_non_null(objects[i]);
            assert_true(is_filled_with(objects[i], 0, 40));
            memset(objects[i], (int)(i % 255 + 1), 40);
            in_use++;
        } else {
            assert_true(is_filled_with(objects[i], (unsigned char)(i % 255 + 1), 40));
            rti_pool_put(&pool, objects[i]);
            objects[i] = NULL;
            in_use--;
        }
        assert_int_equal(pool.in_use, in_use);
    }
    rti_pool_fini(&pool);
}

static void a_steady_state_takes_nothing_from_the_heap(void **state)
{
    struct rti_pool pool;
    void *objects[64];
    uint64_t taken;

    (void)state;
    rti_pool_init(&pool, 48);
    for (int i = 0; i < 64; i++) {
        objects[i] = rti_pool_get(&pool);
    }
    taken = fault_allocations();
    for (unsigned round = 0; round < 1000; round++) {
        rti_pool_put(&pool, objects[round % 64]);
        objects[round % 64] = rti_pool_get(&pool);
        assert_non_null(objects[round % 64]);
    }
    assert_int_equal(fault_allocations(), taken);
    rti_pool_fini(&pool);
}

static void without_memory_no_object_is_got_and_none_is_lost(void **state)
{
    struct rti_pool pool;
    void *objects[64];

    (void)state;
    rti_pool_init(&pool, 48);
    fault_begin(1);
    assert_null(rti_pool_get(&pool));
    assert_true(fault_end());
    assert_int_equal(pool.in_use, 0);
    for (int i = 0; i < 64; i++) {
        objects[i] = rti_pool_get(&pool);
        assert_non_null(objects[i]);
    }
    fault_begin(1);
    assert_null(rti_pool_get(&pool)); /* the block is used up */
    assert_true(fault_end());
    assert_int_equal(pool.in_use, 64);
    rti_pool_put(&pool, objects[5]);
    assert_ptr_equal(rti_pool_get(&pool), objects[5]);
    assert_non_null(rti_pool_get(&pool)); /* there is memory again */
    rti_pool_fini(&pool);
    assert_int_equal(fault_live_blocks(), 0);
}

static void fini_frees_objects_that_are_still_in_use(void **state)
{
    struct rti_pool pool;

    (void)state;
    rti_pool_init(&pool, 1000);
    for (int i = 0; i < 500; i++) {
        assert_non_null(rti_pool_get(&pool));
    }
    assert_true(fault_live_blocks() > 0);
    rti_pool_fini(&pool);
    assert_int_equal(fault_live_blocks(), 0);
}

static void a_pool_that_was_never_used_takes_no_memory(void **state)
{
    struct rti_pool pool;
    const uint64_t taken = fault_allocations();

    (void)state;
    rti_pool_init(&pool, 1000);
    rti_pool_fini(&pool);
    assert_int_equal(fault_allocations(), taken);
}

#if RTI_ASAN
static void an_object_that_was_put_back_must_not_be_touched(void **state)
{
    struct rti_pool pool;
    char *object;

    (void)state;
    rti_pool_init(&pool, 64);
    object = rti_pool_get(&pool);
    assert_non_null(object);
    assert_null(__asan_region_is_poisoned(object, 64));
    rti_pool_put(&pool, object);
    for (int i = 0; i < 64; i++) {
        assert_true(__asan_address_is_poisoned(object + i));
    }
    rti_pool_fini(&pool);
}
#else
static void an_object_that_was_put_back_must_not_be_touched(void **state)
{
    (void)state;
    skip(); /* only ASan can tell */
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_is_zeroed_each_time_it_is_got),
        cmocka_unit_test(the_object_put_last_is_got_first),
        cmocka_unit_test(objects_are_aligned),
        cmocka_unit_test(objects_of_many_blocks_do_not_overlap),
        cmocka_unit_test(a_steady_state_takes_nothing_from_the_heap),
        cmocka_unit_test(without_memory_no_object_is_got_and_none_is_lost),
        cmocka_unit_test(fini_frees_objects_that_are_still_in_use),
        cmocka_unit_test(a_pool_that_was_never_used_takes_no_memory),
        cmocka_unit_test(an_object_that_was_put_back_must_not_be_touched),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
