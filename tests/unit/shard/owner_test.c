/* SPDX-License-Identifier: MIT */
/*
 * Owners of keys: the values that data may have been stored by, and what makes a hash consistent.
 *
 * Method: SipHash-2-4 against the test vectors of its paper's reference code; the jump hash
 * against values of other implementations of its paper, and against its definition: with one shard
 * more a key stays, or goes to the new one.
 */
#include "support/harness.h"

#include "shard/owner.h"

static void the_hash_is_siphash_2_4_under_the_key_of_its_paper(void **state)
{
    /* of the keys "", 00, 00 01 ... ; the one of 15 bytes is in the paper itself */
    static const struct {
        size_t bytes;
        uint64_t hash;
    } values[] = {
        { 0, UINT64_C(0x726fdb47dd0e0e31) },  { 1, UINT64_C(0x74f839c593dc67fd) },
        { 2, UINT64_C(0x0d6c8009d9a94f5a) },  { 3, UINT64_C(0x85676696d7fb7e2d) },
        { 7, UINT64_C(0xab0200f58b01d137) },  { 8, UINT64_C(0x93f5f5799a932462) },
        { 15, UINT64_C(0xa129ca6149be45e5) },
    };
    unsigned char key[16];

    (void)state;
    for (unsigned i = 0; i < sizeof(key); i++) {
        key[i] = (unsigned char)i;
    }
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        assert_true(rti_owner_hash(key, values[i].bytes) == values[i].hash);
    }
}

static void the_jump_hash_gives_the_values_of_other_implementations(void **state)
{
    static const struct {
        uint64_t number;
        uint32_t count;
        uint32_t owner;
    } values[] = {
        { 1, 1, 0 },        { 42, 57, 43 }, { 0xDEAD10CC, 1, 0 }, { 0xDEAD10CC, 666, 361 },
        { 256, 1024, 520 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        assert_int_equal(rti_owner_jump(values[i].number, values[i].count), values[i].owner);
    }
}

static void with_one_shard_more_a_key_stays_or_goes_to_the_new_one(void **state)
{
    (void)state;
    for (uint64_t number = 0; number < 1000; number++) {
        const uint64_t hash = rti_owner_hash(&number, sizeof(number));

        for (uint32_t count = 1; count < 64; count++) {
            const uint32_t before = rti_owner_jump(hash, count);
            const uint32_t after = rti_owner_jump(hash, count + 1);

            assert_true(before < count);
            assert_true(after == before || after == count);
        }
    }
}

/* 64 shards get 1024 of so many keys each; 5 standard deviations are 160. */
static void shards_own_about_as_many_keys_each(void **state)
{
    unsigned owned[64] = { 0 };

    (void)state;
    for (uint64_t number = 0; number < 65536; number++) {
        owned[rti_owner_jump(rti_owner_hash(&number, sizeof(number)), 64)]++;
    }
    for (unsigned i = 0; i < 64; i++) {
        assert_in_range(owned[i], 1024 - 160, 1024 + 160);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hash_is_siphash_2_4_under_the_key_of_its_paper),
        cmocka_unit_test(the_jump_hash_gives_the_values_of_other_implementations),
        cmocka_unit_test(with_one_shard_more_a_key_stays_or_goes_to_the_new_one),
        cmocka_unit_test(shards_own_about_as_many_keys_each),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
