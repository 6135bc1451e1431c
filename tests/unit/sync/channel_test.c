/* SPDX-License-Identifier: MIT */
/* Channel of one shard: its memory. All else is in tests/sim/local_channel_*.c. */
#include "support/fault.h"
#include "support/harness.h"

#include <errno.h>

#include "core/executor.h"
#include "rt/channel.h"

static struct rti_executor executor;
static struct rt_task task;

static int enter(void **state)
{
    (void)state;
    executor.running = &task;
    rti_current = &executor;
    return 0;
}

static int leave(void **state)
{
    (void)state;
    rti_current = NULL;
    return 0;
}

static void a_channel_without_memory_is_not_made(void **state)
{
    const int64_t blocks = fault_live_blocks();
    struct rt_chan *chan = NULL;

    (void)state;
    fault_begin(1);
    assert_int_equal(rt_chan_create(&chan, 24, 100), -ENOMEM);
    assert_true(fault_end());
    assert_null(chan);
    assert_int_equal(fault_live_blocks(), blocks);
}

static void a_channel_takes_memory_when_it_is_made_and_gives_it_back(void **state)
{
    const int64_t blocks = fault_live_blocks();
    const uint64_t allocations = fault_allocations();
    char item[24] = "";
    struct rt_chan *chan;

    (void)state;
    assert_int_equal(rt_chan_create(&chan, sizeof(item), 100), 0);
    assert_int_equal(fault_allocations(), allocations + 1);
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(rt_chan_send(chan, item, 0), 0);
        assert_int_equal(rt_chan_recv(chan, item, 0), 0);
    }
    assert_int_equal(fault_allocations(), allocations + 1);
    rt_chan_destroy(chan);
    assert_int_equal(fault_live_blocks(), blocks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_channel_without_memory_is_not_made, enter, leave),
        cmocka_unit_test_setup_teardown(a_channel_takes_memory_when_it_is_made_and_gives_it_back,
                                        enter, leave),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
