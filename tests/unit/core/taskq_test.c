/* SPDX-License-Identifier: MIT */
/* Task queue against a model: an array of tasks in the order in which they were pushed. */
#include "core/taskq.h"

#include <errno.h>

#include "support/fault.h"
#include "support/harness.h"
#include "support/rand.h"

#define TASKS_MAX 500u

/* The queue never looks into a task, so anything that has an address will do. */
static uint64_t tasks[TASKS_MAX];

static struct rt_task *task_at(uint32_t i)
{
    return (struct rt_task *)(void *)&tasks[i];
}

/* The scheduler knows already that it is runnable: it is not asked. */
static int make(struct rt_taskq *queue)
{
    const int r = rti_taskq_init(queue, NULL, "default");

    queue->entity.place = 1;
    return r;
}

static void join(struct rt_taskq *queue, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(rti_taskq_join(queue), 0);
    }
}

static void push(struct rt_taskq *queue, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        rti_taskq_push(queue, task_at(i));
    }
}

static void pop(struct rt_taskq *queue, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        assert_ptr_equal(rti_taskq_pop(queue), task_at(i));
    }
}

static void a_new_queue_is_empty(void **state)
{
    struct rt_taskq queue;

    (void)state;
    assert_int_equal(make(&queue), 0);
    assert_string_equal(queue.name, "default");
    assert_int_equal(rti_taskq_length(&queue), 0);
    assert_null(rti_taskq_pop(&queue));
    assert_int_equal(queue.members, 0);
    rti_taskq_fini(&queue);
}

static void tasks_are_popped_in_the_order_of_their_pushes(void **state)
{
    struct rt_taskq queue;

    (void)state;
    assert_int_equal(make(&queue), 0);
    join(&queue, 10);
    push(&queue, 0, 10);
    assert_int_equal(rti_taskq_length(&queue), 10);
    pop(&queue, 0, 10);
    assert_null(rti_taskq_pop(&queue));
    rti_taskq_fini(&queue);
}

/* The tasks lie around the end of the ring when it grows: some at its end, some at its start. */
static void a_queue_that_grows_while_it_is_wrapped_keeps_its_order(void **state)
{
    struct rt_taskq queue;

    (void)state;
    for (uint32_t offset = 0; offset <= 130; offset++) {
        uint32_t room;

        assert_int_equal(make(&queue), 0);
        room = queue.mask + 1;
        join(&queue, room);
        for (uint32_t i = 0; i < offset; i++) {
            push(&queue, 0, 1);
            pop(&queue, 0, 1);
        }
        push(&queue, 0, room);
        join(&queue, 1);
        assert_int_equal(queue.mask + 1, room * 2);
        push(&queue, room, room + 1);
        pop(&queue, 0, room + 1);
        assert_null(rti_taskq_pop(&queue));
        rti_taskq_fini(&queue);
    }
}

static void positions_that_run_over_the_end_do_no_harm(void **state)
{
    struct rt_taskq queue;

    (void)state;
    assert_int_equal(make(&queue), 0);
    queue.head = UINT64_MAX - 20;
    queue.tail = queue.head;
    join(&queue, queue.mask + 1);
    for (int round = 0; round < 5; round++) {
        push(&queue, 0, 15);
        assert_int_equal(rti_taskq_length(&queue), 15);
        pop(&queue, 0, 15);
        assert_null(rti_taskq_pop(&queue));
    }
    queue.head = UINT64_MAX - 20;
    queue.tail = queue.head;
    push(&queue, 0, 40);
    join(&queue, 1); /* grows across the end */
    pop(&queue, 0, 40);
    assert_null(rti_taskq_pop(&queue));
    rti_taskq_fini(&queue);
}

static void joining_makes_room_only_for_more_members_than_ever(void **state)
{
    struct rt_taskq queue;
    uint32_t room;

    (void)state;
    assert_int_equal(make(&queue), 0);
    room = queue.mask + 1;
    join(&queue, room);
    for (uint32_t i = 0; i < 1000; i++) {
        rti_taskq_leave(&queue);
        join(&queue, 1);
    }
    assert_int_equal(queue.members, room);
    assert_int_equal(queue.mask + 1, room);
    join(&queue, 1);
    assert_int_equal(queue.mask + 1, room * 2);
    rti_taskq_fini(&queue);
}

static void a_join_without_memory_fails_and_leaves_the_queue_as_it_was(void **state)
{
    struct rt_taskq queue;
    uint32_t room;

    (void)state;
    assert_int_equal(make(&queue), 0);
    room = queue.mask + 1;
    join(&queue, room);
    push(&queue, 0, room);
    pop(&queue, 0, 7);
    fault_begin(1);
    assert_int_equal(rti_taskq_join(&queue), -ENOMEM);
    assert_true(fault_end());
    assert_int_equal(queue.members, room);
    assert_int_equal(rti_taskq_length(&queue), room - 7);
    push(&queue, 0, 7);
    join(&queue, 1); /* there is memory again */
    pop(&queue, 7, room);
    pop(&queue, 0, 7);
    rti_taskq_fini(&queue);
    assert_int_equal(fault_live_blocks(), 0);
}

static void a_queue_without_memory_is_not_made(void **state)
{
    struct rt_taskq queue;

    (void)state;
    fault_begin(1);
    assert_int_equal(make(&queue), -ENOMEM);
    assert_true(fault_end());
    rti_taskq_fini(&queue);
    assert_int_equal(fault_live_blocks(), 0);
}

/* Against the model */

struct model {
    struct rt_taskq queue;
    uint32_t order[TASKS_MAX]; /* that stand in the queue, oldest first */
    uint32_t length;
    bool is_member[TASKS_MAX];
    bool is_queued[TASKS_MAX];
    uint32_t members;
};

static bool agrees(const struct model *model)
{
    return rti_taskq_length(&model->queue) == model->length &&
           model->queue.members == model->members && model->queue.mask + 1 >= model->members;
}

static bool model_pop(struct model *model)
{
    const struct rt_task *task = rti_taskq_pop(&model->queue);

    if (model->length == 0) {
        return task == NULL;
    }
    if (task != task_at(model->order[0])) {
        return false;
    }
    model->is_queued[model->order[0]] = false;
    model->length--;
    for (uint32_t i = 0; i < model->length; i++) {
        model->order[i] = model->order[i + 1];
    }
    return true;
}

/* One random operation; false when the queue and the model differ. */
static bool model_step(struct model *model, struct rand_state *rand, unsigned pop_per_mille)
{
    const uint32_t i = (uint32_t)rand_below(rand, TASKS_MAX);

    if (rand_chance(rand, pop_per_mille)) {
        return model_pop(model) && agrees(model);
    }
    if (!model->is_member[i]) {
        if (rti_taskq_join(&model->queue) != 0) {
            return false;
        }
        model->is_member[i] = true;
        model->members++;
    } else if (model->is_queued[i]) {
        return agrees(model);
    } else if (rand_chance(rand, 150)) {
        rti_taskq_leave(&model->queue);
        model->is_member[i] = false;
        model->members--;
    } else {
        rti_taskq_push(&model->queue, task_at(i));
        model->is_queued[i] = true;
        model->order[model->length++] = i;
    }
    return agrees(model);
}

static void the_queue_agrees_with_an_array(void **state)
{
    (void)state;
    for (unsigned run = 0; run < rt_test_seed_count(50); run++) {
        const uint64_t seed = rt_test_seed(run);
        struct model model = { .length = 0 };
        struct rand_state rand;

        rand_init(&rand, seed);
        assert_int_equal(make(&model.queue), 0);
        for (unsigned step = 0; step < 5000; step++) {
            const unsigned pop_per_mille = (step / 1000) % 2 == 0 ? 200 : 600;

            if (!model_step(&model, &rand, pop_per_mille)) {
                fail_msg("seed %llu, step %u: the queue differs from the model",
                         (unsigned long long)seed, step);
            }
        }
        rti_taskq_fini(&model.queue);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_queue_is_empty),
        cmocka_unit_test(tasks_are_popped_in_the_order_of_their_pushes),
        cmocka_unit_test(a_queue_that_grows_while_it_is_wrapped_keeps_its_order),
        cmocka_unit_test(positions_that_run_over_the_end_do_no_harm),
        cmocka_unit_test(joining_makes_room_only_for_more_members_than_ever),
        cmocka_unit_test(a_join_without_memory_fails_and_leaves_the_queue_as_it_was),
        cmocka_unit_test(a_queue_without_memory_is_not_made),
        cmocka_unit_test(the_queue_agrees_with_an_array),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
