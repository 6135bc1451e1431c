/* SPDX-License-Identifier: MIT */
/*
 * Timer wheel against a naive model: an array of deadlines that is searched.
 *
 * A run is a random sequence of arming, disarming and moving in time. After each
 * step the wheel's invariants hold, it holds as many timers as the model, and
 * its next wake-up agrees with the model. A failing run prints its seed. In some
 * runs there is often no memory for a node.
 */
#include "core/timer.h"

#include <stdio.h>

#include "base/compiler.h"
#include "support/fault.h"
#include "support/harness.h"
#include "support/rand.h"

#define TICK     ((rt_time)1 << RTI_WHEEL_TICK_BITS)
#define FAR_AWAY ((rt_time)1 << 62) /* a run ends here, so that sums do not overflow */
#define CROWDED  64u                /* with more timers, a far slot's start counts */

struct entry {
    struct rti_timer timer;
    rt_time deadline;
    bool armed;
};

#define ENTRIES_MAX 300u

struct model {
    struct rti_wheel wheel;
    struct entry entries[ENTRIES_MAX];
    uint32_t count; /* of entries in use */
    uint32_t armed;
    rt_time now;
    uint32_t poor; /* of 100 calls that want memory, so many get none */
    uint64_t seed;
    uint64_t step;
    struct rand_state rand;
};

static void check_at(const struct model *model, bool condition, const char *what, int line)
{
    if (!condition) {
        print_error("line %d, seed %llu, step %llu, now %lld: not so: %s\n", line,
                    (unsigned long long)model->seed, (unsigned long long)model->step,
                    (long long)model->now, what);
        fail();
    }
}

#define CHECK(model, condition) check_at(model, condition, #condition, __LINE__)

static void model_init(struct model *model, uint64_t seed, uint32_t count, rt_time now)
{
    model->count = count;
    model->armed = 0;
    model->now = now;
    model->poor = 0;
    model->seed = seed;
    model->step = 0;
    rand_init(&model->rand, seed);
    rti_wheel_fini(&model->wheel); /* of the model before; at first it is all zero */
    rti_wheel_init(&model->wheel, now);
    for (uint32_t i = 0; i < count; i++) {
        rti_timer_init(&model->entries[i].timer);
        model->entries[i].armed = false;
    }
    CHECK(model, model->wheel.tick == (uint64_t)now >> RTI_WHEEL_TICK_BITS);
}

/* The first call for memory from now on may fail. */
static void maybe_poor(struct model *model)
{
    fault_begin(rand_below(&model->rand, 100) < model->poor ? 1 : 0);
}

static void model_arm(struct model *model, struct entry *entry, rt_time deadline)
{
    maybe_poor(model);
    rti_timer_arm(&model->wheel, &entry->timer, deadline);
    (void)fault_end();
    entry->deadline = deadline;
    entry->armed = true;
    model->armed++;
}

static void model_disarm(struct model *model, struct entry *entry)
{
    rti_timer_disarm(&model->wheel, &entry->timer);
    model->armed -= entry->armed;
    entry->armed = false;
    CHECK(model, !rti_timer_is_armed(&entry->timer));
}

/* Take one due timer; false when there is none left. */
static bool model_expire(struct model *model)
{
    struct rti_timer *timer;
    struct entry *entry;

    maybe_poor(model);
    rti_wheel_advance(&model->wheel, model->now);
    (void)fault_end();
    if (rti_wheel_take(&model->wheel, &timer, 1) == 0) {
        return false;
    }
    entry = RTI_CONTAINER_OF(timer, struct entry, timer);
    CHECK(model, entry->armed); /* fires once, and never after it was disarmed */
    CHECK(model, entry->deadline <= model->now);
    CHECK(model, !rti_timer_is_armed(timer));
    entry->armed = false;
    model->armed--;
    return true;
}

static void model_expire_all(struct model *model)
{
    unsigned empty = 0; /* advances in a row: each looks at spread_max nodes, or spreads them */

    while (empty <= model->count / model->wheel.spread_max || model->wheel.spreads) {
        empty = model_expire(model) ? 0 : empty + 1;
    }
    for (uint32_t i = 0; i < model->count; i++) {
        CHECK(model, !model->entries[i].armed || model->entries[i].deadline > model->now);
    }
    CHECK(model, model->wheel.tick == (uint64_t)model->now >> RTI_WHEEL_TICK_BITS);
    CHECK(model, rti_wheel_next(&model->wheel) > model->now); /* or the loop would spin */
}

/* The bits of a moment below the number of a slot; level 0 is the near one. */
static unsigned slot_shift(unsigned level)
{
    return RTI_WHEEL_TICK_BITS +
           (level == 0 ? 0 : RTI_WHEEL_NEAR_BITS + (level - 1) * RTI_WHEEL_FAR_BITS);
}

static rt_time model_earliest(const struct model *model)
{
    rt_time earliest = RT_NEVER;

    for (uint32_t i = 0; i < model->count; i++) {
        if (model->entries[i].armed && model->entries[i].deadline < earliest) {
            earliest = model->entries[i].deadline;
        }
    }
    return earliest;
}

/* Whether a slot of some far level begins at this moment, and more timers than are searched may
 * lie in it. */
static bool begins_crowd(const struct model *model, rt_time moment)
{
    for (unsigned level = 1; level <= RTI_WHEEL_LEVELS; level++) {
        const unsigned shift = slot_shift(level);
        uint32_t members = 0;

        for (uint32_t i = 0; i < model->count; i++) {
            members += model->entries[i].armed &&
                       model->entries[i].deadline >> shift == moment >> shift;
        }
        if ((moment & (((rt_time)1 << shift) - 1)) == 0 && members > CROWDED) {
            return true;
        }
    }
    return false;
}

static void model_check(struct model *model)
{
    const rt_time earliest = model_earliest(model);
    const rt_time next = rti_wheel_next(&model->wheel);

    rti_wheel_check(&model->wheel);
    CHECK(model, model->wheel.armed == model->armed);
    if (next > model->wheel.now || earliest > model->wheel.now) {
        CHECK(model, next <= earliest);
        CHECK(model, next == earliest || begins_crowd(model, next));
    } /* else at once, whatever it is called */
    model->step++;
}

/* A length of time, each order of magnitude as likely as any other. */
static rt_time random_length(struct model *model, unsigned bits_max)
{
    const unsigned bits = (unsigned)rand_below(&model->rand, bits_max + 1);

    return (rt_time)(rand_next(&model->rand) & (((uint64_t)1 << bits) - 1));
}

static rt_time random_deadline(struct model *model)
{
    const unsigned shift = slot_shift((unsigned)rand_below(&model->rand, RTI_WHEEL_LEVELS));

    switch (rand_below(&model->rand, 10)) {
    case 0: /* in the past */
        return model->now - random_length(model, 60);
    case 1: /* at the start of a slot of some level, or beside it */
        return ((((model->now >> shift) + 1 + (rt_time)rand_below(&model->rand, 3))) << shift) +
               rand_range(&model->rand, -1, 1);
    case 2:
        return model->now;
    case 3: /* far, and many of them close together */
        return (model->now | (((rt_time)1 << 40) - 1)) + 1 + random_length(model, 16);
    case 4:
        return RT_NEVER - 1 - random_length(model, 62);
    default:
        return model->now + random_length(model, 58);
    }
}

static void random_step(struct model *model)
{
    struct entry *entry = &model->entries[rand_below(&model->rand, model->count)];
    rt_time next;

    switch (rand_below(&model->rand, 8)) {
    case 0:
        model_disarm(model, entry);
        break;
    case 1:
        model->now += random_length(model, 52); /* up to 52 days, and up to years in sum */
        model_expire_all(model);
        break;
    case 2: /* not all that is due is taken */
        model->now += random_length(model, 30);
        (void)model_expire(model);
        break;
    case 3:
        next = rti_wheel_next(&model->wheel);
        if (next < model->now + RT_SECONDS(86400) * 1000) { /* else the run would soon be over */
            model->now = next > model->now ? next : model->now;
            model_expire_all(model);
        }
        break;
    default:
        if (!entry->armed) {
            model_arm(model, entry, random_deadline(model));
        }
        break;
    }
}

static struct model shared_model; /* too large for a stack */

static void random_run(uint64_t seed)
{
    struct model *model = &shared_model;
    struct rand_state rand;
    uint32_t count;

    rand_init(&rand, seed * 31);
    count = 1 + (uint32_t)rand_below(&rand, ENTRIES_MAX);
    model_init(model, seed, count, (rt_time)(rand_next(&rand) >> (3 + rand_below(&rand, 60))));
    model->poor = seed % 4 == 0 ? 95 : 0;
    model->wheel.spread_max = seed % 3 == 0 ? 1 + (uint32_t)seed % 5 : model->wheel.spread_max;
    for (unsigned i = 0; i < 1500 && model->now < FAR_AWAY; i++) {
        random_step(model);
        model_check(model);
    }
    model->now = RT_NEVER - 1;
    model_expire_all(model);
    CHECK(model, model->armed == 0);
    CHECK(model, rti_wheel_next(&model->wheel) == RT_NEVER);
}

static void the_wheel_agrees_with_an_array_of_deadlines(void **state)
{
    (void)state;
    for (unsigned i = 0; i < rt_test_seed_count(200); i++) {
        random_run(rt_test_seed(i));
    }
}

/* A wheel that stands at `start` fires a timer at its deadline and not a nanosecond before. */
static void fires_exactly(rt_time start, rt_time deadline)
{
    struct model *model = &shared_model;

    model_init(model, 0, 1, start);
    model_arm(model, &model->entries[0], deadline);
    model_check(model);
    if (deadline > start) {
        model->now = deadline - 1;
        CHECK(model, !model_expire(model));
        model_check(model);
    }
    model->now = deadline > start ? deadline : start;
    CHECK(model, model_expire(model));
    CHECK(model, !model_expire(model));
    model_check(model);
}

static void a_timer_never_fires_before_its_deadline(void **state)
{
    static const rt_time lengths[] = { 1,
                                       2,
                                       1000,
                                       TICK - 1,
                                       TICK,
                                       TICK + 1,
                                       RT_SECONDS(1),
                                       RT_SECONDS(86400),
                                       RT_SECONDS(86400) * 365 };
    static const rt_time starts[] = { 0, 1, TICK - 1, TICK, RT_SECONDS(1000), FAR_AWAY };

    (void)state;
    for (size_t s = 0; s < sizeof(starts) / sizeof(starts[0]); s++) {
        for (size_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++) {
            fires_exactly(starts[s], starts[s] + lengths[l]);
        }
    }
}

/* Around multiples of what a slot spans, a nanosecond and a tick off, from either side. */
static void a_timer_at_the_edge_of_a_slot_fires_in_time(void **state)
{
    static const rt_time off[] = {
        -TICK - 1, -TICK, -TICK + 1, -1, 0, 1, TICK - 1, TICK, TICK + 1
    };
    const size_t count = sizeof(off) / sizeof(off[0]);

    (void)state;
    for (unsigned level = 0; level <= RTI_WHEEL_LEVELS; level++) {
        const rt_time edge = (rt_time)1 << slot_shift(level);

        for (rt_time times = 1; times <= (level == RTI_WHEEL_LEVELS ? 62 : 65); times++) {
            for (size_t i = 0; i < count; i++) {
                const rt_time deadline = edge * times + off[i];

                fires_exactly(0, deadline);
                for (size_t j = 0; j < count; j++) {
                    const rt_time start = edge * (times - 1) + off[j];

                    fires_exactly(start > 0 ? start : 0, deadline);
                }
            }
        }
    }
}

/* Every timer is carried through all levels on its way, by a clock that ticks unevenly. */
static void a_timer_that_cascades_through_every_level_keeps_its_deadline(void **state)
{
    struct model *model = &shared_model;

    (void)state;
    for (unsigned i = 0; i < rt_test_seed_count(50); i++) {
        model_init(model, rt_test_seed(i), 1, 0);
        model_arm(model, &model->entries[0], RT_NEVER - 1 - random_length(model, 60));
        while (model->now < model->entries[0].deadline) {
            const rt_time left = model->entries[0].deadline - model->now;

            CHECK(model, !model_expire(model));
            model_check(model);
            model->now += 1 + (rt_time)rand_below(&model->rand, (uint64_t)left);
        }
        CHECK(model, model_expire(model));
    }
}

static void a_deadline_in_the_past_fires_at_once(void **state)
{
    static const rt_time past[] = {
        INT64_MIN, -1, 0, 1, RT_SECONDS(1), RT_SECONDS(5) - TICK, RT_SECONDS(5) - 1, RT_SECONDS(5)
    };
    struct model *model = &shared_model;

    (void)state;
    for (size_t i = 0; i < sizeof(past) / sizeof(past[0]); i++) {
        model_init(model, 0, 1, RT_SECONDS(5));
        model_arm(model, &model->entries[0], past[i]);
        assert_int_equal(rti_wheel_next(&model->wheel), past[i]);
        model_check(model);
        assert_true(model_expire(model));
        assert_false(model_expire(model));
    }
}

static void the_last_deadline_but_one_fires_at_the_end_of_time(void **state)
{
    (void)state;
    fires_exactly(0, RT_NEVER - 1);
    fires_exactly(RT_SECONDS(1000), RT_NEVER - 1);
    fires_exactly(RT_NEVER - 2, RT_NEVER - 1);
    fires_exactly(RT_NEVER - 1, RT_NEVER - 1);
}

static void disarming_twice_is_disarming_once(void **state)
{
    struct model *model = &shared_model;

    (void)state;
    model_init(model, 0, 2, 0);
    model_disarm(model, &model->entries[0]); /* never armed */
    model_arm(model, &model->entries[0], RT_SECONDS(1));
    model_arm(model, &model->entries[1], RT_SECONDS(1));
    model_disarm(model, &model->entries[0]);
    model_disarm(model, &model->entries[0]);
    model_check(model);
    assert_int_equal(model->wheel.armed, 1);
    model->now = RT_SECONDS(2);
    assert_true(model_expire(model));
    model_disarm(model, &model->entries[1]); /* has fired */
    model_check(model);
    assert_int_equal(model->wheel.armed, 0);
}

static void a_wheel_without_timers_never_wakes(void **state)
{
    struct model *model = &shared_model;

    (void)state;
    model_init(model, 0, 1, 0);
    assert_true(rti_wheel_next(&model->wheel) == RT_NEVER);
    model_arm(model, &model->entries[0], RT_SECONDS(1));
    model_disarm(model, &model->entries[0]);
    assert_true(rti_wheel_next(&model->wheel) == RT_NEVER);
    model->now = RT_SECONDS(86400) * 365;
    assert_false(model_expire(model));
    model_check(model);
}

/* Far and crowded slots wake the loop early: at most once per level, then they are spread. */
static void a_crowd_of_far_timers_costs_few_early_wake_ups(void **state)
{
    struct model *model = &shared_model;
    unsigned early = 0;

    (void)state;
    model_init(model, 0, ENTRIES_MAX, 0);
    for (uint32_t i = 0; i < ENTRIES_MAX; i++) {
        model_arm(model, &model->entries[i], RT_SECONDS(86400) * 365 + i);
    }
    while (model->armed > 0) {
        const uint32_t armed = model->armed;

        model->now = rti_wheel_next(&model->wheel);
        model_expire_all(model);
        model_check(model);
        early += model->armed == armed;
    }
    assert_in_range(early, 1, RTI_WHEEL_LEVELS);
}

/* A far slot that takes three advances to spread; near timers, armed before and meanwhile. */
static void while_a_far_slot_is_spread_near_timers_fire_in_time(void **state)
{
    struct model *model = &shared_model;
    const rt_time start = (rt_time)3 << slot_shift(2);

    (void)state;
    model_init(model, 0, 32, 0);
    model->wheel.spread_max = 10;
    for (uint32_t i = 0; i < 28; i++) {
        model_arm(model, &model->entries[i], start + RT_SECONDS(1) + i);
    }
    model->now = start - TICK;
    assert_false(model_expire(model)); /* to where the next ones are near */
    model_arm(model, &model->entries[28], start - 1);
    model->now = start;
    for (unsigned advance = 0; advance < 2; advance++) {
        model_arm(model, &model->entries[29 + advance], model->now + TICK);
        model_check(model);
        assert_true(model_expire(model)); /* of 28, or of that of the advance before */
        assert_true(model->wheel.spreads);
        model_check(model);
        model->now += TICK;
    }
    assert_true(model_expire(model));
    assert_false(model->wheel.spreads);
    model_check(model);
    assert_int_equal(model->armed, 28);
}

#define MANY 100000u

static struct entry many[MANY];

static void a_hundred_thousand_timers_fire_once_each_in_time(void **state)
{
    struct rti_wheel *wheel = &shared_model.wheel;
    uint32_t fired = 0;
    rt_time before = 0;
    struct rand_state rand;

    (void)state;
    rand_init(&rand, rt_test_seed(0));
    model_init(&shared_model, 0, 1, 0);
    for (uint32_t i = 0; i < MANY; i++) {
        many[i].deadline = rand_range(&rand, 1, RT_SECONDS(100) >> rand_below(&rand, 30));
        many[i].armed = true;
        rti_timer_init(&many[i].timer);
        rti_timer_arm(wheel, &many[i].timer, many[i].deadline);
    }
    rti_wheel_check(wheel);
    while (fired < MANY) {
        const rt_time now = before + rand_range(&rand, 1, RT_MILLISECONDS(100));
        struct rti_timer *timers[7];
        unsigned count;

        rti_wheel_advance(wheel, now);
        while ((count = rti_wheel_take(wheel, timers, 7)) > 0) {
            for (unsigned i = 0; i < count; i++) {
                struct entry *entry = RTI_CONTAINER_OF(timers[i], struct entry, timer);

                assert_true(entry->armed);
                assert_true(entry->deadline <= now && entry->deadline > before);
                entry->armed = false;
            }
            fired += count;
        }
        before = now;
        assert_true(now < RT_SECONDS(101));
    }
    rti_wheel_check(wheel);
    assert_int_equal(wheel->armed, 0);
}

static void without_memory_a_timer_fires_in_time_all_the_same(void **state)
{
    struct model *model = &shared_model;
    const rt_time deadlines[] = { 5, RT_SECONDS(1), RT_MILLISECONDS(1), RT_SECONDS(1) + 1 };

    (void)state;
    model_init(model, 0, 4, 0);
    model->poor = 100;
    for (uint32_t i = 0; i < 4; i++) {
        model_arm(model, &model->entries[i], deadlines[i]);
        model_check(model);
    }
    assert_int_equal(model->wheel.nodes.in_use, 0);
    assert_int_equal(rti_wheel_next(&model->wheel), 5);
    model_disarm(model, &model->entries[2]); /* out of the middle of the list */
    model->now = RT_SECONDS(1);
    model_expire_all(model);
    model_check(model);
    assert_int_equal(model->armed, 1);
    model->poor = 0;
    assert_false(model_expire(model)); /* now it has got a node */
    assert_int_equal(model->wheel.nodes.in_use, 1);
    model->now++;
    assert_true(model_expire(model));
    model_check(model);
}

/* What timers took is given back with the wheel, and not before: they come again. */
static void nodes_serve_again(void **state)
{
    struct model *model = &shared_model;
    const int64_t blocks = fault_live_blocks();
    int64_t most;

    (void)state;
    rti_wheel_fini(&model->wheel);
    model_init(model, 0, ENTRIES_MAX, 0);
    for (unsigned round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < ENTRIES_MAX; i++) {
            model_arm(model, &model->entries[i], RT_SECONDS(1 + (rt_time)i));
        }
        if (round == 0) {
            most = fault_live_blocks();
        }
        assert_int_equal(fault_live_blocks(), most);
        for (uint32_t i = 0; i < ENTRIES_MAX; i++) {
            model_disarm(model, &model->entries[i]);
        }
        assert_int_equal(model->wheel.nodes.in_use, 0);
    }
    rti_wheel_fini(&model->wheel);
    assert_true(fault_live_blocks() < most && fault_live_blocks() <= blocks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_wheel_agrees_with_an_array_of_deadlines),
        cmocka_unit_test(a_timer_never_fires_before_its_deadline),
        cmocka_unit_test(a_timer_at_the_edge_of_a_slot_fires_in_time),
        cmocka_unit_test(a_timer_that_cascades_through_every_level_keeps_its_deadline),
        cmocka_unit_test(a_deadline_in_the_past_fires_at_once),
        cmocka_unit_test(the_last_deadline_but_one_fires_at_the_end_of_time),
        cmocka_unit_test(disarming_twice_is_disarming_once),
        cmocka_unit_test(a_wheel_without_timers_never_wakes),
        cmocka_unit_test(a_crowd_of_far_timers_costs_few_early_wake_ups),
        cmocka_unit_test(while_a_far_slot_is_spread_near_timers_fire_in_time),
        cmocka_unit_test(a_hundred_thousand_timers_fire_once_each_in_time),
        cmocka_unit_test(without_memory_a_timer_fires_in_time_all_the_same),
        cmocka_unit_test(nodes_serve_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
