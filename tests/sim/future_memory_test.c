/* SPDX-License-Identifier: MIT */
/*
 * The memory of futures: until when the library looks at it.
 *
 * It comes from the heap and is freed the moment a promise says that it may be: what
 * touches it once more is found by AddressSanitizer, and by its changed bytes elsewhere.
 */
#include "future_probe.h"

#include <string.h>

#define POISON 0xA5

/* Memory */

static bool is_poisoned(const void *memory, size_t bytes)
{
    const unsigned char *at = memory;

    for (size_t i = 0; i < bytes; i++) {
        if (at[i] != POISON) {
            return false;
        }
    }
    return true;
}

static struct probe *next; /* what has the slot after that */

/* All that could still know it: wakes by its waker, time, a cancel that is too late. */
static int forgotten_first(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < ALL_WAYS; i++) {
        for (int cancelled = 0; cancelled < 2; cancelled++) {
            struct probe *self = probe_new(all_ways[i]);
            struct rt_file *file = self->file;
            struct rt_chan *chan = self->chan;
            struct rt_task *task = spawn_probe(self);
            struct rt_waker waker;
            struct rt_task *fresh;

            help(self);
            waker = self->waker;
            if (cancelled) {
                rt_cancel(task);
            }
            while (!rt_is_finished(task)) {
                pause_for(RT_MICROSECONDS(100));
            }
            memset(self, POISON, sizeof(*self));
            rt_cancel(task); /* too late */
            T_CHECK(rt_join(task, NULL, 0) == 0);
            T_CHECK(rt_spawn_future(&fresh, &next->future) == 0); /* has its slot now */
            if (waker.task != NULL) {
                rt_wake(waker);
            }
            T_CHECK(join(fresh) == 42);
            pause_for(RT_SECONDS(2 * 3600));
            T_CHECK(is_poisoned(self, sizeof(*self)));
            T_CHECK(file == NULL || rt_file_close(file) == 0);
            if (chan != NULL) {
                rt_chan_destroy(chan);
            }
            free(self);
            next->drops = 0;
        }
    }
    return 0;
}

static void after_its_end_the_library_has_forgotten_a_future(void **state)
{
    (void)state;
    next = probe_new(NO_WAIT);
    run_first(forgotten_first);
    free(next);
}

/* A future of steps, each of which is a future of its own on the heap or made anew in place. */

struct steps {
    struct rt_future future;
    struct rt_future *step; /* NULL: in place */
    struct rt_future in_place;
    unsigned left;
    unsigned pokes; /* wakes of itself, right after a step is gone */
};

static int poll_step(struct rt_future *future)
{
    return rt_poll_sleep(future, rt_in(RT_MICROSECONDS(10)));
}

static int poll_steps(struct rt_future *future)
{
    struct steps *self = (struct steps *)future;

    while (self->left > 0) {
        struct rt_future *step = self->step != NULL ? self->step : &self->in_place;
        int r = step->poll(step);

        if (r != 0) {
            return r;
        }
        self->left--;
        if (self->step != NULL) {
            free(self->step);
            self->step = self->left % 2 == 0 ? NULL : malloc(sizeof(*self->step));
        } else if (self->left % 3 == 0) {
            self->step = malloc(sizeof(*self->step));
        }
        step = self->step != NULL ? self->step : &self->in_place;
        *step = (struct rt_future)RT_FUTURE_INIT(poll_step, NULL);
        rt_wake(rt_waker_self());
        T_CHECK(rt_poll_sleep(step, rt_in(0)) == 0); /* wakes, too */
        self->pokes++;
    }
    free(self->step);
    return 7;
}

static int steps_first(void *arg)
{
    struct steps steps = { .future = RT_FUTURE_INIT(poll_steps, NULL),
                           .in_place = RT_FUTURE_INIT(poll_step, NULL),
                           .left = 20 };
    struct rt_task *task;

    (void)arg;
    T_CHECK(rt_spawn_future(&task, &steps.future) == 0);
    T_CHECK(join(task) == 7 && steps.pokes == 20);

    steps.left = 20;
    steps.step = NULL;
    steps.in_place = (struct rt_future)RT_FUTURE_INIT(poll_step, NULL);
    T_CHECK(rt_await(&steps.future, RT_NEVER) == 7 && steps.pokes == 40);
    return 0;
}

static void a_step_that_is_done_may_be_freed_or_made_anew(void **state)
{
    (void)state;
    run_first(steps_first);
}

static int poll_nothing(struct rt_future *future)
{
    (void)future;
    return 0;
}

/* Futures on the heap, which the drop of theirs frees: their results were not taken. */

struct parent {
    struct rt_future future;
    struct rt_future *children[3];
    rt_time naps[3];
    unsigned had_in_drop;
};

static int poll_parent(struct rt_future *future)
{
    struct parent *self = (struct parent *)future;

    for (int i = 0; i < 3; i++) {
        if (self->children[i] == NULL) {
            self->children[i] = malloc(sizeof(struct rt_future));
            *self->children[i] = (struct rt_future)RT_FUTURE_INIT(poll_nothing, NULL);
            T_CHECK(rt_poll_sleep(self->children[i], rt_in(self->naps[i])) == RT_PENDING);
        }
    }
    return RT_PENDING;
}

static void drop_parent(struct rt_future *future)
{
    struct parent *self = (struct parent *)future;

    self->had_in_drop += rt_poll_sleep(self->children[0], 0) == 0;
    for (int i = 0; i < 3; i++) {
        free(self->children[i]);
    }
}

static int heap_first(void *arg)
{
    struct parent self = { .future = RT_FUTURE_INIT(poll_parent, drop_parent),
                           .naps = { RT_MILLISECONDS(1), RT_MILLISECONDS(2), RT_SECONDS(1) } };
    struct rt_task *task;

    (void)arg;
    T_CHECK(rt_spawn_future(&task, &self.future) == 0);
    pause_for(RT_MILLISECONDS(5));
    rt_cancel(task);
    T_CHECK(join(task) == -ECANCELED && self.had_in_drop == 1);

    memset(self.children, 0, sizeof(self.children));
    T_CHECK(rt_await(&self.future, rt_in(RT_MILLISECONDS(5))) == -ETIME && self.had_in_drop == 2);
    return 0;
}

/* A future that nobody waits for has no other place to give its own memory back. */

static unsigned freed;

static void free_itself(struct rt_future *future)
{
    struct probe *self = (struct probe *)future;

    if (self->chan != NULL) {
        rt_chan_destroy(self->chan);
    }
    free(self);
    freed++;
}

static int self_first(void *arg)
{
    static const enum way ways[] = { NO_WAIT, BY_SLEEP, BY_CHAN, BY_SELECT };
    struct rt_group group = RT_GROUP_INIT;
    const uint64_t item = 6;

    (void)arg;
    for (unsigned i = 0; i < 4 * 4; i++) {
        struct probe *self = probe_new(ways[i / 4]);
        const enum way way = self->way;
        struct rt_chan *chan = self->chan;
        struct rt_task *task = NULL;

        self->future.drop = free_itself;
        switch (i % 4) {
        case 0: /* it has its result when it is cancelled, and nobody takes it */
            task = spawn_probe(self);
            let_all_run();
            if (chan != NULL) {
                T_CHECK(rt_chan_send(chan, &item, 0) == 0);
            }
            rt_cancel(task);
            rt_detach(task);
            break;
        case 1:
            T_CHECK(rt_spawn_future(NULL, &self->future) == 0);
            pause_for(RT_MILLISECONDS(2));
            if (chan != NULL) {
                T_CHECK(rt_chan_send(chan, &item, 0) == 0);
            }
            break;
        case 2:
            T_CHECK(rt_group_spawn_future(&group, &self->future) == 0);
            let_all_run();
            rt_group_cancel(&group);
            break;
        default:
            T_CHECK(rt_await(&self->future, 0) == (way == NO_WAIT ? 42 : -ETIME));
        }
        pause_for(RT_MILLISECONDS(2));
        T_CHECK(freed == i + 1 && tasks_live() == 1);
    }
    T_CHECK(rt_group_leave(&group, 0) == 0);
    return 0;
}

static void a_drop_may_free_its_future(void **state)
{
    (void)state;
    freed = 0;
    run_first(self_first);
}

static void futures_of_a_future_may_be_freed_in_its_drop(void **state)
{
    (void)state;
    run_first(heap_first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_its_end_the_library_has_forgotten_a_future),
        cmocka_unit_test(a_step_that_is_done_may_be_freed_or_made_anew),
        cmocka_unit_test(a_drop_may_free_its_future),
        cmocka_unit_test(futures_of_a_future_may_be_freed_in_its_drop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
