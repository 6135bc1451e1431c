/* SPDX-License-Identifier: MIT */
/*
 * Port: its sizes, the credits of posts (P2), and the terms of requests.
 *
 * Method: both sides' steps by hand, with counters that wrap; then every
 * allocation fails once.
 */
#include "support/harness.h"

#include "cross/port.h"
#include "support/fault.h"

static void a_port_has_room_for_what_its_config_says(void **state)
{
    struct rti_port *port = rti_port_create(2, 5, 4, 3, -1);

    (void)state;
    assert_non_null(port);
    assert_int_equal(port->from, 2);
    assert_int_equal(port->to, 5);
    assert_int_equal(port->sender.outlet.to, 5);
    assert_int_equal(port->receiver.outlet.to, 2);
    assert_int_equal(rti_ring_room(&port->requests, 1), 4);
    assert_int_equal(rti_ring_room(&port->replies, 1), 4);
    assert_true(port->posts_mask + 1 >= port->posts_max);
    assert_int_equal(port->posts_mask & (port->posts_mask + 1), 0);
    assert_int_equal(rti_port_posts_waiting(port), 0);
    rti_port_destroy(port);
    rti_port_destroy(NULL);
}

static void a_credit_comes_back_when_a_post_starts_also_when_counters_wrap(void **state)
{
    const uint32_t posts_max = 3;
    struct rti_port *port = rti_port_create(0, 1, 1, posts_max, -1);

    (void)state;
    assert_non_null(port);
    port->sender.posts_sent = UINT32_MAX - 1;
    port->sender.started_seen = UINT32_MAX - 1;
    port->receiver.posts_started = UINT32_MAX - 1;
    port->requests.started = UINT32_MAX - 1;
    for (unsigned round = 0; round < 5; round++) {
        for (uint32_t i = 0; i < posts_max; i++) {
            assert_true(rti_port_has_credit(port));
            rti_port_use_credit(port);
        }
        assert_false(rti_port_has_credit(port));
        port->receiver.posts_started++;
        assert_false(rti_port_has_credit(port)); /* nobody was told */
        rti_port_return_credits(port);
        assert_true(rti_port_has_credit(port));
        port->receiver.posts_started += posts_max - 1;
        rti_port_return_credits(port);
    }
    assert_int_equal(port->sender.posts_sent, 13); /* 15 from 2^32 - 2 */
    rti_port_destroy(port);
}

/* Else a sender would think that it has asked, while the receiver thinks that it has answered. */
static void who_uses_a_credit_may_ask_again(void **state)
{
    struct rti_port *port = rti_port_create(0, 1, 1, 1, -1);

    (void)state;
    assert_non_null(port);
    port->sender.credit_asked = true;
    rti_port_use_credit(port);
    assert_false(port->sender.credit_asked);
    rti_port_destroy(port);
}

static void posts_that_wait_are_counted_over_the_wrap(void **state)
{
    struct rti_port *port = rti_port_create(0, 1, 1, 5, -1);

    (void)state;
    assert_non_null(port);
    port->receiver.posts_head = UINT32_MAX - 1;
    port->receiver.posts_tail = UINT32_MAX - 1;
    port->receiver.posts_tail += 5;
    assert_int_equal(rti_port_posts_waiting(port), 5);
    rti_port_destroy(port);
}

static void a_port_that_lacks_memory_is_none_and_leaves_none(void **state)
{
    const int64_t blocks = fault_live_blocks();
    const int64_t mapped = fault_live_mapped();
    unsigned refused = 0;

    (void)state;
    for (unsigned n = 1;; n++) {
        struct rti_port *port;

        fault_begin(n);
        port = rti_port_create(0, 1, 8, 8, -1);
        if (!fault_end()) {
            assert_non_null(port);
            rti_port_destroy(port);
            break;
        }
        assert_null(port);
        refused++;
        assert_int_equal(fault_live_blocks(), blocks);
    }
    assert_true(refused >= 4); /* the port, and three arrays */
    assert_int_equal(fault_live_blocks(), blocks);
    assert_int_equal(fault_live_mapped(), mapped);
}

static void terms_keep_the_queue_and_give_the_function_no_less_time(void **state)
{
    static const rt_time lengths[] = { 1, 1023, 1024, 1025, 123456789, RT_SECONDS(86400) * 13 };
    static const rt_time nows[] = { 0, 1, RT_SECONDS(1000), (INT64_C(1) << 52) - 1000,
                                    RT_NEVER / 2 };
    const uint32_t queue = RTI_TERMS_QUEUE_MASK;

    (void)state;
    for (size_t i = 0; i < sizeof(nows) / sizeof(nows[0]); i++) {
        for (size_t j = 0; j < sizeof(lengths) / sizeof(lengths[0]); j++) {
            const rt_time now = nows[i];
            const rt_time deadline = now + lengths[j];
            const uint64_t terms = rti_terms(queue, deadline, now);

            assert_true(rti_terms_have_deadline(terms) && terms != RTI_TERMS_TASKLESS);
            assert_int_equal(rti_terms_queue(terms), queue);
            assert_int_equal(rti_terms_service(terms), 0);
            assert_true(rti_terms_deadline(terms, now) >= deadline);
            assert_true(rti_terms_deadline(terms, now) < deadline + 3 * 1024);
            /* the reader's clock may be another moment's */
            assert_int_equal(rti_terms_deadline(terms, now + lengths[j] / 2),
                             rti_terms_deadline(terms, now));
            assert_int_equal(rti_terms_queue(rti_terms(0, deadline, now)), 0);
        }
        assert_int_equal(rti_terms_deadline(rti_terms(3, nows[i], nows[i]), nows[i]), 0);
        assert_int_equal(rti_terms_deadline(rti_terms(3, -5, nows[i]), nows[i]), 0);
        assert_int_equal(rti_terms(queue, RT_NEVER, nows[i]), queue);
        assert_int_equal(rti_terms(queue, nows[i] + RT_SECONDS(86400) * 14, nows[i]), queue);
    }
}

static void a_deadline_that_passes_under_way_is_read_as_passed(void **state)
{
    const rt_time now = RT_SECONDS(1000);
    const uint64_t terms = rti_terms(0, now + 5000, now);

    (void)state;
    assert_true(rti_terms_deadline(terms, now + 1000000) <= now + 1000000);
    assert_true(rti_terms_deadline(terms, now + RT_SECONDS(86400)) <= now + RT_SECONDS(86400));
}

static void terms_name_a_service_beside_the_rest(void **state)
{
    const rt_time now = RT_SECONDS(1000);
    const uint64_t terms = rti_terms_of_service(RTI_SERVICE_NUMBER_MAX) |
                           rti_terms(RTI_TERMS_QUEUE_MASK, now + 5000, now);

    (void)state;
    assert_int_equal(rti_terms_service(terms), RTI_SERVICE_NUMBER_MAX);
    assert_int_equal(rti_terms_queue(terms), RTI_TERMS_QUEUE_MASK);
    assert_true(rti_terms_deadline(terms, now) >= now + 5000);
    assert_true(rti_terms_deadline(terms, now) < now + 5000 + 1024);
    assert_false(rti_terms_have_deadline(rti_terms_of_service(RTI_SERVICE_NUMBER_MAX)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_port_has_room_for_what_its_config_says),
        cmocka_unit_test(a_credit_comes_back_when_a_post_starts_also_when_counters_wrap),
        cmocka_unit_test(who_uses_a_credit_may_ask_again),
        cmocka_unit_test(terms_keep_the_queue_and_give_the_function_no_less_time),
        cmocka_unit_test(a_deadline_that_passes_under_way_is_read_as_passed),
        cmocka_unit_test(terms_name_a_service_beside_the_rest),
        cmocka_unit_test(posts_that_wait_are_counted_over_the_wrap),
        cmocka_unit_test(a_port_that_lacks_memory_is_none_and_leaves_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
