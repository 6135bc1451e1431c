/* SPDX-License-Identifier: MIT */
/*
 * Requests come out of a stream the same however it is cut. Each stream of a table is fed whole,
 * cut in two at every byte, byte by byte, and in random pieces; what comes out is written down as
 * text and compared. The bytes that have come lie alone in memory of their own, so that a
 * sanitizer sees a look behind them, and they move with every piece.
 */
#include "resp.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "support/harness.h"
#include "support/rand.h"

#define BULK_MAX    1000
#define REQUEST_MAX 4000

/* What came out of a stream: "[word|word]" for a request, "!text" for an error. */
struct outcome {
    char text[8192];
    size_t len;
};

static void write_down(struct outcome *outcome, const char *bytes, size_t count)
{
    assert_true(outcome->len + count < sizeof(outcome->text));
    memcpy(outcome->text + outcome->len, bytes, count);
    outcome->len += count;
    outcome->text[outcome->len] = '\0';
}

static void write_request(struct outcome *outcome, const struct resp_parser *parser,
                          const char *data)
{
    write_down(outcome, "[", 1);
    for (uint32_t i = 0; i < parser->count; i++) {
        write_down(outcome, "|", i > 0);
        write_down(outcome, data + parser->args[i].at, parser->args[i].len);
    }
    write_down(outcome, "]", 1);
}

struct feed {
    struct resp_parser parser;
    struct outcome outcome;
    char *bytes; /* of the request that is not whole */
    size_t len;
    bool ended; /* by an error */
};

static void feed_begin(struct feed *feed)
{
    memset(feed, 0, sizeof(*feed));
    feed->parser.bulk_max = BULK_MAX;
    feed->parser.request_max = REQUEST_MAX;
}

static void feed_piece(struct feed *feed, const char *piece, size_t count)
{
    char *bytes = malloc(feed->len + count + 1);
    size_t begin = 0;
    size_t used = 0;
    enum resp_result result;

    assert_non_null(bytes);
    /* From its second byte on: nothing is aligned by luck. */
    if (feed->len > 0) {
        memcpy(bytes + 1, feed->bytes + 1, feed->len);
    }
    memcpy(bytes + 1 + feed->len, piece, count);
    free(feed->bytes);
    feed->bytes = bytes;
    feed->len += count;
    while ((result = resp_next(&feed->parser, bytes + 1 + begin, feed->len - begin, &used)) ==
           RESP_REQUEST) {
        assert_in_range(used, 1, feed->len - begin);
        write_request(&feed->outcome, &feed->parser, bytes + 1 + begin);
        begin += used;
    }
    assert_int_not_equal(result, RESP_NO_MEMORY);
    if (result == RESP_ERROR) {
        write_down(&feed->outcome, "!", 1);
        write_down(&feed->outcome, feed->parser.error, strlen(feed->parser.error));
        feed->ended = true;
    }
    memmove(bytes + 1, bytes + 1 + begin, feed->len - begin);
    feed->len -= begin;
}

static void feed_end(struct feed *feed)
{
    free(feed->bytes);
    resp_free(&feed->parser);
}

static const struct {
    const char *stream;
    const char *outcome;
} streams[] = {
    { "PING\r\n", "[PING]" },
    { "PING\n", "[PING]" },
    { "\r\n\n \t \r\nPING\r\n", "[][][][PING]" },
    { "  a \t b\r\nc\r\n", "[a|b][c]" },
    { "*1\r\n$4\r\nPING\r\n", "[PING]" },
    { "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$1\r\nx\r\n", "[GET|k][x]" },
    { "*2\r\n$3\r\nGET\r\n$0\r\n\r\n", "[GET|]" },
    { "*2\r\n$4\r\nECHO\r\n$6\r\n*1\r\n$1\r\n", "[ECHO|*1\r\n$1]" },
    { "*0\r\n*-1\r\n*-100\r\n", "[][][]" },
    { "GET k\r\n*1\r\n$1\r\na\r\nGET l\r\n", "[GET|k][a][GET|l]" },
    { "ECHO \"a b\" 'c d'\r\n", "[ECHO|a b|c d]" },
    { "ECHO \"\\x41\\x7a\\n\\\\\\\"\\q\"\r\n", "[ECHO|Az\n\\\"q]" },
    { "ECHO \"\\x4g\"\r\n", "[ECHO|x4g]" },
    { "ECHO '\\'' '\\n' \"\" ''\r\n", "[ECHO|'|\\n||]" },
    { "ECHO a\"b c\"\r\n", "[ECHO|ab c]" },
    { "a\r\nECHO \"b\r\n", "[a]!unbalanced quotes in request" },
    { "ECHO \"b\"c\r\n", "!unbalanced quotes in request" },
    { "ECHO 'b'c\r\n", "!unbalanced quotes in request" },
    { "ECHO \"b\\\r\n", "!unbalanced quotes in request" },
    { "ECHO \"b\\x\r\n", "!unbalanced quotes in request" },
    { "*x\r\n", "!invalid multibulk length" },
    { "*\r\n", "!invalid multibulk length" },
    { "*1 \r\n", "!invalid multibulk length" },
    { "*667\r\n", "!invalid multibulk length" },
    { "*9999999999999999999999\r\n", "!invalid multibulk length" },
    { "*1\r\nPING\r\n", "!expected '$', got 'P'" },
    { "*1\r\n\r\n", "!expected '$', got '\r'" },
    { "*1\r\n$\r\n", "!invalid bulk length" },
    { "*1\r\n$-1\r\n", "!invalid bulk length" },
    { "*1\r\n$01\r\n", "!invalid bulk length" },
    { "*1\r\n$1001\r\n", "!invalid bulk length" },
    { "*2\r\n$1\r\na\r\n*1\r\n", "!expected '$', got '*'" },
    { "*666\r\n", "" },
    { "*1\r\n$1000\r\n", "" },
    { "*2\r\n$4\r\nECHO\r\n$5\r\nabc", "" },
};

static void check(size_t number, struct feed *feed)
{
    if (strcmp(feed->outcome.text, streams[number].outcome) != 0) {
        print_message("stream %zu: %s\n", number, streams[number].stream);
    }
    assert_string_equal(feed->outcome.text, streams[number].outcome);
    feed_end(feed);
}

static void a_stream_gives_its_requests_wherever_it_is_cut_in_two(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
        const char *stream = streams[i].stream;
        const size_t len = strlen(stream);

        for (size_t cut = 0; cut < len; cut++) {
            struct feed feed;

            feed_begin(&feed);
            feed_piece(&feed, stream, cut);
            if (!feed.ended) {
                feed_piece(&feed, stream + cut, len - cut);
            }
            check(i, &feed);
        }
    }
}

static void a_stream_gives_its_requests_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
        struct feed feed;

        feed_begin(&feed);
        for (const char *at = streams[i].stream; *at != '\0' && !feed.ended; at++) {
            feed_piece(&feed, at, 1);
        }
        check(i, &feed);
    }
}

/* A random request, and how it is to be written down. */
static void add_request(struct rand_state *rand, struct outcome *stream, struct outcome *expected)
{
    const uint64_t words = 1 + rand_below(rand, 5);
    char header[32];

    write_down(stream, header, (size_t)snprintf(header, sizeof(header), "*%d\r\n", (int)words));
    write_down(expected, "[", 1);
    for (uint64_t i = 0; i < words; i++) {
        const uint64_t len = rand_below(rand, 30);
        char word[30];

        for (uint64_t k = 0; k < len; k++) {
            word[k] = "\r\n$*3abc"[rand_below(rand, 8)];
        }
        write_down(stream, header, (size_t)snprintf(header, sizeof(header), "$%d\r\n", (int)len));
        write_down(stream, word, len);
        write_down(stream, "\r\n", 2);
        write_down(expected, "|", i > 0);
        write_down(expected, word, len);
    }
    write_down(expected, "]", 1);
}

static void random_requests_survive_random_cuts(void **state)
{
    (void)state;
    for (unsigned run = 0; run < rt_test_seed_count(300); run++) {
        struct outcome stream = { .len = 0 };
        struct outcome expected = { .len = 0 };
        struct rand_state rand;
        struct feed feed;
        size_t at = 0;

        rand_init(&rand, rt_test_seed(run));
        for (unsigned i = 0; i < 20; i++) {
            add_request(&rand, &stream, &expected);
        }
        feed_begin(&feed);
        while (at < stream.len) {
            const size_t rest = stream.len - at;
            const size_t most = (size_t)1 << rand_below(&rand, 9);
            const size_t count = 1 + rand_below(&rand, most < rest ? most : rest);

            feed_piece(&feed, stream.text + at, count);
            at += count;
        }
        if (strcmp(feed.outcome.text, expected.text) != 0) {
            print_message("RT_SEED=%llu\n", (unsigned long long)rt_test_seed(run));
        }
        assert_string_equal(feed.outcome.text, expected.text);
        feed_end(&feed);
    }
}

/* Garbage gives an error or waits for more; a sanitizer sees what it should not do. */
static void random_bytes_do_no_harm(void **state)
{
    (void)state;
    for (unsigned run = 0; run < rt_test_seed_count(2000); run++) {
        struct rand_state rand;
        struct feed feed;

        rand_init(&rand, rt_test_seed(run));
        feed_begin(&feed);
        for (unsigned i = 0; i < 40 && !feed.ended; i++) {
            char piece[8];
            const size_t count = 1 + rand_below(&rand, sizeof(piece));

            for (size_t k = 0; k < count; k++) {
                piece[k] = "*$0129-\r\n\"'\\x \0a"[rand_below(&rand, 17)];
            }
            feed_piece(&feed, piece, count);
        }
        feed_end(&feed);
    }
}

static void a_request_may_not_be_longer_than_its_limit(void **state)
{
    static const char header[] = "*5\r\n";
    static char argument[7 + BULK_MAX + 2] = "$1000\r\n"; /* the string's 0s are its bytes */
    struct feed feed;

    (void)state;
    feed_begin(&feed);
    feed_piece(&feed, header, strlen(header));
    for (unsigned i = 0; i < 3; i++) {
        feed_piece(&feed, argument, sizeof(argument));
        assert_false(feed.ended);
    }
    feed_piece(&feed, argument, 7); /* before the bytes come */
    assert_string_equal(feed.outcome.text, "!too big request");
    feed_end(&feed);
}

static void a_line_without_an_end_is_an_error_at_its_limit(void **state)
{
    static const struct {
        const char *begin;
        const char *error;
    } lines[] = {
        { "a", "!too big inline request" },
        { "*", "!too big mbulk count string" },
        { "*1\r\n$", "!too big bulk count string" },
    };
    static char piece[1024];

    (void)state;
    memset(piece, '1', sizeof(piece));
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct feed feed;

        feed_begin(&feed);
        feed_piece(&feed, lines[i].begin, strlen(lines[i].begin));
        for (unsigned k = 0; k < 64; k++) {
            assert_false(feed.ended);
            feed_piece(&feed, piece, sizeof(piece));
        }
        assert_string_equal(feed.outcome.text, lines[i].error);
        feed_end(&feed);
    }
}

static void an_announced_argument_takes_no_memory(void **state)
{
    struct feed feed;

    (void)state;
    feed_begin(&feed);
    feed_piece(&feed, "*600\r\n$1000\r\n", strlen("*600\r\n$1000\r\n"));
    assert_int_equal(feed.parser.capacity, 0);
    feed_end(&feed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_gives_its_requests_wherever_it_is_cut_in_two),
        cmocka_unit_test(a_stream_gives_its_requests_byte_by_byte),
        cmocka_unit_test(random_requests_survive_random_cuts),
        cmocka_unit_test(random_bytes_do_no_harm),
        cmocka_unit_test(a_request_may_not_be_longer_than_its_limit),
        cmocka_unit_test(a_line_without_an_end_is_an_error_at_its_limit),
        cmocka_unit_test(an_announced_argument_takes_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
