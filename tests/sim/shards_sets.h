/* SPDX-License-Identifier: MIT */
/*
 * A random program for many shards: sets of calls, whose parts are all answered, and meetings,
 * where a task parks until another shard has woken it.
 */
#ifndef RT_TEST_SHARDS_SETS_H
#define RT_TEST_SHARDS_SETS_H

#include "shards_messages.h"

/* ---- sets of calls ---- */

struct fold {
    const struct rt_call_part *parts;
    uint32_t next; /* the first part that may still come */
};

static void fold_part(void *into, const struct rt_call_part *part)
{
    struct fold *fold = into;
    const uint32_t at = (uint32_t)(part - fold->parts);

    T_CHECK(at >= fold->next && part->error == 0);
    fold->next = at + 1;
    program.folded++;
}

static int first_error(const struct rt_call_part *parts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (parts[i].error < 0) {
            return parts[i].error;
        }
    }
    return 0;
}

static int step_each(unsigned depth)
{
    const rt_time deadline = some_deadline();
    const uint32_t count = 1 + draw(PARTS_MAX);
    struct rt_call_part parts[PARTS_MAX];
    struct fold fold = { .parts = parts };
    int r;

    for (uint32_t i = 0; i < count; i++) {
        struct message *message = message_new(depth, false);

        message->will_be_cancelled = deadline != RT_NEVER && message->to != message->from;
        parts[i] = (struct rt_call_part){ .shard = message->to, .arg = message };
    }
    r = rt_map_reduce(parts, count, run_message, fold_part, &fold, deadline);
    T_CHECK(r == first_error(parts, count));
    for (uint32_t i = 0; i < count; i++) {
        check_answer(parts[i].arg, parts[i].error, parts[i].result);
    }
    return r;
}

/* What all shards do in one set: counted as it begins and as it ends. */
struct visits {
    unsigned begun;
    unsigned ended;
    unsigned gave_way;
};

static int visit(void *arg)
{
    struct visits *visits = arg;
    int r = 0;

    visits->begun++;
    if (draw(2) == 0) {
        rt_yield();
    } else if ((program.kinds & (1U << STEP_SLEEP)) != 0) {
        r = rt_sleep_until(rt_in(draw(30000)));
    }
    visits->ended++;
    visits->gave_way += r < 0;
    return r;
}

static int step_all(unsigned depth)
{
    struct rt_call_part parts[FEW_MAX];
    struct visits visits = { 0 };
    unsigned ran = 0;
    int r;

    if (program.shards > FEW_MAX) {
        return 0;
    }
    r = rt_call_all(parts, visit, &visits, some_deadline());
    T_CHECK(r == first_error(parts, program.shards));
    T_CHECK(r != -ESHUTDOWN || depth > 0); /* a first task lives: nobody drains */
    T_CHECK(visits.begun == visits.ended); /* all have answered */
    for (uint32_t i = 0; i < program.shards; i++) {
        T_CHECK(parts[i].shard == i);
        ran += parts[i].error == 0;
    }
    T_CHECK(ran <= visits.ended && ran + visits.gave_way >= visits.ended);
    return r;
}

/* ---- meeting: a task parks until another shard has woken it ---- */

struct meeting {
    struct rt_waker waker;
    bool has_come;
    unsigned refs;
};

static __attribute__((noinline)) void meeting_put(struct meeting *meeting)
{
    if (--meeting->refs == 0) {
        free(meeting);
    }
}

static int come(void *arg)
{
    struct meeting *meeting = arg;

    if (draw(3) == 0) {
        rt_yield();
    }
    meeting->has_come = true;
    rt_wake(meeting->waker);
    program.meetings++;
    program.posts_run++;
    meeting_put(meeting);
    return 0;
}

static int step_meet(void)
{
    struct meeting *meeting = calloc(1, sizeof(*meeting));
    int r;

    T_CHECK(meeting != NULL);
    meeting->refs = 2;
    meeting->waker = rt_waker_self();
    r = rt_post(some_shard(), come, meeting, some_deadline());
    if (r < 0) {
        meeting_put(meeting);
        meeting_put(meeting);
        return r;
    }
    program.posts_sent++;
    while (!meeting->has_come && r == 0) { /* a wake may be spurious, a lost one may not be */
        r = rt_park(RT_NEVER);
    }
    meeting_put(meeting);
    return r;
}

#endif /* RT_TEST_SHARDS_SETS_H */
