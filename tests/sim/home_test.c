/* SPDX-License-Identifier: MIT */
/*
 * Objects that go home: random programs on the simulated kernel.
 *
 * Method: one small program per seed. Shards make objects, post them to each other,
 * put one into another, and free what they have: one by one, many at once, while
 * the runtime stops, in tasks that are cancelled. Freeing an object frees the one in
 * it, which may have another home. In the end each was freed once, on the shard that
 * had made it; and only those that a function of a detached shard gave back, after
 * all shards had ended.
 */
#include "support/harness.h"
#include "support/rand.h"
#include "support/shards.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cross/mesh.h"
#include "rt/call.h"
#include "rt/home.h"
#include "rt/rt.h"
#include "rt/start.h"

#define FEW_MAX     4
#define STEPS_MAX   60   /* of a shard */
#define MANY        600  /* more than are freed in a turn */
#define BAG_MAX     4096 /* objects that a shard has */

struct object {
    struct rt_home_node node;
    uint32_t home;
    struct object *inner;
};

struct program {
    struct rand_state rand;
    struct object *bags[FEW_MAX][BAG_MAX];
    unsigned counts[FEW_MAX];
    bool leaves[FEW_MAX]; /* what comes is freed at once */
    uint32_t shards;
    uint64_t made;
    uint64_t freed;
    uint64_t late; /* when no shard ran any more */
    bool stops;
};

static struct program program; /* one thread runs at a time */

static unsigned draw(unsigned limit)
{
    return (unsigned)rand_below(&program.rand, limit);
}

static void free_object(struct rt_home_node *node)
{
    struct object *object = RTI_CONTAINER_OF(node, struct object, node);

    if (rti_current == NULL) {
        program.late++;
    } else {
        T_CHECK(rti_mesh_here()->index == object->home);
    }
    if (object->inner != NULL) {
        rt_home_free(&object->inner->node);
    }
    program.freed++;
    free(object);
}

static void put(struct object *object)
{
    const uint32_t shard = rt_shard_index();

    if (program.leaves[shard] || program.counts[shard] == BAG_MAX) {
        rt_home_free(&object->node);
    } else {
        program.bags[shard][program.counts[shard]++] = object;
    }
}

/* NULL: there is none. */
static struct object *take(void)
{
    const uint32_t shard = rt_shard_index();
    const unsigned count = program.counts[shard];
    struct object *object;
    unsigned i;

    if (count == 0) {
        return NULL;
    }
    i = draw(count);
    object = program.bags[shard][i];
    program.bags[shard][i] = program.bags[shard][--program.counts[shard]];
    return object;
}

static void make(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct object *object = calloc(1, sizeof(*object));

        T_CHECK(object != NULL);
        object->home = rt_shard_index();
        rt_home_init(&object->node, free_object);
        program.made++;
        put(object);
    }
}

static int receive(void *object)
{
    put(object);
    return 0;
}

static void hand_over(unsigned count)
{
    const uint32_t to = draw(program.shards);
    struct object *object;

    while (count-- > 0 && (object = take()) != NULL) {
        if (rt_try_post(to, receive, object) < 0) {
            put(object);
            return;
        }
    }
}

static void nest(void)
{
    struct object *outer = take();
    struct object *inner = take();

    if (inner != NULL && outer->inner == NULL) {
        outer->inner = inner;
    } else if (inner != NULL) {
        put(inner);
    }
    if (outer != NULL) {
        put(outer);
    }
}

static void free_some(unsigned count)
{
    struct object *object;

    while (count-- > 0 && (object = take()) != NULL) {
        rt_home_free(&object->node);
    }
}

static int take_step(void)
{
    switch (draw(8)) {
    case 0:
        make(draw(30) == 0 ? MANY : draw(10));
        return 0;
    case 1:
    case 2:
        hand_over(1 + draw(50));
        return 0;
    case 3:
        nest();
        return 0;
    case 4:
        free_some(draw(3) == 0 ? UINT32_MAX : draw(20));
        return 0;
    case 5:
        if (program.stops && draw(10) == 0) {
            rt_stop(NULL);
        }
        return 0;
    case 6:
        return rt_sleep_until(rt_in(draw(100000)));
    default:
        rt_yield();
        return 0;
    }
}

/* Lives until the runtime drains. */
static int free_at_the_end(void *arg)
{
    (void)arg;
    while (!rt_cancelled()) {
        (void)rt_park(RT_NEVER);
    }
    for (unsigned i = draw(3); i > 0; i--) {
        rt_yield();
    }
    program.leaves[rt_shard_index()] = true;
    free_some(UINT32_MAX);
    return 0;
}

static int first_task(void *arg)
{
    int r = 0;

    (void)arg;
    for (unsigned i = draw(STEPS_MAX); i > 0 && r == 0; i--) {
        r = take_step();
    }
    T_CHECK(r == 0 || r == -ECANCELED);
    T_CHECK(rt_spawn(NULL, free_at_the_end, NULL) == 0);
    return 0;
}

static bool run_seed(uint64_t seed)
{
    struct shards shards;

    memset(&program, 0, sizeof(program));
    rand_init(&program.rand, seed);
    program.shards = 1 + draw(FEW_MAX);
    program.stops = draw(2) == 0;
    shards_init(&shards, seed, program.shards);
    shards.runtime.tasks_max = SHARDS_TASKS_MANY;
    shards_run(&shards, first_task, NULL);
    T_CHECK(shards.started && shards.result == 0);
    T_CHECK(shards.faults == 0);
    T_CHECK(program.freed == program.made);
    return t_failures() == 0;
}

static void each_object_is_freed_once_where_it_was_made(void **state)
{
    unsigned failures = 0;
    uint64_t freed = 0;
    uint64_t late = 0;

    (void)state;
    for (unsigned i = 0; i < rt_test_seed_count(SHARDS_SEEDS) && failures < 3; i++) {
        if (!run_seed(rt_test_seed(i))) {
            print_error("failed: RT_SEED=%" PRIu64 "\n", rt_test_seed(i));
            failures++;
        }
        freed += program.freed;
        late += program.late;
    }
    assert_int_equal(failures, 0);
    assert_true(freed > 0);
    print_message("%" PRIu64 " objects freed, %" PRIu64 " when no shard ran\n", freed, late);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_object_is_freed_once_where_it_was_made),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
