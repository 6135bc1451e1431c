/* SPDX-License-Identifier: MIT */
/*
 * Spawns that are refused: at the limit of tasks, and for want of memory. The
 * service goes on.
 *
 * A server takes requests from a channel and spawns a session for each, as README's
 * echo server does; it sheds those that it cannot. Sessions stay until an event is
 * set. So a test knows how many live, whom the server has shed, and that it serves
 * as before when there is room again.
 */
#include "support/fault_checks.h"

#include <errno.h>

#include "rt/rt.h"

#define TASKS_MAX 10
#define SESSIONS  (TASKS_MAX - 2) /* the others are the first task and the server */
#define ENOUGH    3000            /* sessions: many blocks of the table of tasks, and arenas */

struct server {
    struct rt_chan *requests;
    struct rt_event finish; /* sessions end */
    struct rt_group sessions;
    bool without_memory; /* the first call that a spawn makes to the system fails */
    unsigned taken;
    unsigned spawned;
    unsigned served;
    unsigned shed;
    int why; /* the last one was */
};

static int session(void *arg)
{
    struct server *server = arg;
    const int r = rt_event_wait(&server->finish, RT_NEVER);

    server->served += r == 0;
    return r;
}

static int spawn_session(struct server *server)
{
    int r;

    if (server->without_memory) {
        fault_begin(1);
    }
    r = rt_group_spawn(&server->sessions, session, server);
    if (server->without_memory) {
        (void)fault_end();
    }
    return r;
}

static int serve(void *arg)
{
    struct server *server = arg;
    int request;

    while (rt_chan_recv(server->requests, &request, RT_NEVER) == 0) {
        const int r = spawn_session(server);

        server->taken++;
        if (r < 0) {
            server->shed++;
            server->why = r;
        } else {
            server->spawned++;
        }
    }
    return rt_group_leave(&server->sessions, RT_NEVER);
}

static void request(struct server *server)
{
    const unsigned taken = server->taken;
    const int item = 1;

    T_CHECK(rt_chan_send(server->requests, &item, RT_NEVER) == 0);
    while (server->taken == taken) {
        rt_yield();
    }
}

/* All that live end, and none is refused a place after that. */
static void finish(struct server *server)
{
    rt_event_set(&server->finish);
    while (server->served < server->spawned) {
        rt_yield();
    }
    rt_event_reset(&server->finish);
    while (rt_group_live(&server->sessions) > 0) {
        rt_yield();
    }
}

static uint64_t refused(void)
{
    struct rt_stats stats;

    rt_stats_get(&stats, sizeof(stats));
    return stats.spawns_refused;
}

static struct rt_task *start(struct server *server)
{
    struct rt_task *task;

    *server = (struct server){ .finish = RT_EVENT_INIT, .sessions = RT_GROUP_INIT };
    T_CHECK(rt_chan_create(&server->requests, sizeof(int), 1) == 0);
    T_CHECK(rt_spawn(&task, serve, server) == 0);
    return task;
}

static void stop(struct server *server, struct rt_task *task)
{
    int result = -1;

    rt_chan_close(server->requests);
    T_CHECK(rt_join(task, &result, RT_NEVER) == 0 && result == 0);
    rt_chan_destroy(server->requests);
    T_CHECK(server->served == server->spawned);
}

static int limit_first(void *arg)
{
    struct server server;
    struct rt_task *task = start(&server);

    (void)arg;
    for (unsigned round = 1; round <= 3; round++) {
        for (unsigned i = 0; i < SESSIONS + round; i++) {
            request(&server);
        }
        T_CHECK(server.spawned == round * SESSIONS && server.why == -EAGAIN);
        T_CHECK(server.shed == refused());
        finish(&server);
    }
    T_CHECK(server.shed == 1 + 2 + 3);
    stop(&server, task);
    return 0;
}

static void a_server_at_the_limit_of_tasks_sheds_with_again_and_serves_on(void **state)
{
    const unsigned descriptors = t_open_descriptors();
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    config.tasks_max = TASKS_MAX;
    fault_begin(0);
    assert_int_equal(rt_run(&config, limit_first, NULL), 0);
    (void)fault_end();
    check_nothing_is_left(0, descriptors);
}

/* Who watches for stalls makes calls to the system too: the one that fails must be the spawn's. */
static struct rt_config unwatched(void)
{
    struct rt_config config = RT_CONFIG_INIT;

    config.stall_threshold = RT_STALL_OFF;
    return config;
}

static int memory_first(void *arg)
{
    struct server server;
    struct rt_task *task = start(&server);
    unsigned spawned;

    (void)arg;
    server.without_memory = true;
    while (server.shed == 0 && server.taken < ENOUGH) {
        request(&server);
    }
    T_CHECK(server.shed == 1 && server.why == -ENOMEM && refused() == 1);
    request(&server); /* nor the next one: there still is none */
    T_CHECK(server.shed == 2 && server.why == -ENOMEM);

    spawned = server.spawned;
    server.without_memory = false;
    request(&server);
    T_CHECK(server.spawned == spawned + 1);
    T_CHECK(rt_group_live(&server.sessions) == spawned + 1); /* those before were not harmed */
    finish(&server);
    stop(&server, task);
    return 0;
}

static void a_server_without_memory_for_a_task_sheds_and_serves_on_when_there_is_some(void **state)
{
    const unsigned descriptors = t_open_descriptors();
    const struct rt_config config = unwatched();

    (void)state;
    fault_begin(0);
    assert_int_equal(rt_run(&config, memory_first, NULL), 0);
    (void)fault_end();
    check_nothing_is_left(0, descriptors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_at_the_limit_of_tasks_sheds_with_again_and_serves_on),
        cmocka_unit_test(a_server_without_memory_for_a_task_sheds_and_serves_on_when_there_is_some),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
