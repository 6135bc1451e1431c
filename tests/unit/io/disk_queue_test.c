/* SPDX-License-Identifier: MIT */
/*
 * Disk queues as their users see them: who gets how much of a device, and how long it waits.
 *
 * Method: a device in virtual time (disk_device.h) that is saturated by about 32 small requests or
 * by some large ones, and clients that want more than that. Then what needs no device, by hand.
 */
#include "io/disk_queue.h"

#include <inttypes.h>

#include "disk_device.h"
#include "support/harness.h"

#define SPAN       RT_MILLISECONDS(600)
#define SPAN_TURNS RT_SECONDS(10)

/* Like a small SSD: 100 us, 320000 requests a second, 1 GB/s. */
static const struct device_plan ssd = { .servers = 32,
                                        .request_time = RT_MICROSECONDS(100),
                                        .line_bytes = 1000000000 };

/* A disk that turns: 8 ms, 120 a second. */
static const struct device_plan turning = { .servers = 1,
                                            .request_time = RT_MILLISECONDS(8),
                                            .line_bytes = 150000000 };

/* In picoseconds, of the SSD. */
static const struct rti_disk_model ssd_model = { .request_cost = { 3125000, 3125000 },
                                                 .byte_cost = { 1000, 1000 } };
#define SSD_CAPACITY 200000000ull /* twice 100 us */

static struct client_result results[DEVICE_CLIENTS_MAX];

static void run(const struct device_plan *device, const struct client_plan *clients, uint32_t count)
{
    device_run(device, NULL, RTI_DISK_CAPACITY_FIRST, clients, count,
               device == &turning ? SPAN_TURNS : SPAN, results);
}

static double ratio(const struct client_result *a, const struct client_result *b)
{
    return (double)a->ended / (double)b->ended;
}

static void assert_near(double value, double expected, double part)
{
    if (value < expected * (1 - part) || value > expected * (1 + part)) {
        fail_msg("%g, which is not %g within %g %%", value, expected, part * 100);
    }
}

/* On a device */

static void two_queues_get_a_saturated_device_by_their_shares(void **state)
{
    const struct client_plan clients[] = {
        { .shares = 100, .depth = 64, .bytes = 4096 },
        { .shares = 400, .depth = 64, .bytes = 4096 },
    };

    (void)state;
    run(&ssd, clients, 2);
    assert_near(ratio(&results[1], &results[0]), 4, 0.01);
    device_run(&ssd, &ssd_model, SSD_CAPACITY, clients, 2, SPAN, results);
    assert_near(ratio(&results[1], &results[0]), 4, 0.01);
    run(&turning, clients, 2);
    assert_near(ratio(&results[1], &results[0]), 4, 0.05);
}

static void a_byte_costs_the_same_in_large_and_in_small_requests_but_for_their_number(void **state)
{
    const struct client_plan clients[] = {
        { .shares = 100, .depth = 64, .bytes = 131072 },
        { .shares = 100, .depth = 64, .bytes = 4096 },
    };

    (void)state;
    device_run(&ssd, &ssd_model, SSD_CAPACITY, clients, 2, SPAN, results);
    assert_near(ratio(&results[1], &results[0]), 134197 / 7221.0, 0.03); /* by their costs */
}

/* What a client has for itself, in the device and in number. */
static struct client_result alone(const struct device_plan *device, struct client_plan client)
{
    struct client_result result;

    device_run(device, NULL, RTI_DISK_CAPACITY_FIRST, &client, 1, SPAN, &result);
    return result;
}

static void a_reader_beside_a_bulk_writer_waits_no_longer_than_its_idle_time(void **state)
{
    const struct client_plan clients[] = {
        { .shares = 1000, .depth = 1, .bytes = 4096, .pause = RT_MICROSECONDS(500) },
        { .shares = 100, .depth = 128, .bytes = 4096, .write = true },
    };
    const struct client_result reader = alone(&ssd, clients[0]);
    const struct client_result writer = alone(&ssd, clients[1]);
    rt_time wait;

    (void)state;
    run(&ssd, clients, 2);
    wait = results[0].waited + results[0].device - reader.device;
    print_message("reader: idle %.0f us, beside the writer %.0f us in the line and %.0f us in the "
                  "device; writer keeps %.0f %%\n",
                  (double)reader.device / 1e3, (double)results[0].waited / 1e3,
                  (double)results[0].device / 1e3, ratio(&results[1], &writer) * 100);
    assert_true(wait <= reader.device);
    assert_true(results[1].ended >= writer.ended / 2);
}

static void a_reader_beside_large_writes_waits_for_two_of_them_at_most(void **state)
{
    const struct client_plan clients[] = {
        { .shares = 1000, .depth = 1, .bytes = 4096, .pause = RT_MICROSECONDS(500) },
        { .shares = 100, .depth = 32, .bytes = 65536, .write = true },
    };
    const struct client_result reader = alone(&ssd, clients[0]);
    const struct client_result writer = alone(&ssd, clients[1]);

    (void)state;
    run(&ssd, clients, 2);
    print_message("reader: idle %.0f us, beside the writer %.0f us in the line and %.0f us in the "
                  "device; writer keeps %.0f %%\n",
                  (double)reader.device / 1e3, (double)results[0].waited / 1e3,
                  (double)results[0].device / 1e3, ratio(&results[1], &writer) * 100);
    /* a write that has begun is not stopped: 65.5 us each on the line */
    assert_true(results[0].waited + results[0].device <= reader.device + RT_MICROSECONDS(131));
    assert_true(results[1].ended >= writer.ended / 2);
}

static void who_is_alone_has_all_of_the_device_at_any_depth(void **state)
{
    const struct device_plan wide = { .servers = 64,
                                      .request_time = RT_MICROSECONDS(100),
                                      .line_bytes = 8000000000 };
    struct client_plan client = { .shares = 1, .depth = 128, .bytes = 4096 };

    (void)state;
    for (client.bytes = 4096; client.bytes <= 4096 * 256; client.bytes *= 16) {
        const struct client_result result = alone(&wide, client);

        assert_int_equal(result.waited, 0);
        assert_true((double)result.ended * client.bytes >
                    0.95 * 0.3 * (client.bytes > 4096 ? 8e9 : 2.4e9));
    }
}

static void below_saturation_nobody_waits(void **state)
{
    const struct client_plan clients[] = {
        { .shares = 1, .depth = 4, .bytes = 4096, .pause = RT_MICROSECONDS(100) },
        { .shares = 10000, .depth = 4, .bytes = 4096, .pause = RT_MICROSECONDS(170) },
        { .shares = 100, .depth = 1, .bytes = 65536, .pause = RT_MICROSECONDS(900), .write = true },
        { .shares = 100, .depth = 1, .bytes = 4096, .pause = RT_MILLISECONDS(9), .shard = 1 },
    };

    (void)state;
    run(&ssd, clients, 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(results[i].waited, 0);
    }
    device_run(&ssd, &ssd_model, SSD_CAPACITY, clients, 4, SPAN, results);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(results[i].waited, 0);
    }
}

static void a_device_that_is_slow_now_and_then_is_not_taken_for_full(void **state)
{
    const struct client_plan clients[] = {
        { .shares = 100, .depth = 8, .bytes = 4096 },
        { .shares = 100, .depth = 8, .bytes = 4096, .write = true },
    };
    struct device_plan moody = ssd;

    (void)state;
    moody.slow = 200; /* of 1000 */
    device_run(&moody, NULL, RTI_DISK_CAPACITY_MIN * 20, clients, 2, SPAN, results);
    assert_true(results[0].device > RT_MICROSECONDS(400)); /* it is */
    assert_int_equal(results[0].waited, 0);
    assert_int_equal(results[1].waited, 0);
}

static void shards_get_a_saturated_device_by_the_shares_of_their_queues(void **state)
{
    const struct client_plan clients[] = {
        { .shares = 100, .depth = 128, .bytes = 4096, .shard = 0 },
        { .shares = 200, .depth = 128, .bytes = 4096, .shard = 1 },
        { .shares = 100, .depth = 128, .bytes = 4096, .shard = 2 },
        { .shares = 200, .depth = 128, .bytes = 4096, .shard = 2, .from = RT_MILLISECONDS(200) },
    };

    (void)state;
    run(&ssd, clients, 4);
    assert_near(ratio(&results[1], &results[0]), 2, 0.1);
    assert_near(ratio(&results[2], &results[0]), 1, 0.1);
    assert_near(ratio(&results[3], &results[2]), 2, 0.02);
    print_message("shards with 100, 200 and 300 shares: 1 : %.2f : %.2f\n",
                  ratio(&results[1], &results[0]),
                  ratio(&results[2], &results[0]) + ratio(&results[3], &results[0]));
}

static void the_depth_that_is_learned_fits_the_device(void **state)
{
    const struct client_plan clients[] = {
        { .shares = 100, .depth = 128, .bytes = 4096 },
        { .shares = 100, .depth = 128, .bytes = 4096 },
    };
    uint64_t requests;

    (void)state;
    run(&ssd, clients, 2);
    requests = device_capacity() / RTI_DISK_CAPACITY_MIN;
    print_message("a device of 32 servers has %u requests in flight\n", (unsigned)requests);
    assert_in_range(requests, 32, 100);
    assert_true(results[0].ended + results[1].ended > 244000 * 95 / 100 * 3 / 10); /* in 0.3 s */
    run(&turning, clients, 2);
    print_message("a disk that turns has %.1f\n",
                  (double)device_capacity() / (double)RTI_DISK_CAPACITY_MIN);
    assert_in_range(device_capacity() / RTI_DISK_CAPACITY_MIN, 1, 6);
    assert_true(results[0].ended + results[1].ended > 110 * 5);
}

static struct client_plan draw_client(struct rand_state *rand)
{
    return (struct client_plan){
        .shard = (uint32_t)rand_below(rand, DEVICE_SHARDS_MAX),
        .shares = (uint32_t)rand_range(rand, 100, 1000),
        .depth = (uint32_t)rand_range(rand, 1, 64),
        .bytes = 512u << rand_below(rand, 8),
        .write = rand_chance(rand, 500),
        .pause = rand_chance(rand, 300) ? RT_MICROSECONDS(rand_below(rand, 500)) : 0,
        .from = RT_MICROSECONDS(rand_below(rand, 5000)),
    };
}

/* Shards tell each other nothing: whoever waited for that would stop here. */
static void clients_on_any_shards_all_get_on(void **state)
{
    (void)state;
    for (unsigned i = 0; i < rt_test_seed_count(100); i++) {
        struct client_plan clients[DEVICE_CLIENTS_MAX];
        struct rand_state rand;
        uint64_t capacity;

        rand_init(&rand, rt_test_seed(i));
        for (unsigned c = 0; c < DEVICE_CLIENTS_MAX; c++) {
            clients[c] = draw_client(&rand);
        }
        capacity = RTI_DISK_CAPACITY_MIN * (1 + rand_below(&rand, 64));
        device_run(&ssd, NULL, capacity, clients, DEVICE_CLIENTS_MAX, RT_MILLISECONDS(40), results);
        for (unsigned c = 0; c < DEVICE_CLIENTS_MAX; c++) {
            if (results[c].ended == 0) {
                fail_msg("RT_SEED=%" PRIu64 ": client %u", rt_test_seed(i), c);
            }
        }
    }
}

/* By hand */

static struct rti_disk_share share;
static struct rti_disk disk;

static void begin(void)
{
    rti_disk_share_init(&share, RTI_DISK_CAPACITY_FIRST);
    rti_disk_init(&disk, &share, NULL, 0);
}

static void what_passes_is_counted_and_takes_no_share(void **state)
{
    struct rti_disk_request request = { 0 };
    struct rti_disk_queue queue;

    (void)state;
    begin();
    rti_disk_queue_init(&queue, &disk, NULL, 100);
    assert_false(rti_disk_queue_is_held(&queue));
    rti_disk_pass(&queue, &request, 4096);
    assert_int_equal(disk.root.busy, 0);
    assert_false(rti_disk_cancel(&disk, &request)); /* it has begun */
    rti_disk_complete(&disk, &request, 70, 1);
    rti_disk_check(&disk);
    assert_int_equal(queue.stats.begun, 1);
    assert_int_equal(queue.stats.bytes, 4096);
    assert_int_equal(queue.stats.waited, 0);
    assert_int_equal(queue.stats.served, 70);
    rti_disk_queue_fini(&queue);
    rti_disk_fini(&disk);
}

static void a_queue_is_held_by_a_limit_of_its_own_or_its_parents_and_by_who_waits(void **state)
{
    struct rti_disk_request request = { 0 };
    struct rti_disk_queue parent;
    struct rti_disk_queue queue;

    (void)state;
    begin();
    rti_disk_queue_init(&parent, &disk, NULL, 100);
    rti_disk_queue_init(&queue, &disk, &parent, 100);
    rti_disk_queue_set_limits(&queue, 1, 0, 0);
    assert_true(rti_disk_queue_is_held(&queue));
    rti_disk_queue_set_limits(&queue, 0, 1, 0);
    assert_true(rti_disk_queue_is_held(&queue));
    rti_disk_queue_set_limits(&queue, 0, 0, 0);
    assert_false(rti_disk_queue_is_held(&queue));
    rti_disk_queue_set_limits(&parent, 1, 0, 0);
    assert_true(rti_disk_queue_is_held(&queue));
    rti_disk_queue_set_limits(&parent, 0, 0, 0);
    rti_disk_enqueue(&disk, &queue, &request, false, 4096, 0);
    assert_true(rti_disk_queue_is_held(&queue));
    assert_true(rti_disk_cancel(&disk, &request));
    assert_false(rti_disk_queue_is_held(&queue));
    rti_disk_queue_fini(&queue);
    rti_disk_queue_fini(&parent);
    rti_disk_fini(&disk);
}

static void a_queue_that_had_much_owes_nothing_once_all_was_served(void **state)
{
    struct rti_disk_request requests[4] = { 0 };
    struct rti_disk_queue poor;
    struct rti_disk_queue rich;

    (void)state;
    begin();
    rti_disk_queue_init(&poor, &disk, NULL, 1);
    rti_disk_queue_init(&rich, &disk, NULL, 10000);
    rti_disk_enqueue(&disk, &rich, &requests[0], false, 4096, 0);
    rti_disk_enqueue(&disk, &poor, &requests[1], true, 1u << 30, 0);
    assert_ptr_equal(rti_disk_next(&disk, 0), &requests[0]);
    assert_ptr_equal(rti_disk_next(&disk, 0), &requests[1]);
    rti_disk_complete(&disk, &requests[0], 1, 1);
    rti_disk_complete(&disk, &requests[1], 1, 1);
    rti_disk_settle(&disk);
    rti_disk_enqueue(&disk, &poor, &requests[2], false, 4096, 2);
    rti_disk_enqueue(&disk, &rich, &requests[3], false, 4096, 2);
    assert_ptr_equal(rti_disk_next(&disk, 2), &requests[2]); /* it came first */
    assert_ptr_equal(rti_disk_next(&disk, 2), &requests[3]);
    rti_disk_complete(&disk, &requests[2], 0, 3);
    rti_disk_complete(&disk, &requests[3], 0, 3);
    rti_disk_queue_fini(&poor);
    rti_disk_queue_fini(&rich);
    rti_disk_fini(&disk);
}

/* Of two that always wait, how many of the other begin between two of the poorest. */
static void the_poorest_gets_one_request_in_ten_thousand_and_that_in_time(void **state)
{
    struct rti_disk_request requests[2] = { 0 };
    struct rti_disk_queue queues[2];
    unsigned between = 0;
    unsigned poor = 0;

    (void)state;
    begin();
    for (unsigned i = 0; i < 2; i++) {
        rti_disk_queue_init(&queues[i], &disk, NULL, i == 0 ? 1 : 10000);
        rti_disk_enqueue(&disk, &queues[i], &requests[i], false, 4096, 0);
    }
    while (poor < 4) {
        struct rti_disk_request *request = rti_disk_next(&disk, 1);
        struct rti_disk_queue *queue = request->queue;

        if (queue == &queues[0]) {
            assert_in_range(between, poor == 0 ? 0 : 9999, poor == 0 ? 1 : 10001);
            between = 0;
            poor++;
        } else {
            between++;
        }
        rti_disk_complete(&disk, request, 0, 1);
        rti_disk_enqueue(&disk, queue, request, false, 4096, 1);
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_true(rti_disk_cancel(&disk, &requests[i]));
        rti_disk_queue_fini(&queues[i]);
    }
    rti_disk_fini(&disk);
}

static void a_queue_counts_what_began_and_how_long_it_waited(void **state)
{
    struct rti_disk_request requests[2] = { 0 };
    struct rti_disk_queue queue;

    (void)state;
    begin();
    rti_disk_queue_init(&queue, &disk, NULL, 100);
    rti_disk_queue_set_limits(&queue, 0, 1000, 0);
    rti_disk_enqueue(&disk, &queue, &requests[0], false, 4096, 0);
    rti_disk_enqueue(&disk, &queue, &requests[1], true, 512, 0);
    assert_ptr_equal(rti_disk_next(&disk, 0), &requests[0]);
    assert_null(rti_disk_next(&disk, 0));
    assert_int_equal(rti_disk_wakes_at(&disk, 0), RT_MILLISECONDS(1));
    assert_null(rti_disk_next(&disk, RT_MILLISECONDS(1) - 1));
    assert_ptr_equal(rti_disk_next(&disk, RT_MILLISECONDS(1)), &requests[1]);
    rti_disk_complete(&disk, &requests[0], 70, RT_MILLISECONDS(2));
    rti_disk_complete(&disk, &requests[1], 0,
                      RT_MILLISECONDS(2)); /* failed: not counted as served */
    assert_int_equal(queue.stats.begun, 2);
    assert_int_equal(queue.stats.bytes, 4608);
    assert_int_equal(queue.stats.cost, 2 * RTI_DISK_REQUEST_COST + 4608);
    assert_int_equal(queue.stats.waited, RT_MILLISECONDS(1));
    assert_int_equal(queue.stats.served, 70);
    rti_disk_queue_fini(&queue);
    rti_disk_fini(&disk);
}

/* One shard has requests at the device that take seconds; the other goes on with its own. */
static void who_came_long_ago_and_still_waits_is_not_forgotten(void **state)
{
    struct rti_disk_request slow = { 0 };
    struct rti_disk_request busy[64] = { 0 };
    struct rti_disk_queue queues[2];
    struct rti_disk other;
    rt_time now = 0;
    unsigned begun = 0;

    (void)state;
    begin();
    rti_disk_init(&other, &share, NULL, 0);
    rti_disk_queue_init(&queues[0], &disk, NULL, 100);
    rti_disk_queue_init(&queues[1], &other, NULL, 100);
    rti_disk_enqueue(&other, &queues[1], &slow, false, 4096, now);
    assert_ptr_equal(rti_disk_next(&other, now), &slow);
    for (unsigned i = 0; i < 64; i++) {
        now += RTI_DISK_LINGER / 16;
        rti_disk_enqueue(&disk, &queues[0], &busy[i], false, 1u << 20, now);
        while (rti_disk_next(&disk, now) != NULL) {
            begun++;
        }
    }
    assert_true(begun < 64 && rti_disk_share_in_flight(&share) < 2 * RTI_DISK_CAPACITY_FIRST);
    rti_disk_complete(&other, &slow, 0, now); /* gone: now the first is alone, and all may go */
    rti_disk_settle(&other);
    assert_null(rti_disk_next(&other, now));
    while (rti_disk_next(&disk, now) != NULL) {
        begun++;
    }
    assert_int_equal(begun, 64);
    for (unsigned i = 0; i < 64; i++) {
        rti_disk_complete(&disk, &busy[i], 0, now);
    }
    rti_disk_queue_fini(&queues[0]);
    rti_disk_queue_fini(&queues[1]);
    rti_disk_fini(&other);
    rti_disk_fini(&disk);
}

static void the_dearest_request_is_cut_and_the_cheapest_costs_something(void **state)
{
    const struct rti_disk_model model = { .request_cost = { UINT64_MAX, 0 },
                                          .byte_cost = { UINT32_MAX, 0 } };
    struct rti_disk_request requests[3] = { 0 };
    struct rti_disk_queue queue;

    (void)state;
    rti_disk_share_init(&share, UINT64_MAX / 4);
    rti_disk_init(&disk, &share, &model, 0);
    rti_disk_queue_init(&queue, &disk, NULL, 1);
    rti_disk_enqueue(&disk, &queue, &requests[0], false, UINT32_MAX, 0);
    rti_disk_enqueue(&disk, &queue, &requests[1], true, UINT32_MAX, 0);
    rti_disk_enqueue(&disk, &queue, &requests[2], true, 0, 0);
    assert_int_equal(requests[0].cost, RTI_DISK_COST_MAX);
    assert_int_equal(requests[1].cost, 1);
    assert_int_equal(requests[2].cost, 1);
    for (unsigned i = 0; i < 3; i++) {
        assert_ptr_equal(rti_disk_next(&disk, 0), &requests[i]);
        rti_disk_check(&disk);
    }
    for (unsigned i = 0; i < 3; i++) {
        rti_disk_complete(&disk, &requests[i], 1, 1);
        rti_disk_check(&disk);
    }
    rti_disk_queue_fini(&queue);
    rti_disk_fini(&disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_queues_get_a_saturated_device_by_their_shares),
        cmocka_unit_test(a_byte_costs_the_same_in_large_and_in_small_requests_but_for_their_number),
        cmocka_unit_test(a_reader_beside_a_bulk_writer_waits_no_longer_than_its_idle_time),
        cmocka_unit_test(a_reader_beside_large_writes_waits_for_two_of_them_at_most),
        cmocka_unit_test(who_is_alone_has_all_of_the_device_at_any_depth),
        cmocka_unit_test(below_saturation_nobody_waits),
        cmocka_unit_test(a_device_that_is_slow_now_and_then_is_not_taken_for_full),
        cmocka_unit_test(shards_get_a_saturated_device_by_the_shares_of_their_queues),
        cmocka_unit_test(the_depth_that_is_learned_fits_the_device),
        cmocka_unit_test(clients_on_any_shards_all_get_on),
        cmocka_unit_test(what_passes_is_counted_and_takes_no_share),
        cmocka_unit_test(a_queue_is_held_by_a_limit_of_its_own_or_its_parents_and_by_who_waits),
        cmocka_unit_test(a_queue_that_had_much_owes_nothing_once_all_was_served),
        cmocka_unit_test(the_poorest_gets_one_request_in_ten_thousand_and_that_in_time),
        cmocka_unit_test(a_queue_counts_what_began_and_how_long_it_waited),
        cmocka_unit_test(who_came_long_ago_and_still_waits_is_not_forgotten),
        cmocka_unit_test(the_dearest_request_is_cut_and_the_cheapest_costs_something),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
