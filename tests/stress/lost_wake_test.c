/* SPDX-License-Identifier: MIT */
/*
 * A wake that is lost is seen, and none is.
 *
 * Method: an auditor visits every shard each 100 ms. It comes in through the
 * control bit, so it wakes the shard if it sleeps, and looks for what the shard
 * should have been told of: requests that can be read in a port, while the
 * sender's bit is not set and the port is not at work. A sender that is between
 * its two steps looks the same for a moment; what lies there at two visits in a
 * row was stranded. Meanwhile two shards call each other and sleep all the time.
 *
 * The same is run with a sleep that is wrong on purpose: a load and a store
 * instead of a CAS (the linker puts it in the place of the right one). A ring
 * that falls between them is lost, and the auditor must find it; he also lets
 * the shard go on.
 */
#include "support/harness.h"

#include <errno.h>
#include <sched.h>

#include "cross/call.h"
#include "cross/mesh.h"
#include "os/sys.h"
#include "rt/rt.h"
#include "shard/runtime.h"

#define VISITS 20
#define EVERY  RT_MILLISECONDS(100)

/* The sleep that is wrong */

static bool sleeps_by_store;

bool __real_rti_doorbell_try_sleep(struct rti_doorbell *doorbell);
bool __wrap_rti_doorbell_try_sleep(struct rti_doorbell *doorbell);

bool __wrap_rti_doorbell_try_sleep(struct rti_doorbell *doorbell)
{
    uint64_t *word = &doorbell->words[0].bits;

    if (!__atomic_load_n(&sleeps_by_store, __ATOMIC_RELAXED)) {
        return __real_rti_doorbell_try_sleep(doorbell);
    }
    if (doorbell->pending[0] != 0 || __atomic_load_n(word, __ATOMIC_RELAXED) != 0) {
        return false;
    }
    (void)sched_yield(); /* where the other shard shares the CPU, it may ring here */
    __atomic_store_n(word, RTI_DOORBELL_SLEEPS, __ATOMIC_RELAXED);
    return true;
}

/* The auditor */

struct sight {     /* of one ring, at the visit before */
    uint32_t next; /* where its consumer stood, when something lay there */
    bool suspicious;
};

struct visit {
    struct sight requests;
    struct sight replies;
    unsigned stranded;
};

/* Whether what lies in the ring lay there at the last visit too. */
static bool is_stranded(struct sight *sight, struct rti_ring *ring, bool is_rung)
{
    if (rti_ring_readable(ring, 1) == 0 || is_rung) {
        sight->suspicious = false;
        return false;
    }
    if (sight->suspicious && sight->next == ring->consumer.next) {
        sight->suspicious = false;
        return true;
    }
    sight->suspicious = true;
    sight->next = ring->consumer.next;
    return false;
}

static int audit(void *arg)
{
    struct visit *visit = arg;
    struct rti_mesh_shard *shard = rti_mesh_here();
    const uint32_t other = 1 - shard->index;
    struct rti_port *in = __atomic_load_n(&shard->in[other], __ATOMIC_ACQUIRE);
    struct rti_port *out = shard->out[other];
    const bool is_rung = rti_doorbell_is_rung(&shard->doorbell);

    if (in != NULL && is_stranded(&visit->requests, &in->requests,
                                  is_rung || !rti_list_is_empty(&in->receiver.work_link))) {
        visit->stranded++;
        rti_call_requests_came(shard, in); /* as if it had been rung for */
        rti_call_need_pump(shard);
    }
    if (out != NULL && is_stranded(&visit->replies, &out->replies, is_rung)) {
        visit->stranded++;
        rti_call_take_replies(shard, out);
    }
    return 0;
}

/* The auditor's own ring may be lost by the wrong sleep: he rings again. */
static void visit_shard(struct rt_runtime *runtime, uint32_t shard, struct visit *visit)
{
    struct rt_submission submission;
    int r = rt_submit(runtime, shard, &submission, audit, visit);

    assert_int_equal(r, 0);
    while ((r = rt_submission_wait(&submission, NULL, rt_now() + EVERY / 2)) == -ETIME) {
        rti_mesh_ring_control(NULL, runtime->mesh.shards[shard]);
    }
    assert_int_equal(r, 0);
}

/* The shards */

static bool over;
static unsigned ended;

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int call_all_the_time(void *arg)
{
    const uint32_t other = 1 - rt_shard_index();

    (void)arg;
    while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
        T_CHECK(rt_call(other, nothing, NULL, NULL, RT_NEVER) == 0);
    }
    __atomic_add_fetch(&ended, 1, __ATOMIC_RELAXED);
    while (__atomic_load_n(&ended, __ATOMIC_RELAXED) < 3) {
        rt_sleep_until(rt_in(RT_MILLISECONDS(1))); /* the auditor submits until both are through */
    }
    return 0;
}

static unsigned stranded_in_a_run(bool by_store)
{
    struct rt_config config = RT_CONFIG_INIT;
    struct rt_runtime *runtime;
    struct visit visits[2] = { 0 };

    config.shards = 2;
    config.place = RT_PLACE_UNBOUND;
    over = false;
    ended = 0;
    __atomic_store_n(&sleeps_by_store, by_store, __ATOMIC_RELAXED);
    assert_int_equal(rt_launch(&runtime, &config, call_all_the_time, NULL), 0);
    for (int i = 0; i < VISITS || __atomic_load_n(&ended, __ATOMIC_RELAXED) < 2; i++) {
        if (i == VISITS) {
            __atomic_store_n(&sleeps_by_store, false, __ATOMIC_RELAXED);
            __atomic_store_n(&over, true, __ATOMIC_RELAXED);
        }
        visit_shard(runtime, 0, &visits[0]);
        visit_shard(runtime, 1, &visits[1]);
        rti_sys_pause(EVERY); /* the auditor's period: nobody waits for it */
    }
    __atomic_add_fetch(&ended, 1, __ATOMIC_RELAXED);
    assert_int_equal(rt_wait(runtime), 0);
    return visits[0].stranded + visits[1].stranded;
}

static void no_wake_is_lost(void **state)
{
    (void)state;
    assert_int_equal(stranded_in_a_run(false), 0);
    assert_int_equal(t_failures(), 0);
}

static void a_sleep_by_load_and_store_loses_wakes(void **state)
{
    (void)state;
    assert_true(stranded_in_a_run(true) > 0);
    assert_int_equal(t_failures(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_wake_is_lost),
        cmocka_unit_test(a_sleep_by_load_and_store_loses_wakes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
