/* SPDX-License-Identifier: MIT */
/*
 * Meshes of channels and objects that go home, on real threads.
 *
 * Method: 12 shards on the CPUs that there are send to all others through small
 * channels, by number and by pointer, and receive from any; they sleep and wake all
 * the time. Each item must come once and in order of its sender, and each object
 * must be freed on the shard that made it. Then two shards have one item between
 * them, and nothing else to do: a wake that is lost hangs the test.
 */
#include "support/harness.h"

#include <stdlib.h>
#include <string.h>

#include "rt/rt.h"

#define CROWD      12
#define ROUNDS     1500 /* of each sender, to each receiver */
#define TRIPS      20000
#define BATCH_MAX  9
#define OBJECT_GAP 4 /* one item in so many is an object */

struct object {
    struct rt_home_node node;
    uint32_t home;
};

struct item {
    struct object *object; /* or NULL */
    uint32_t number;
    uint32_t reserved;
};

struct place {
    uint32_t next[CROWD]; /* that is to come from each */
    uint64_t made;
    uint64_t freed;
    char apart[128];
};

static struct place places[CROWD]; /* each touched by its own shard; read at the end */
static struct rt_mesh *mesh;

static void put_back(struct rt_home_node *node)
{
    struct object *object = (struct object *)(void *)node;

    places[object->home].freed++; /* no atomic: TSan tells if this is not its shard */
    free(object);
}

static struct item make_item(uint32_t number)
{
    struct item item = { .number = number };

    if (number % OBJECT_GAP == 0) {
        item.object = malloc(sizeof(*item.object));
        T_CHECK(item.object != NULL);
        item.object->home = rt_shard_index();
        rt_home_init(&item.object->node, put_back);
        places[item.object->home].made++;
    }
    return item;
}

static int send_all(void *arg)
{
    struct rt_spsc *channels[CROWD] = { NULL };

    (void)arg;
    for (uint32_t to = 0; to < CROWD; to++) {
        T_CHECK(rt_mesh_sender(&channels[to], mesh, to) == 0);
    }
    for (uint32_t i = 0; i < ROUNDS; i++) {
        for (uint32_t to = 0; to < CROWD; to++) {
            const struct item item = make_item(i);

            T_CHECK(rt_spsc_send(channels[to], &item, 1, NULL, RT_NEVER) == 0);
        }
    }
    rt_mesh_close_senders(mesh);
    return 0;
}

static int receive_all(void *arg)
{
    struct place *here = &places[rt_shard_index()];
    struct item items[BATCH_MAX];
    uint32_t from = 0;
    uint32_t want = 0;
    ssize_t n;

    (void)arg;
    while ((n = rt_mesh_recv_any(mesh, items, 1 + want++ % BATCH_MAX, &from, RT_NEVER)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            T_CHECK(items[i].number == here->next[from]);
            here->next[from] = items[i].number + 1;
            if (items[i].object != NULL) {
                T_CHECK(items[i].object->home == from);
                rt_home_free(&items[i].object->node);
            }
        }
    }
    T_CHECK(n == 0);
    return 0;
}

static int work(void *arg)
{
    struct rt_group tasks = RT_GROUP_INIT;

    (void)arg;
    T_CHECK(rt_group_spawn(&tasks, receive_all, NULL) == 0);
    T_CHECK(rt_group_spawn(&tasks, send_all, NULL) == 0);
    T_CHECK(rt_group_leave(&tasks, RT_NEVER) == 0);
    rt_mesh_leave(mesh, rt_shard_index());
    return 0;
}

static void make_mesh(uint32_t capacity)
{
    struct rt_mesh_options options = RT_MESH_OPTIONS_INIT;

    options.item_bytes = sizeof(struct item);
    options.capacity = capacity;
    T_CHECK(rt_mesh_create(&mesh, &options) == 0);
}

static int crowd(void *arg)
{
    static struct rt_call calls[CROWD];

    (void)arg;
    if (rt_shard_index() != 0) {
        return 0;
    }
    make_mesh(8);
    for (uint32_t i = 1; i < CROWD; i++) {
        T_CHECK(rt_call_begin(&calls[i], i, work, NULL, RT_NEVER) == 0);
    }
    T_CHECK(work(NULL) == 0);
    for (uint32_t i = 1; i < CROWD; i++) {
        T_CHECK(rt_call_end(&calls[i], NULL, RT_NEVER) == 0);
    }
    rt_mesh_destroy(mesh);
    return 0;
}

static void all_that_12_shards_send_to_each_other_comes_and_goes_home(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    memset(places, 0, sizeof(places));
    config.shards = CROWD;
    config.log_level = RT_LOG_ERROR; /* more shards than CPUs are meant */
    assert_int_equal(rt_start(&config, crowd, NULL), 0);
    assert_int_equal(t_failures(), 0);
    for (uint32_t i = 0; i < CROWD; i++) {
        assert_int_equal(places[i].freed, places[i].made);
        assert_true(places[i].made > 0);
        for (uint32_t from = 0; from < CROWD; from++) {
            assert_int_equal(places[i].next[from], ROUNDS);
        }
    }
}

/* ---- one item ---- */

static int play_back(void *arg)
{
    struct rt_spsc *back;
    struct rt_spsc *own;
    struct item ball;
    uint32_t from = 0;

    (void)arg;
    T_CHECK(rt_mesh_sender(&own, mesh, 1) == 0);
    rt_spsc_close_sender(own); /* else it would wait for itself at the end */
    T_CHECK(rt_mesh_sender(&back, mesh, 0) == 0);
    while (rt_mesh_recv_any(mesh, &ball, 1, &from, RT_NEVER) == 1) {
        T_CHECK(from == 0);
        ball.number++;
        T_CHECK(rt_spsc_send(back, &ball, 1, NULL, RT_NEVER) == 0);
    }
    rt_mesh_leave(mesh, rt_shard_index());
    return 0;
}

static int play(void *arg)
{
    struct item ball = { .number = 0 };
    struct rt_spsc *there;
    struct rt_call call;

    (void)arg;
    if (rt_shard_index() != 0) {
        return 0;
    }
    make_mesh(1);
    T_CHECK(rt_mesh_sender(&there, mesh, 1) == 0);
    T_CHECK(rt_call_begin(&call, 1, play_back, NULL, RT_NEVER) == 0);
    for (uint32_t i = 0; i < TRIPS; i++) {
        T_CHECK(rt_spsc_send(there, &ball, 1, NULL, RT_NEVER) == 0);
        T_CHECK(rt_mesh_recv_any(mesh, &ball, 1, NULL, RT_NEVER) == 1);
        T_CHECK(ball.number == i + 1);
    }
    rt_mesh_leave(mesh, 0);
    T_CHECK(rt_call_end(&call, NULL, RT_NEVER) == 0);
    rt_mesh_destroy(mesh);
    return 0;
}

static void a_ball_between_two_shards_is_never_lost(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    config.shards = 2;
    config.log_level = RT_LOG_ERROR;
    assert_int_equal(rt_start(&config, play, NULL), 0);
    assert_int_equal(t_failures(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_12_shards_send_to_each_other_comes_and_goes_home),
        cmocka_unit_test(a_ball_between_two_shards_is_never_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
