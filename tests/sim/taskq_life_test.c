/* SPDX-License-Identifier: MIT */
/*
 * Task queues are made, changed and destroyed while tasks run; what belongs to them; what they
 * count, and who is charged for the kernel's time.
 */
#include "taskq_fixture.h"

#include <errno.h>
#include <string.h>

#include "core/executor.h"

/* Life of a queue */

static int do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int destroy_first(void *arg)
{
    struct rt_taskq *parent = make_queue("parent", 1000, 0, NULL);
    struct rt_taskq *child = make_queue("child", 1000, 0, parent);
    struct rt_taskq *again;
    struct rt_task *task;

    (void)arg;
    T_CHECK(rt_taskq_destroy(parent) == -EBUSY); /* it has a child */
    task = spawn_in(child, do_nothing, NULL);
    T_CHECK(rt_taskq_destroy(child) == -EBUSY); /* a task that has not run */
    T_CHECK(rt_sleep_until(rt_in(1)) == 0);
    T_CHECK(rt_is_finished(task));
    T_CHECK(rt_taskq_destroy(child) == -EBUSY); /* a handle that has not ended */
    end_task(task);
    T_CHECK(rt_taskq_destroy(child) == 0);
    T_CHECK(rt_taskq_destroy(parent) == 0);

    for (unsigned i = 0; i < 100; i++) { /* the queue that has just run */
        again = make_queue("again", 1 + i, i % 2 == 0 ? 0 : GOAL, NULL);
        end_task(spawn_in(again, do_nothing, NULL));
        T_CHECK(rt_taskq_destroy(again) == 0);
    }
    T_CHECK(rt_taskq_destroy(rt_taskq_of_id(0)) == -EINVAL);
    T_CHECK(strstr(log_text, "'default' stays until the executor ends") != NULL);
    (void)make_queue("left", 1000, 0, make_queue("left too", 1000, 0, NULL));
    return 0;
}

static void a_queue_can_be_destroyed_when_nothing_belongs_to_it(void **state)
{
    (void)state;
    run_first(destroy_first);
}

static bool is_refused(const struct rt_taskq_options *options, const char *why)
{
    struct rt_taskq *queue = NULL;

    log_text[0] = '\0';
    return rt_taskq_create(&queue, options) == -EINVAL && queue == NULL &&
           strstr(log_text, why) != NULL;
}

static int refuse_first(void *arg)
{
    struct rt_taskq_options options = RT_TASKQ_OPTIONS_INIT;
    struct rt_taskq *parent = make_queue("parent", 1000, 0, NULL);
    struct rt_taskq *child = make_queue("child", 1000, 0, parent);
    struct rt_taskq *full = make_queue("full", 1000, 0, NULL);
    struct rt_spawn_options spawn = RT_SPAWN_OPTIONS_INIT;
    struct rt_task *task = spawn_in(full, do_nothing, NULL);

    (void)arg;
    options.shares = RT_SHARES_MAX + 1;
    T_CHECK(is_refused(&options, "shares of 10001 were asked for; they are 1 to 10000"));
    options = (struct rt_taskq_options)RT_TASKQ_OPTIONS_INIT;
    options.latency = RT_LATENCY_MIN - 1;
    T_CHECK(is_refused(&options, "goal of 19999 ns was asked for; it is 0 (none), or 20000 ns"));
    options.latency = -1;
    T_CHECK(is_refused(&options, "goal of -1 ns was asked for"));
    options.latency = 0;
    options.parent = rt_taskq_of_id(0);
    T_CHECK(is_refused(&options, "'default' cannot be a parent: it is the default queue"));
    options.parent = child;
    T_CHECK(is_refused(&options, "'child' cannot be a parent: it has a parent itself"));
    options.parent = full;
    T_CHECK(is_refused(&options, "'full' cannot be a parent: it has tasks"));

    T_CHECK(rt_taskq_set_shares(full, 0) == -EINVAL);
    T_CHECK(strstr(log_text, "shares of 0 were asked for") != NULL);
    T_CHECK(rt_taskq_set_shares(full, RT_SHARES_MAX + 1) == -EINVAL);
    T_CHECK(rt_taskq_set_latency(full, 1) == -EINVAL);
    T_CHECK(stats_of(full).shares == 1000 && stats_of(full).latency == 0);
    end_task(task);

    T_CHECK(rt_spawn_in(&task, parent, do_nothing, NULL) == -EINVAL);
    T_CHECK(strstr(log_text, "task queue 'parent', which is the parent of others") != NULL);
    spawn.queue = parent;
    T_CHECK(rt_spawn_with(&task, do_nothing, NULL, &spawn) == -EINVAL);
    return 0;
}

static void what_is_out_of_range_is_refused_with_a_text(void **state)
{
    (void)state;
    run_first(refuse_first);
}

/* A newer library's options, which say something that this one does not know. */
static int newer_first(void *arg)
{
    struct {
        struct rt_taskq_options known;
        uint64_t unknown;
    } options = { .known = RT_TASKQ_OPTIONS_INIT, .unknown = 1 };
    struct rt_taskq *queue = NULL;

    (void)arg;
    options.known.size = sizeof(options);
    T_CHECK(rt_taskq_create(&queue, &options.known) == -E2BIG);
    T_CHECK(queue == NULL);
    options.unknown = 0;
    T_CHECK(rt_taskq_create(&queue, &options.known) == 0);
    T_CHECK(rt_taskq_create(&queue, NULL) == 0);
    T_CHECK(stats_of(queue).shares == RT_SHARES_DEFAULT);
    return 0;
}

static void options_of_a_newer_library_are_refused_if_they_ask_for_more(void **state)
{
    (void)state;
    run_first(newer_first);
}

/* Which queue a task belongs to */

static struct rt_taskq *seen; /* the queue of the task that ran last */

static int see_queue(void *arg)
{
    (void)arg;
    seen = rt_taskq_self();
    return 0;
}

static int spawn_all_ways(void *arg)
{
    struct rt_taskq *own = rt_taskq_self();
    struct rt_group group = RT_GROUP_INIT;
    struct rt_spawn_options options = RT_SPAWN_OPTIONS_INIT;
    struct rt_task *task;

    (void)arg;
    T_CHECK(rt_spawn(&task, see_queue, NULL) == 0);
    end_task(task);
    T_CHECK(seen == own);
    T_CHECK(rt_group_spawn(&group, see_queue, NULL) == 0);
    T_CHECK(rt_group_leave(&group, RT_NEVER) == 0);
    T_CHECK(seen == own);
    T_CHECK(rt_spawn_with(&task, see_queue, NULL, &options) == 0);
    end_task(task);
    T_CHECK(seen == own);
    options.queue = rt_taskq_of_id(0);
    T_CHECK(rt_spawn_with(&task, see_queue, NULL, &options) == 0);
    end_task(task);
    T_CHECK(seen == rt_taskq_of_id(0));
    return 0;
}

struct seer {
    struct rt_future future;
    struct rt_taskq *queue; /* as its last poll saw it */
};

static int see_and_sleep(struct rt_future *future)
{
    ((struct seer *)future)->queue = rt_taskq_self();
    return rt_poll_sleep(future, rt_in(RT_MICROSECONDS(10)));
}

static int inherit_first(void *arg)
{
    struct rt_taskq *queue = make_queue("queue", 1000, 0, NULL);
    struct seer seer = { .future = RT_FUTURE_INIT(see_and_sleep, NULL) };
    struct rt_spawn_options options = RT_SPAWN_OPTIONS_INIT;
    struct rt_task *task;

    (void)arg;
    T_CHECK(rt_taskq_self() == rt_taskq_of_id(0));
    end_task(spawn_in(queue, spawn_all_ways, NULL));
    T_CHECK(rt_taskq_self() == rt_taskq_of_id(0));
    options.queue = queue;
    T_CHECK(rt_spawn_future_with(&task, &seer.future, &options) == 0);
    T_CHECK(stats_of(queue).members == 1 && stats_of(queue).length == 1);
    end_task(task);
    T_CHECK(seer.queue == queue);
    T_CHECK(stats_of(queue).members == 0);
    return 0;
}

static void a_task_belongs_to_its_spawners_queue_or_the_one_that_is_named(void **state)
{
    (void)state;
    run_first(inherit_first);
}

static int order_first(void *arg)
{
    struct rt_taskq *a = make_queue("a name that is longer than 31 bytes", 1000, 0, NULL);
    struct rt_taskq *b = make_queue("b", 1000, 0, a);
    struct rt_taskq *first = rt_taskq_next(NULL);

    (void)arg;
    T_CHECK(first == rt_taskq_of_id(0));
    T_CHECK(strcmp(stats_of(first).name, "default") == 0);
    T_CHECK(rt_taskq_next(first) == a && rt_taskq_next(a) == b && rt_taskq_next(b) == NULL);
    T_CHECK(strcmp(stats_of(a).name, "a name that is longer than 31 b") == 0);
    T_CHECK(rt_taskq_of_id(1) == NULL && rt_taskq_of_id(UINT32_MAX) == NULL);
    return 0;
}

static void queues_are_found_in_the_order_in_which_they_were_made(void **state)
{
    (void)state;
    run_first(order_first);
}

/* Statistics */

static int add_up_first(void *arg)
{
    struct rt_taskq *queues[] = { make_queue("a", 1000, 0, NULL), make_queue("b", 1000, 0, NULL) };
    struct busy busy[] = { { .step = 20000 }, { .step = 20000 } };
    const rt_time began = sim_now();
    const rt_time before = stats_of(rt_taskq_of_id(0)).run;
    struct rt_taskq_stats stats[3];
    struct rt_taskq_stats some = { .run = -1 };
    rt_time all;

    (void)arg;
    run_busy(queues, busy, 2, RT_MILLISECONDS(100));
    all = sim_now() - began;
    stats[0] = stats_of(queues[0]);
    stats[1] = stats_of(queues[1]);
    stats[2] = stats_of(rt_taskq_of_id(0));
    T_CHECK(stats[0].run == busy[0].burnt);
    T_CHECK(stats[1].run == busy[1].burnt);
    T_CHECK(stats[0].run + stats[1].run + stats[2].run - before == all); /* never idle */
    T_CHECK(is_near(stats[0].wait, all - stats[0].run, 2 * QUOTA));
    T_CHECK(is_near(stats[1].wait, all - stats[1].run, 2 * QUOTA));
    T_CHECK(stats[0].switches >= 95 && stats[0].switches <= 105); /* a slice each, in turn */
    T_CHECK(stats[0].runs == stats[0].switches);
    T_CHECK(stats[0].slices_cut == 0 && stats[0].stalls == 0);
    T_CHECK(stats[0].members == 0 && stats[0].length == 0 && stats[2].members == 1);

    rt_taskq_stats(queues[0], &some, offsetof(struct rt_taskq_stats, wait));
    T_CHECK(some.run == stats[0].run && some.runs == 0);
    return 0;
}

static void what_queues_ran_adds_up_to_the_time_in_which_the_core_was_busy(void **state)
{
    (void)state;
    run_first(add_up_first);
}

static int sleep_ten_times(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10; i++) {
        T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(50))) == 0);
    }
    return 0;
}

/* In turn: that of one ends while the other one's slice was the last. */
static int waited_first(void *arg)
{
    struct rt_taskq *queues[] = { make_queue("a", 1000, 0, NULL), make_queue("b", 1000, 0, NULL) };
    struct rt_task *tasks[2];

    (void)arg;
    tasks[0] = spawn_in(queues[0], sleep_ten_times, NULL);
    T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(20))) == 0);
    tasks[1] = spawn_in(queues[1], sleep_ten_times, NULL);
    for (int i = 0; i < 2; i++) {
        end_task(tasks[i]);
        T_CHECK(stats_of(queues[i]).wait == 0 && stats_of(queues[i]).run == 0);
        T_CHECK(stats_of(queues[i]).runs >= 11);
    }
    return 0;
}

static void a_queue_that_sleeps_does_not_wait(void **state)
{
    (void)state;
    run_first(waited_first);
}

/* Callbacks */

struct sampled {
    unsigned calls;
    uint32_t answer;
    rt_time last;
    rt_time apart_min;
};

static uint32_t sample(void *arg, rt_time now)
{
    struct sampled *sampled = arg;

    if (sampled->calls > 0 && now - sampled->last < sampled->apart_min) {
        sampled->apart_min = now - sampled->last;
    }
    sampled->calls++;
    sampled->last = now;
    return sampled->answer;
}

static int sampled_first(void *arg)
{
    struct sampled sampled = { .answer = 20000, .apart_min = RT_NEVER };
    struct rt_taskq_options options = RT_TASKQ_OPTIONS_INIT;
    struct rt_taskq *queues[2] = { NULL, make_queue("other", 1000, 0, NULL) };
    struct busy busy[] = { { .step = 20000 }, { .step = 20000 } };

    (void)arg;
    options.shares = 77;
    options.shares_fn = sample;
    options.shares_arg = &sampled;
    T_CHECK(rt_taskq_create(&queues[0], &options) == 0);
    T_CHECK(stats_of(queues[0]).shares == 77); /* until it is asked */
    T_CHECK(rt_sleep_until(rt_in(RT_SECONDS(2))) == 0);
    T_CHECK(sampled.calls == 0); /* not runnable */
    run_busy(queues, busy, 2, RT_SECONDS(2));
    T_CHECK(sampled.calls >= 7 && sampled.calls <= 9);
    T_CHECK(sampled.apart_min >= RT_MILLISECONDS(250));
    T_CHECK(stats_of(queues[0]).shares == RT_SHARES_MAX);

    sampled.answer = 0;
    run_busy(queues, busy, 2, RT_MILLISECONDS(300));
    T_CHECK(stats_of(queues[0]).shares == RT_SHARES_MIN);

    sampled.calls = 0;
    T_CHECK(rt_taskq_set_shares(queues[0], 500) == 0); /* the callback has no say any more */
    run_busy(queues, busy, 2, RT_SECONDS(1));
    T_CHECK(sampled.calls == 0 && stats_of(queues[0]).shares == 500);
    return 0;
}

static void a_callback_is_asked_every_250_ms_while_the_queue_can_run(void **state)
{
    (void)state;
    run_first(sampled_first);
}

/* Kernel time. The test is the loop, and an enter of the kernel takes as long as it says. */

static struct rti_executor executor;
static struct rt_taskq *worker;
static struct rt_taskq *helper;
static bool over;

static int note_work(void *arg)
{
    (void)arg;
    worker = make_queue("worker", 1000, 0, NULL);
    helper = make_queue("helper", 1000, 0, NULL);
    for (int i = 0; i < 4; i++) {
        rti_slice_note_work(&executor, i < 3 ? worker : helper);
    }
    while (!over) {
        executor.turn_over = true; /* one run a turn */
        executor.runs_left.left = 0;
        rt_yield();
    }
    T_CHECK(stats_of(worker).run == RT_MICROSECONDS(300));
    T_CHECK(stats_of(helper).run == RT_MICROSECONDS(100));
    return 0;
}

static void the_time_of_the_kernel_is_charged_by_operations(void **state)
{
    (void)state;
    over = false;
    sim_begin(&(struct sim_config){ .seed = 1 });
    assert_int_equal(rti_executor_init(&executor, NULL, -1), 0);
    assert_int_equal(rti_executor_start(&executor, note_work, NULL), 0);
    rti_executor_turn(&executor, sim_now());
    sim_advance(RT_MICROSECONDS(400)); /* the enter took so long */
    rti_executor_turn(&executor, sim_now());
    sim_advance(RT_MICROSECONDS(400)); /* nobody gave it work: nobody is charged */
    over = true;
    while (!executor.closed) {
        rti_executor_turn(&executor, sim_now());
    }
    rti_executor_fini(&executor);
    assert_int_equal(sim_end(NULL), 0);
    assert_int_equal(t_failures(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_queue_can_be_destroyed_when_nothing_belongs_to_it),
        cmocka_unit_test(what_is_out_of_range_is_refused_with_a_text),
        cmocka_unit_test(options_of_a_newer_library_are_refused_if_they_ask_for_more),
        cmocka_unit_test(a_task_belongs_to_its_spawners_queue_or_the_one_that_is_named),
        cmocka_unit_test(queues_are_found_in_the_order_in_which_they_were_made),
        cmocka_unit_test(what_queues_ran_adds_up_to_the_time_in_which_the_core_was_busy),
        cmocka_unit_test(a_queue_that_sleeps_does_not_wait),
        cmocka_unit_test(a_callback_is_asked_every_250_ms_while_the_queue_can_run),
        cmocka_unit_test(the_time_of_the_kernel_is_charged_by_operations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
