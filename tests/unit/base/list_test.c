/* SPDX-License-Identifier: MIT */
/* List against a model: an array of numbers in the order in which their nodes were pushed. */
#include "base/list.h"

#include "support/harness.h"
#include "support/rand.h"

#define NODES_MAX 50u

static void a_new_list_is_empty(void **state)
{
    struct rti_list head;

    (void)state;
    rti_list_init(&head);
    assert_true(rti_list_is_empty(&head));
    assert_null(rti_list_first(&head));
}

static void nodes_come_in_the_order_of_their_pushes(void **state)
{
    struct rti_list head;
    struct rti_list nodes[3];

    (void)state;
    rti_list_init(&head);
    for (int i = 0; i < 3; i++) {
        rti_list_push_back(&head, &nodes[i]);
        assert_false(rti_list_is_empty(&head));
    }
    for (int i = 0; i < 3; i++) {
        assert_ptr_equal(rti_list_first(&head), &nodes[i]);
        rti_list_remove(&nodes[i]);
    }
    assert_true(rti_list_is_empty(&head));
}

static void a_node_that_was_removed_is_in_no_list(void **state)
{
    struct rti_list head;
    struct rti_list node;

    (void)state;
    rti_list_init(&head);
    rti_list_push_back(&head, &node);
    assert_false(rti_list_is_empty(&node));
    rti_list_remove(&node);
    assert_true(rti_list_is_empty(&node));
    assert_null(rti_list_first(&head));
}

static void removing_twice_is_harmless(void **state)
{
    struct rti_list head;
    struct rti_list nodes[3];

    (void)state;
    rti_list_init(&head);
    for (int i = 0; i < 3; i++) {
        rti_list_push_back(&head, &nodes[i]);
    }
    rti_list_remove(&nodes[1]);
    rti_list_remove(&nodes[1]);
    assert_ptr_equal(head.next, &nodes[0]);
    assert_ptr_equal(nodes[0].next, &nodes[2]);
    assert_ptr_equal(nodes[2].next, &head);
    assert_ptr_equal(head.prev, &nodes[2]);
    rti_list_init(&nodes[1]);
    rti_list_remove(&nodes[1]); /* was in no list */
    assert_true(rti_list_is_empty(&nodes[1]));
}

static void the_object_around_a_node_is_found(void **state)
{
    struct object {
        int before;
        struct rti_list link;
        int after;
    } object;

    (void)state;
    assert_ptr_equal(RTI_CONTAINER_OF(&object.link, struct object, link), &object);
}

/* Both ways round, the list holds the nodes of the model in order. */
static bool agrees(struct rti_list *head, const struct rti_list *nodes, const uint32_t *order,
                   uint32_t length)
{
    const struct rti_list *node = head;

    for (uint32_t i = 0; i < length; i++) {
        if (node->next != &nodes[order[i]] || node->next->prev != node) {
            return false;
        }
        node = node->next;
    }
    return node->next == head && head->prev == node && rti_list_is_empty(head) == (length == 0) &&
           rti_list_first(head) == (length == 0 ? NULL : &nodes[order[0]]);
}

static void a_list_agrees_with_an_array(void **state)
{
    (void)state;
    for (unsigned run = 0; run < rt_test_seed_count(50); run++) {
        struct rti_list nodes[NODES_MAX];
        struct rti_list head;
        uint32_t order[NODES_MAX];
        uint32_t length = 0;
        struct rand_state rand;

        rand_init(&rand, rt_test_seed(run));
        rti_list_init(&head);
        for (uint32_t i = 0; i < NODES_MAX; i++) {
            rti_list_init(&nodes[i]);
        }
        for (unsigned step = 0; step < 1000; step++) {
            const uint32_t i = (uint32_t)rand_below(&rand, NODES_MAX);
            uint32_t kept = 0;

            if (rti_list_is_empty(&nodes[i])) {
                rti_list_push_back(&head, &nodes[i]);
                order[length++] = i;
            } else {
                rti_list_remove(&nodes[i]);
                for (uint32_t k = 0; k < length; k++) {
                    if (order[k] != i) {
                        order[kept++] = order[k];
                    }
                }
                length = kept;
            }
            if (!agrees(&head, nodes, order, length)) {
                fail_msg("seed %llu, step %u", (unsigned long long)rt_test_seed(run), step);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_list_is_empty),
        cmocka_unit_test(nodes_come_in_the_order_of_their_pushes),
        cmocka_unit_test(a_node_that_was_removed_is_in_no_list),
        cmocka_unit_test(removing_twice_is_harmless),
        cmocka_unit_test(the_object_around_a_node_is_found),
        cmocka_unit_test(a_list_agrees_with_an_array),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
