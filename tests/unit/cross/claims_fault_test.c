/* SPDX-License-Identifier: MIT */
/*
 * Claims when system calls fail: each call fails once, and whatever comes of
 * it, nothing is left behind and the next attempt works.
 */
#include "support/harness.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "core/executor.h"
#include "cross/claims.h"
#include "os/sys.h"
#include "support/fault.h"

#define SHARDS 3

static const struct rti_executor shards[SHARDS]; /* their addresses only */

/* A listener of each shard on one port. How many could be made. */
static unsigned use_claims(void)
{
    const struct sockaddr_in address = { .sin_family = AF_INET,
                                         .sin_addr = { htonl(INADDR_LOOPBACK) } };
    struct rti_claims *claims = NULL;
    struct rti_seat seats[SHARDS];
    int fds[SHARDS];
    unsigned count = 0;

    if (rti_claims_create(&claims) < 0) {
        T_CHECK(claims == NULL);
        return 0;
    }
    for (unsigned i = 0; i < SHARDS; i++) {
        const int fd = rti_sys_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0) {
            continue;
        }
        if (rti_claims_bind(claims, &seats[count], &shards[i], fd,
                            (const struct sockaddr *)&address, sizeof(address)) < 0) {
            (void)rti_sys_close(fd);
            continue;
        }
        fds[count++] = fd;
    }
    for (unsigned i = 0; i < count; i++) {
        (void)rti_sys_close(fds[i]);
        rti_claims_leave(claims, &seats[i]);
    }
    rti_claims_destroy(claims);
    return count;
}

static void claims_leave_nothing_behind_whatever_call_fails(void **state)
{
    const unsigned descriptors = t_open_descriptors();
    const int64_t blocks = fault_live_blocks();
    unsigned count;
    unsigned n = 0;
    bool hit;

    (void)state;
    do {
        n++;
        fault_begin(n);
        count = use_claims();
        hit = fault_end();
        T_CHECK(count >= (hit ? SHARDS - 1 : SHARDS) || count == 0); /* 0: no claims at all */
        assert_int_equal(fault_live_blocks(), blocks);
        assert_int_equal(t_open_descriptors(), descriptors);
    } while (hit);
    assert_int_equal(t_failures(), 0);
    assert_true(n > 2 * SHARDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(claims_leave_nothing_behind_whatever_call_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
