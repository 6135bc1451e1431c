/* SPDX-License-Identifier: MIT */
/*
 * The store beside a naive model: an array of values for a few thousand keys. Random operations,
 * every answer compared, while the table grows from its smallest size; with hashes that are good,
 * and with hashes of which many are equal.
 */
#include "store.h"

#include <errno.h>
#include <stdlib.h>

#include "support/harness.h"
#include "support/rand.h"

#define KEYS       6000
#define STEPS      60000
#define VALUE_MAX  200
#define NO_LIMIT   UINT64_MAX
#define HASHES_BAD 7

struct model {
    struct store store;
    struct rand_state rand;
    uint64_t count;
    int32_t lens[KEYS]; /* of the value; below 0: the key is not there */
    char fill[KEYS];    /* each byte of the value */
    bool bad_hashes;
};

static struct model model;

static struct slice key_of(char *text, uint64_t number)
{
    return (struct slice){ text,
                           (size_t)snprintf(text, 32, "key:%llu", (unsigned long long)number) };
}

static uint64_t hash_of(const struct model *m, uint64_t number)
{
    uint64_t hash = number * UINT64_C(0x9e3779b97f4a7c15);

    hash ^= hash >> 29;
    return m->bad_hashes ? hash % HASHES_BAD : hash;
}

static void model_init(uint64_t seed, bool bad_hashes)
{
    rand_init(&model.rand, seed);
    model.count = 0;
    model.bad_hashes = bad_hashes;
    for (unsigned i = 0; i < KEYS; i++) {
        model.lens[i] = -1;
    }
    assert_int_equal(store_init(&model.store, NO_LIMIT), 0);
}

static void check_key(uint64_t number)
{
    char text[32];
    const struct slice key = key_of(text, number);
    struct slice value = { NULL, 0 };
    const bool there = store_find(&model.store, hash_of(&model, number), key, &value);

    assert_int_equal(there, model.lens[number] >= 0);
    if (there) {
        assert_int_equal(value.len, model.lens[number]);
        for (size_t i = 0; i < value.len; i++) {
            assert_int_equal(value.data[i], model.fill[number]);
        }
    }
}

static void set_key(uint64_t number)
{
    char text[32];
    char bytes[VALUE_MAX];
    const size_t len = rand_below(&model.rand, VALUE_MAX + 1);

    model.fill[number] = (char)rand_next(&model.rand);
    memset(bytes, model.fill[number], sizeof(bytes));
    assert_int_equal(store_set(&model.store, hash_of(&model, number), key_of(text, number),
                               (struct slice){ bytes, len }),
                     0);
    model.count += model.lens[number] < 0;
    model.lens[number] = (int32_t)len;
}

static void delete_key(uint64_t number)
{
    char text[32];
    const bool there = store_delete(&model.store, hash_of(&model, number), key_of(text, number));

    assert_int_equal(there, model.lens[number] >= 0);
    model.count -= there;
    model.lens[number] = -1;
}

static void run(uint64_t seed, bool bad_hashes, unsigned steps)
{
    const uint64_t empty_bytes = (model_init(seed, bad_hashes), model.store.bytes);

    for (unsigned i = 0; i < steps; i++) {
        const uint64_t number = rand_below(&model.rand, bad_hashes ? KEYS / 20 : KEYS);

        switch (rand_below(&model.rand, 4)) {
        case 0:
            check_key(number);
            break;
        case 1:
            delete_key(number);
            break;
        default:
            set_key(number);
            break;
        }
        assert_int_equal(model.store.count, model.count);
    }
    for (uint64_t i = 0; i < KEYS; i++) {
        check_key(i);
        delete_key(i);
    }
    assert_int_equal(model.store.count, 0);
    /* What is left is the table, and the one that is being moved. */
    assert_int_equal(model.store.bytes,
                     (model.store.table.mask + 1 +
                      (model.store.old.lists != NULL ? model.store.old.mask + 1 : 0)) *
                         sizeof(void *));
    assert_true(model.store.bytes >= empty_bytes);
    store_fini(&model.store);
}

static void the_store_agrees_with_an_array(void **state)
{
    (void)state;
    for (unsigned i = 0; i < rt_test_seed_count(3); i++) {
        run(rt_test_seed(i), false, STEPS);
    }
}

static void keys_with_equal_hashes_are_told_apart(void **state)
{
    (void)state;
    run(rt_test_seed(0), true, STEPS / 10);
}

/* Set `count` new keys from `first` on. */
static void fill(uint64_t first, uint64_t count)
{
    for (uint64_t i = first; i < first + count; i++) {
        char text[32];

        assert_int_equal(
            store_set(&model.store, hash_of(&model, i), key_of(text, i), (struct slice){ "v", 1 }),
            0);
    }
}

static void the_table_grows_a_few_lists_per_insertion_and_is_never_behind(void **state)
{
    const uint64_t keys = 100000;
    uint64_t moved = 0;
    unsigned growths = 0;

    (void)state;
    model_init(1, false);
    for (uint64_t i = 0; i < keys; i++) {
        const bool growing = model.store.old.lists != NULL;

        fill(i, 1);
        if (model.store.old.lists != NULL) {
            assert_true(!growing || model.store.moved - moved <= 2);
            moved = model.store.moved;
        }
        growths += !growing && model.store.old.lists != NULL;
        /* At most as many keys as lists, on average: lists stay short. */
        assert_true(model.store.count <= model.store.table.mask + 1);
    }
    assert_int_equal(growths, 7); /* from 1024 lists to 131072 */
    for (uint64_t i = 0; i < keys; i++) {
        char text[32];

        assert_true(store_find(&model.store, hash_of(&model, i), key_of(text, i), NULL));
    }
    store_fini(&model.store);
}

static void a_full_store_refuses_what_is_new_and_keeps_what_it_has(void **state)
{
    static const char value[1000];
    const uint64_t bytes_max = 100000;
    uint64_t stored = 0;
    uint64_t bytes;
    char text[32];
    int r;

    (void)state;
    model_init(1, false);
    model.store.bytes_max = bytes_max;
    while ((r = store_set(&model.store, hash_of(&model, stored), key_of(text, stored),
                          (struct slice){ value, sizeof(value) })) == 0) {
        stored++;
        assert_true(model.store.bytes <= bytes_max);
    }
    assert_int_equal(r, -EDQUOT);
    assert_in_range(stored, 80, 95); /* 92 KB without the table, at 1 KB each and what it costs */
    bytes = model.store.bytes;
    /* A longer value for a key that is there does not fit either, and the old one stays. */
    assert_int_equal(store_set(&model.store, hash_of(&model, 0), key_of(text, 0),
                               (struct slice){ (const char[2000]){ 1 }, 2000 }),
                     -EDQUOT);
    for (uint64_t i = 0; i < stored; i++) {
        struct slice found;

        assert_true(store_find(&model.store, hash_of(&model, i), key_of(text, i), &found));
        assert_int_equal(found.len, sizeof(value));
        assert_memory_equal(found.data, value, sizeof(value));
    }
    assert_int_equal(model.store.bytes, bytes);
    /* One of the same size goes into its place; and after a deletion there is room. */
    assert_int_equal(store_set(&model.store, hash_of(&model, 0), key_of(text, 0),
                               (struct slice){ value, sizeof(value) }),
                     0);
    assert_true(store_delete(&model.store, hash_of(&model, 0), key_of(text, 0)));
    assert_int_equal(store_set(&model.store, hash_of(&model, 0), key_of(text, 0),
                               (struct slice){ value, sizeof(value) }),
                     0);
    store_fini(&model.store);
}

static void a_value_that_shrinks_much_gives_its_memory_back(void **state)
{
    static const char value[4000];
    char text[32];
    uint64_t before;

    (void)state;
    model_init(1, false);
    before = model.store.bytes;
    assert_int_equal(
        store_set(&model.store, 1, key_of(text, 1), (struct slice){ value, sizeof(value) }), 0);
    assert_int_equal(store_set(&model.store, 1, key_of(text, 1), (struct slice){ value, 10 }), 0);
    assert_true(model.store.bytes - before < 100);
    store_fini(&model.store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_store_agrees_with_an_array),
        cmocka_unit_test(keys_with_equal_hashes_are_told_apart),
        cmocka_unit_test(the_table_grows_a_few_lists_per_insertion_and_is_never_behind),
        cmocka_unit_test(a_full_store_refuses_what_is_new_and_keeps_what_it_has),
        cmocka_unit_test(a_value_that_shrinks_much_gives_its_memory_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
