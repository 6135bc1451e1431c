/* SPDX-License-Identifier: MIT */
/*
 * The sum beside vectors of RFC 3720 (iSCSI), appendix B.4, and a bitwise model; and each part of
 * a block that is changed is found, by its name.
 */
#include "block.h"

#include <string.h>

#include "support/harness.h"
#include "support/rand.h"

#define BYTES 4096u

static unsigned char block[BYTES];

static void the_sum_has_the_values_of_the_standard(void **state)
{
    unsigned char bytes[32] = { 0 };

    (void)state;
    assert_int_equal(block_crc("123456789", 9), 0xe3069283);
    assert_int_equal(block_crc(bytes, sizeof(bytes)), 0x8a9136aa);
    memset(bytes, 0xff, sizeof(bytes));
    assert_int_equal(block_crc(bytes, sizeof(bytes)), 0x62a8ab43);
    for (unsigned i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (unsigned char)i;
    }
    assert_int_equal(block_crc(bytes, sizeof(bytes)), 0x46dd794e);
}

/* Bit by bit, by the reflected polynomial 0x1edc6f41. */
static uint32_t crc_model(const unsigned char *data, size_t bytes)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < bytes; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78 : 0);
        }
    }
    return ~crc;
}

static void the_sum_is_that_of_the_model_for_every_length_and_alignment(void **state)
{
    (void)state;
    block_randomise(block, sizeof(block), rt_test_seed(0));
    for (size_t bytes = 0; bytes < 300; bytes++) {
        assert_int_equal(block_crc(block + bytes % 17, bytes),
                         crc_model(block + bytes % 17, bytes));
    }
}

static const struct block_expected here = {
    .offset = 8192,
    .seed = 7,
    .pass_first = 2,
    .pass_last = 3,
    .written_here = true,
};

static void a_block_is_what_was_written(void **state)
{
    struct block_fault fault;

    (void)state;
    for (uint32_t bytes = 64; bytes <= BYTES; bytes += 13) {
        block_fill(block, bytes, 8192, 7, 2);
        assert_true(block_check(block, bytes, &here, &fault));
    }
}

static void a_byte_that_is_changed_anywhere_is_found(void **state)
{
    struct block_fault fault;

    (void)state;
    block_fill(block, sizeof(block), 8192, 7, 2);
    for (size_t i = 0; i < sizeof(block); i++) {
        block[i] ^= 1;
        assert_false(block_check(block, sizeof(block), &here, &fault));
        assert_int_not_equal(fault.expected, fault.found);
        block[i] ^= 1;
    }
    assert_true(block_check(block, sizeof(block), &here, &fault));
}

static void check_fault(const char *what, uint64_t expected, uint64_t found)
{
    struct block_fault fault;

    assert_false(block_check(block, sizeof(block), &here, &fault));
    assert_string_equal(fault.what, what);
    assert_int_equal(fault.expected, expected);
    assert_int_equal(fault.found, found);
}

static void a_whole_block_that_is_another_one_is_found(void **state)
{
    (void)state;
    block_fill(block, sizeof(block), 4096, 7, 2);
    check_fault("offset", 8192, 4096);
    block_fill(block, sizeof(block), 8192, 8, 2);
    check_fault("seed", 7, 8);
    block_fill(block, sizeof(block), 8192, 7, 1);
    check_fault("pass", 2, 1);
    block_fill(block, sizeof(block), 8192, 7, 4);
    check_fault("pass", 3, 4);
}

static void a_reader_of_old_blocks_asks_for_their_place_only(void **state)
{
    struct block_expected somebody = { .offset = 8192 };
    struct block_fault fault;

    (void)state;
    block_fill(block, sizeof(block), 8192, 99, 1000);
    assert_true(block_check(block, sizeof(block), &somebody, &fault));
    somebody.offset = 0;
    assert_false(block_check(block, sizeof(block), &somebody, &fault));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sum_has_the_values_of_the_standard),
        cmocka_unit_test(the_sum_is_that_of_the_model_for_every_length_and_alignment),
        cmocka_unit_test(a_block_is_what_was_written),
        cmocka_unit_test(a_byte_that_is_changed_anywhere_is_found),
        cmocka_unit_test(a_whole_block_that_is_another_one_is_found),
        cmocka_unit_test(a_reader_of_old_blocks_asks_for_their_place_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
