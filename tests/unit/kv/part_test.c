/* SPDX-License-Identifier: MIT */
/*
 * What parts answer, byte by byte. Each test runs parts on a shard that has a store and nothing
 * else, and compares all that they wrote.
 */
#include "part.h"

#include "reply.h"
#include "support/harness.h"

struct fixture {
    struct shard shard;
    struct buffer reply;
};

static void begin(struct fixture *fixture, uint64_t bytes_max)
{
    *fixture = (struct fixture){ 0 };
    assert_int_equal(store_init(&fixture->shard.store, bytes_max), 0);
}

static void end(struct fixture *fixture)
{
    store_fini(&fixture->shard.store);
    buffer_free(&fixture->reply);
}

static void run(struct fixture *fixture, part_fn run_part, const char *key, const char *value,
                uint32_t flags)
{
    const struct part part = {
        .run = run_part,
        .key = key,
        .key_len = (uint32_t)strlen(key),
        .value = value,
        .value_len = value != NULL ? (uint32_t)strlen(value) : 0,
        .flags = flags,
    };

    part.run(&fixture->shard, &part, &fixture->reply);
}

static void assert_replies(struct fixture *fixture, const char *expected)
{
    buffer_append(&fixture->reply, "", 1);
    assert_string_equal(fixture->reply.bytes, expected);
    assert_int_equal(fixture->reply.len, strlen(expected) + 1);
    buffer_clear(&fixture->reply, SIZE_MAX);
}

static void get_answers_the_value_or_nil_and_counts(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, UINT64_MAX);
    run(&f, part_get, "a", NULL, 0);
    run(&f, part_set, "a", "one", 0);
    run(&f, part_get, "a", NULL, 0);
    run(&f, part_set, "a", "", 0);
    run(&f, part_get, "a", NULL, 0);
    assert_replies(&f, "$-1\r\n+OK\r\n$3\r\none\r\n+OK\r\n$0\r\n\r\n");
    assert_int_equal(f.shard.counters.hits, 2);
    assert_int_equal(f.shard.counters.misses, 1);
    end(&f);
}

static void conditions_of_set_decide_by_what_is_there(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, UINT64_MAX);
    run(&f, part_set, "a", "1", PART_IF_PRESENT);
    run(&f, part_set, "a", "2", PART_IF_ABSENT);
    run(&f, part_set, "a", "3", PART_IF_ABSENT);
    run(&f, part_get, "a", NULL, 0);
    run(&f, part_set, "a", "4", PART_IF_PRESENT);
    run(&f, part_get, "a", NULL, 0);
    assert_replies(&f, "$-1\r\n+OK\r\n$-1\r\n$1\r\n2\r\n+OK\r\n$1\r\n4\r\n");
    end(&f);
}

static void increment_counts_to_the_last_number_and_no_further(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, UINT64_MAX);
    run(&f, part_increment, "n", NULL, 0);
    run(&f, part_increment, "n", NULL, 0);
    run(&f, part_set, "n", "-1", 0);
    run(&f, part_increment, "n", NULL, 0);
    run(&f, part_set, "n", "9223372036854775806", 0);
    run(&f, part_increment, "n", NULL, 0);
    run(&f, part_increment, "n", NULL, 0);
    run(&f, part_get, "n", NULL, 0);
    run(&f, part_set, "n", "1 ", 0);
    run(&f, part_increment, "n", NULL, 0);
    assert_replies(&f, ":1\r\n:2\r\n+OK\r\n:0\r\n+OK\r\n:9223372036854775807\r\n"
                       "-ERR increment or decrement would overflow\r\n"
                       "$19\r\n9223372036854775807\r\n+OK\r\n"
                       "-ERR value is not an integer or out of range\r\n");
    end(&f);
}

/* What a part that is to be summed answers. */
static int64_t number_of(struct fixture *fixture, part_fn run_part, const char *key)
{
    int64_t number = -1;

    run(fixture, run_part, key, NULL, 0);
    assert_int_equal(fixture->reply.len, sizeof(number));
    memcpy(&number, fixture->reply.bytes, sizeof(number));
    buffer_clear(&fixture->reply, SIZE_MAX);
    return number;
}

static void what_is_summed_is_answered_as_a_number(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, UINT64_MAX);
    run(&f, part_set, "a", "1", 0);
    run(&f, part_set, "b", "1", 0);
    assert_replies(&f, "+OK\r\n+OK\r\n");
    assert_int_equal(number_of(&f, part_count, ""), 2);
    assert_int_equal(number_of(&f, part_exists, "a"), 1);
    assert_int_equal(number_of(&f, part_delete, "a"), 1);
    assert_int_equal(number_of(&f, part_delete, "a"), 0);
    assert_int_equal(number_of(&f, part_exists, "a"), 0);
    assert_int_equal(number_of(&f, part_count, ""), 1);
    end(&f);
}

static void a_full_store_answers_as_redis_does(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 0);
    f.shard.store.bytes_max = f.shard.store.bytes;
    run(&f, part_set, "a", "1", 0);
    run(&f, part_increment, "a", NULL, 0);
    run(&f, part_get, "a", NULL, 0);
    assert_replies(&f, "-OOM command not allowed when used memory > 'maxmemory'.\r\n"
                       "-OOM command not allowed when used memory > 'maxmemory'.\r\n$-1\r\n");
    end(&f);
}

static void an_error_stays_in_its_line(void **state)
{
    struct fixture f;
    char expected[600];
    char text[600];

    (void)state;
    begin(&f, UINT64_MAX);
    reply_error(&f.reply, "ERR %s", "a\r\nb\nc");
    assert_replies(&f, "-ERR a  b c\r\n");
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    reply_error(&f.reply, "%s", text); /* cut */
    memset(expected, 'x', sizeof(expected));
    expected[0] = '-';
    memcpy(expected + 511, "\r\n", 3);
    assert_replies(&f, expected);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(get_answers_the_value_or_nil_and_counts),
        cmocka_unit_test(conditions_of_set_decide_by_what_is_there),
        cmocka_unit_test(increment_counts_to_the_last_number_and_no_further),
        cmocka_unit_test(what_is_summed_is_answered_as_a_number),
        cmocka_unit_test(a_full_store_answers_as_redis_does),
        cmocka_unit_test(an_error_stays_in_its_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
