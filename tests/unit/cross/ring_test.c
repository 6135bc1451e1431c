/* SPDX-License-Identifier: MIT */
/*
 * Ring: what is pushed comes out once and in order, and no slot is written too early.
 *
 * Method: random steps of both sides on one thread, beside a model that counts.
 * The indices begin just below 2^32, so that they wrap in every run.
 */
#include "support/harness.h"

#include <string.h>

#include "cross/ring.h"
#include "support/rand.h"

#define CAPACITY_MAX 8
#define STEPS        20000

struct model {
    struct rti_ring ring;
    uint32_t slots[CAPACITY_MAX];
    uint32_t pushed;
    uint32_t published;
    uint32_t popped;
    uint32_t released;
    struct rand_state rand;
};

static void model_init(struct model *model, uint32_t capacity, uint32_t begin)
{
    memset(model, 0, sizeof(*model));
    rti_ring_init(&model->ring, capacity);
    model->ring.tail = begin;
    model->ring.head = begin;
    model->ring.producer.next = begin;
    model->ring.producer.published = begin;
    model->ring.producer.head_seen = begin;
    model->ring.consumer.next = begin;
    model->ring.consumer.released = begin;
    model->ring.consumer.tail_seen = begin;
    rand_init(&model->rand, capacity);
}

static void push(struct model *model, uint32_t capacity)
{
    const uint32_t room = rti_ring_room(&model->ring, 1);

    assert_true(room <= capacity - (model->pushed - model->released)); /* R3 */
    assert_true(room > 0 || model->pushed - model->released == capacity);
    if (room > 0) {
        model->slots[rti_ring_push(&model->ring)] = model->pushed++;
    }
    assert_int_equal(rti_ring_unpublished(&model->ring), model->pushed - model->published);
}

static void pop(struct model *model)
{
    const uint32_t readable = rti_ring_readable(&model->ring, 1);

    assert_true(readable <= model->published - model->popped);
    assert_true(readable > 0 || model->published == model->popped);
    if (readable > 0) {
        assert_int_equal(model->slots[rti_ring_pop(&model->ring)], model->popped);
        model->popped++;
    }
}

static void take_step(struct model *model, uint32_t capacity)
{
    switch (rand_below(&model->rand, 5)) {
    case 0:
    case 1:
        push(model, capacity);
        break;
    case 2:
        assert_int_equal(rti_ring_publish(&model->ring), model->published != model->pushed);
        model->published = model->pushed;
        break;
    case 3:
        assert_int_equal(rti_ring_release(&model->ring), model->released != model->popped);
        model->released = model->popped;
        break;
    default:
        pop(model);
        break;
    }
}

static void what_is_pushed_comes_out_in_order_while_indices_wrap(void **state)
{
    (void)state;
    for (uint32_t capacity = 1; capacity <= CAPACITY_MAX; capacity *= 2) {
        struct model model;

        model_init(&model, capacity, UINT32_MAX - 100);
        for (unsigned i = 0; i < STEPS; i++) {
            take_step(&model, capacity);
        }
        assert_true(model.popped > 1000); /* far past the wrap */
    }
}

/* Who asks for more than is known looks at the other side's index; who does not, need not. */
static void the_other_side_is_looked_at_when_more_is_wanted_than_known(void **state)
{
    struct model model;

    (void)state;
    model_init(&model, 4, 0);
    for (unsigned i = 0; i < 4; i++) {
        push(&model, 4);
    }
    assert_int_equal(rti_ring_readable(&model.ring, 1), 0); /* nothing is published */
    assert_true(rti_ring_publish(&model.ring));
    assert_int_equal(rti_ring_readable(&model.ring, 4), 4);
    (void)rti_ring_pop(&model.ring);
    assert_int_equal(rti_ring_room(&model.ring, 1), 0); /* nothing is released */
    assert_true(rti_ring_release(&model.ring));
    assert_int_equal(rti_ring_room(&model.ring, 4), 1);
}

static void a_want_is_seen_once(void **state)
{
    uint32_t flag = 0;

    (void)state;
    assert_false(rti_ring_wanted(&flag));
    rti_ring_want(&flag);
    assert_true(rti_ring_wanted(&flag));
    assert_false(rti_ring_wanted(&flag));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_pushed_comes_out_in_order_while_indices_wrap),
        cmocka_unit_test(the_other_side_is_looked_at_when_more_is_wanted_than_known),
        cmocka_unit_test(a_want_is_seen_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
