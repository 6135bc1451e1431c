/* SPDX-License-Identifier: MIT */
/* Address: tables of what is read and what is refused, the way back, and rubbish of all kinds. */
#include "io/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rt/tcp.h"
#include "support/ear.h"
#include "support/harness.h"
#include "support/rand.h"

static int parse(struct rti_address *address, const char *text)
{
    memset(&heard, 0, sizeof(heard));
    return rti_address_parse(address, text, &ear);
}

struct good {
    const char *text;
    int family;
    const char *host; /* as inet_pton() reads it */
    uint16_t port;
    uint32_t scope;
    const char *shown;
};

static const struct good good[] = {
    { "127.0.0.1:7000", AF_INET, "127.0.0.1", 7000, 0, "127.0.0.1:7000" },
    { "0.0.0.0:0", AF_INET, "0.0.0.0", 0, 0, "0.0.0.0:0" },
    { "255.255.255.255:65535", AF_INET, "255.255.255.255", 65535, 0, "255.255.255.255:65535" },
    { "1.2.3.4:1", AF_INET, "1.2.3.4", 1, 0, "1.2.3.4:1" },
    { "1.2.3.4:007", AF_INET, "1.2.3.4", 7, 0, "1.2.3.4:7" },
    { ":7000", AF_INET6, "::", 7000, 0, "[::]:7000" },
    { ":0", AF_INET6, "::", 0, 0, "[::]:0" },
    { "[::]:80", AF_INET6, "::", 80, 0, "[::]:80" },
    { "[::1]:65535", AF_INET6, "::1", 65535, 0, "[::1]:65535" },
    { "[fe80::1%2]:80", AF_INET6, "fe80::1", 80, 2, "[fe80::1%2]:80" },
    { "[fe80::1%4294967295]:80", AF_INET6, "fe80::1", 80, UINT32_MAX, "[fe80::1%4294967295]:80" },
    { "[fe80::1%0]:80", AF_INET6, "fe80::1", 80, 0, "[fe80::1]:80" },
    { "[2001:DB8::A]:80", AF_INET6, "2001:db8::a", 80, 0, "[2001:db8::a]:80" },
    { "[0:0:0:0:0:0:0:1]:80", AF_INET6, "::1", 80, 0, "[::1]:80" },
    { "[::ffff:1.2.3.4]:80", AF_INET6, "::ffff:1.2.3.4", 80, 0, "[::ffff:1.2.3.4]:80" },
    { "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535", AF_INET6,
      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535, UINT32_MAX,
      "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535" },
    { "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255%4294967295]:65535", AF_INET6,
      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535, UINT32_MAX,
      "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535" },
};

#define GOOD_COUNT (sizeof(good) / sizeof(good[0]))

static const char *const bad[] = {
    NULL,
    "",
    ":",
    "::",
    ":::",
    "127.0.0.1",
    "127.0.0.1:",
    "127.0.0.1:65536",
    "127.0.0.1:99999",
    "127.0.0.1:4294967296",
    "127.0.0.1:18446744073709551616",
    "127.0.0.1:18446744073709551696", /* 2^64 + 80 */
    "127.0.0.1:-1",
    "127.0.0.1:+80",
    "127.0.0.1: 80",
    "127.0.0.1:80 ",
    "127.0.0.1:0x50",
    "127.0.0.1:80a",
    "127.0.0.1:http",
    " 127.0.0.1:80",
    "127.0.0.1 :80",
    "127.0.0:80",
    "127.1:80",
    "1.2.3.4.5:80",
    "1.2.3.256:80",
    "1.2.3.04:80",
    "1.2.3.:80",
    "1:80",
    "localhost:80",
    "example.org:80",
    "::1:80",
    "fe80::1%2:80",
    "[::1]",
    "[::1]:",
    "[::1]80",
    "[::1:80",
    "::1]:80",
    "[]:80",
    "[:80",
    "]:80",
    "[ ]:80",
    "[::1 ]:80",
    "[127.0.0.1]:80",
    "[[::1]]:80",
    "x::1]:80",
    "::1]]:80",
    "[::1]]:80",
    "[::1]:65536",
    "[1:2:3:4:5:6:7]:80",
    "[1:2:3:4:5:6:7:8:9]:80",
    "[::1::2]:80",
    "[12345::]:80",
    "[g::]:80",
    "[fe80::1%]:80",
    "[fe80::1%eth0]:80",
    "[fe80::1%-1]:80",
    "[fe80::1% 2]:80",
    "[fe80::1%4294967296]:80",
    "[fe80::1%2%3]:80",
    "[%2]:80",
    "[fe80::1%2]x:80",
};

static void good_addresses_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOOD_COUNT; i++) {
        const struct good *row = &good[i];
        struct rti_address address;
        unsigned char host[16];

        assert_int_equal(parse(&address, row->text), 0);
        assert_int_equal(heard.lines, 0);
        assert_int_equal(address.socket.any.sa_family, row->family);
        assert_int_equal(inet_pton(row->family, row->host, host), 1);
        if (row->family == AF_INET) {
            assert_int_equal(address.bytes, sizeof(struct sockaddr_in));
            assert_memory_equal(&address.socket.v4.sin_addr, host, 4);
            assert_int_equal(ntohs(address.socket.v4.sin_port), row->port);
        } else {
            assert_int_equal(address.bytes, sizeof(struct sockaddr_in6));
            assert_memory_equal(&address.socket.v6.sin6_addr, host, 16);
            assert_int_equal(ntohs(address.socket.v6.sin6_port), row->port);
            assert_int_equal(address.socket.v6.sin6_scope_id, row->scope);
            assert_int_equal(address.socket.v6.sin6_flowinfo, 0);
        }
    }
}

static void bad_addresses_are_refused_in_words_that_name_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct rti_address address;
        char quoted[80];

        if (parse(&address, bad[i]) != -EINVAL) {
            fail_msg("\"%s\" was read", bad[i]);
        }
        assert_int_equal(heard.lines, 1);
        assert_int_equal(heard.level, RT_LOG_ERROR);
        snprintf(quoted, sizeof(quoted), "\"%s\"", bad[i] != NULL ? bad[i] : "(null)");
        assert_non_null(strstr(heard.text, quoted));
        assert_non_null(strstr(heard.text, "HOST:PORT"));
    }
}

/* The text must still say what is wrong and how it should be, however long the input is. */
static void very_long_strings_are_refused_and_the_text_says_why(void **state)
{
    static const size_t lengths[] = { 59, 63, 64, 65, 100, 500, 511, 512, 513, 5000, 100000 };
    static char text[100100];

    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct rti_address address;

        memset(text, '1', lengths[i]);
        memcpy(text + lengths[i], ":80", 4);
        assert_int_equal(parse(&address, text), -EINVAL);
        assert_int_equal(heard.lines, 1);
        assert_non_null(strstr(heard.text, "\"11111"));
        assert_non_null(strstr(heard.text, "HOST:PORT"));
        text[0] = '[';
        text[lengths[i] - 1] = ']';
        assert_int_equal(parse(&address, text), -EINVAL);
        memset(text, '7', lengths[i]);
        text[0] = ':';
        assert_int_equal(parse(&address, text), -EINVAL);
    }
}

static void an_address_is_shown_so_that_it_can_be_read_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOOD_COUNT; i++) {
        struct rti_address address;
        struct rti_address again;
        char text[RT_TCP_ADDRESS_BYTES];

        assert_int_equal(parse(&address, good[i].text), 0);
        assert_int_equal(rti_address_format(&address, text, sizeof(text)), 0);
        assert_string_equal(text, good[i].shown);
        assert_int_equal(parse(&again, text), 0);
        assert_int_equal(again.bytes, address.bytes);
        assert_memory_equal(&again.socket, &address.socket, address.bytes);
    }
}

/* Random addresses of both kinds: RT_TCP_ADDRESS_BYTES is enough for all, and nothing is lost. */
static void every_address_survives_being_written_and_read(void **state)
{
    (void)state;
    for (unsigned i = 0; i < rt_test_seed_count(10000); i++) {
        struct rti_address address = { .bytes = sizeof(struct sockaddr_in6) };
        struct rti_address again;
        struct rand_state rand;
        char text[RT_TCP_ADDRESS_BYTES];

        rand_init(&rand, rt_test_seed(i));
        if (rand_chance(&rand, 300)) {
            address.bytes = sizeof(struct sockaddr_in);
            address.socket.v4.sin_family = AF_INET;
            address.socket.v4.sin_port = (uint16_t)rand_next(&rand);
            rand_bytes(&rand, &address.socket.v4.sin_addr, 4);
        } else {
            address.socket.v6.sin6_family = AF_INET6;
            address.socket.v6.sin6_port = (uint16_t)rand_next(&rand);
            rand_bytes(&rand, &address.socket.v6.sin6_addr, 1 + rand_below(&rand, 16));
            address.socket.v6.sin6_scope_id = (uint32_t)rand_next(&rand) *
                                              (uint32_t)rand_below(&rand, 2);
        }
        assert_int_equal(rti_address_format(&address, text, sizeof(text)), 0);
        if (parse(&again, text) != 0 || again.bytes != address.bytes ||
            memcmp(&again.socket, &address.socket, address.bytes) != 0) {
            fail_msg("seed %llu: %s", (unsigned long long)rt_test_seed(i), text);
        }
    }
}

static void too_little_room_is_told_and_not_overrun(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOOD_COUNT; i++) {
        const size_t enough = strlen(good[i].shown) + 1;
        struct rti_address address;

        assert_int_equal(parse(&address, good[i].text), 0);
        for (size_t bytes = 1; bytes <= enough; bytes++) {
            char *text = test_malloc(bytes); /* its end is watched by cmocka and by ASan */

            assert_int_equal(rti_address_format(&address, text, bytes),
                             bytes < enough ? -ENOSPC : 0);
            test_free(text);
        }
        assert_int_equal(rti_address_format(&address, NULL, 0), -ENOSPC);
    }
}

/* Rubbish: a good address with some bytes changed, or bytes of the alphabet of addresses. */
static void random_text(struct rand_state *rand, char *text, size_t bytes)
{
    static const char alphabet[] = "0123456789abcf:::...[]%% -x";
    size_t length;

    if (rand_chance(rand, 500)) {
        snprintf(text, bytes, "%s", good[rand_below(rand, GOOD_COUNT)].text);
        length = strlen(text);
        for (uint64_t n = rand_below(rand, 4); n > 0; n--) {
            text[rand_below(rand, length)] = (char)rand_next(rand);
        }
        return;
    }
    length = rand_below(rand, bytes);
    for (size_t i = 0; i < length; i++) {
        text[i] = rand_chance(rand, 30) ? (char)rand_next(rand)
                                        : alphabet[rand_below(rand, sizeof(alphabet) - 1)];
    }
    text[length] = '\0';
}

/* What is accepted can be written and read again; what is refused is refused with one line. */
static void random_bytes_are_read_or_refused(void **state)
{
    unsigned accepted = 0;
    const unsigned runs = rt_test_seed_count(10000);

    (void)state;
    for (unsigned i = 0; i < runs; i++) {
        struct rti_address address;
        struct rti_address again;
        struct rand_state rand;
        char text[90];
        char shown[RT_TCP_ADDRESS_BYTES];

        rand_init(&rand, rt_test_seed(i));
        random_text(&rand, text, sizeof(text));
        if (parse(&address, text) < 0) {
            assert_int_equal(heard.lines, 1);
            continue;
        }
        accepted++;
        assert_int_equal(heard.lines, 0);
        if (rti_address_format(&address, shown, sizeof(shown)) != 0 || parse(&again, shown) != 0 ||
            again.bytes != address.bytes ||
            memcmp(&again.socket.any, &address.socket.any, again.bytes) != 0) {
            fail_msg("seed %llu: \"%s\" became %s", (unsigned long long)rt_test_seed(i), text,
                     shown);
        }
    }
    assert_true(runs < 10000 || accepted > 500); /* else the rubbish tells nothing */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_addresses_are_read),
        cmocka_unit_test(bad_addresses_are_refused_in_words_that_name_them),
        cmocka_unit_test(very_long_strings_are_refused_and_the_text_says_why),
        cmocka_unit_test(an_address_is_shown_so_that_it_can_be_read_again),
        cmocka_unit_test(every_address_survives_being_written_and_read),
        cmocka_unit_test(too_little_room_is_told_and_not_overrun),
        cmocka_unit_test(random_bytes_are_read_or_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
