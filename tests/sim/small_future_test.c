/* SPDX-License-Identifier: MIT */
/*
 * Small futures: all that futures are, without room for a wait.
 *
 * Each lies on the heap by itself, so that a touch of memory behind it is found by
 * AddressSanitizer, and its last bytes are looked at elsewhere.
 */
#include "future_probe.h"

#include <stdlib.h>
#include <string.h>

#define BEHIND 0x5a5a5a5a5a5a5a5au

struct small {
    struct rt_small_future future;
    uint64_t behind;
    struct rt_waker waker;
    struct rt_future *step; /* polled before it is done; NULL: none */
    unsigned polls;
    unsigned drops;
    bool go;
};

static int poll_small(struct rt_future *future)
{
    struct small *self = (struct small *)future;

    self->polls++;
    self->waker = rt_waker_self();
    if (!self->go) {
        return RT_PENDING;
    }
    return self->step != NULL ? rt_poll_sleep(self->step, rt_in(RT_MILLISECONDS(1))) : 42;
}

static void drop_small(struct rt_future *future)
{
    ((struct small *)future)->drops++;
}

static struct small *small_new(void)
{
    struct small *self = calloc(1, sizeof(*self));

    T_CHECK(self != NULL);
    self->future = (struct rt_small_future)RT_SMALL_FUTURE_INIT(poll_small, drop_small);
    self->behind = BEHIND;
    return self;
}

static struct rt_task *spawn_small(struct small *self)
{
    struct rt_task *task;

    T_CHECK(rt_spawn_future(&task, rt_future_of(&self->future)) == 0);
    return task;
}

static void wake(struct small *self)
{
    self->go = true;
    rt_wake(self->waker);
}

static int life_first(void *arg)
{
    struct small *self = small_new();
    struct rt_future step = RT_FUTURE_INIT(NULL, NULL);
    struct rt_task *task;

    (void)arg;
    for (unsigned round = 1; round <= 3; round++) { /* the struct can be used again */
        self->go = false;
        self->step = round == 2 ? &step : NULL;
        task = spawn_small(self);
        let_all_run();
        T_CHECK(!rt_is_finished(task));
        wake(self);
        T_CHECK(join(task) == (round == 2 ? 0 : 42));
        T_CHECK(self->drops == round && self->behind == BEHIND);
    }
    self->go = false;
    task = spawn_small(self);
    let_all_run();
    rt_cancel(task);
    T_CHECK(join(task) == -ECANCELED && self->drops == 4 && self->behind == BEHIND);
    free(self);
    return 0;
}

static void a_small_future_waits_for_wakes_and_ends_as_others_do(void **state)
{
    (void)state;
    run_first(life_first);
}

static int wake_later(void *arg)
{
    (void)rt_sleep_until(rt_in(RT_MILLISECONDS(1)));
    wake(arg);
    return 0;
}

static int await_first(void *arg)
{
    struct small *self = small_new();
    struct rt_group group = RT_GROUP_INIT;

    (void)arg;
    T_CHECK(rt_await(rt_future_of(&self->future), rt_in(RT_MILLISECONDS(1))) == -ETIME);
    T_CHECK(rt_spawn(NULL, wake_later, self) == 0);
    T_CHECK(rt_await(rt_future_of(&self->future), RT_NEVER) == 42);
    self->go = false;
    T_CHECK(rt_group_spawn_future(&group, rt_future_of(&self->future)) == 0);
    let_all_run();
    rt_group_cancel(&group);
    T_CHECK(rt_group_leave(&group, RT_NEVER) == 0);
    T_CHECK(self->drops == 3 && self->behind == BEHIND);
    free(self);
    return 0;
}

static void it_can_be_awaited_and_belong_to_a_group(void **state)
{
    (void)state;
    run_first(await_first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_future_waits_for_wakes_and_ends_as_others_do),
        cmocka_unit_test(it_can_be_awaited_and_belong_to_a_group),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
