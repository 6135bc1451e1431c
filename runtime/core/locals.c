/* SPDX-License-Identifier: MIT */
/* Task-locals: see locals.h. */
#include "core/locals.h"

#include <errno.h>

#include "core/executor.h"

static int32_t keys; /* made so far; atomic, and the only thing that shards share here */

void rti_locals_put(struct rti_executor *executor, struct rti_locals *locals)
{
    if (--locals->tasks == 0) {
        rti_pool_put(&executor->locals, locals);
    }
}

int rt_local_create(void)
{
    int32_t key = __atomic_load_n(&keys, __ATOMIC_RELAXED);

    while (key < RT_LOCALS_MAX) {
        if (__atomic_compare_exchange_n(&keys, &key, key + 1, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
            return key;
        }
    }
    return -EAGAIN;
}

static void check(int key, const char *call)
{
    if (RTI_UNLIKELY(key < 0 || key >= __atomic_load_n(&keys, __ATOMIC_RELAXED))) {
        rti_misuse("%s(): %d is no key; rt_local_create() makes one", call, key);
    }
}

void *rt_local_get(int key)
{
    const struct rt_task *task = rti_executor_here("rt_local_get")->running;

    check(key, "rt_local_get");
    return task->locals == NULL ? NULL : task->locals->values[key];
}

/* A block that is the task's alone. */
static struct rti_locals *own(struct rti_executor *executor, struct rt_task *task)
{
    struct rti_locals *shared = task->locals;
    struct rti_locals *mine;

    if (shared != NULL && shared->tasks == 1) {
        return shared;
    }
    mine = rti_pool_get(&executor->locals);
    if (mine == NULL) {
        return NULL;
    }
    if (shared != NULL) {
        *mine = *shared;
        shared->tasks--;
    }
    mine->tasks = 1;
    task->locals = mine;
    return mine;
}

int rt_local_set(int key, void *value)
{
    struct rti_executor *executor = rti_executor_here("rt_local_set");
    struct rti_locals *locals;

    check(key, "rt_local_set");
    if (value == NULL && executor->running->locals == NULL) {
        return 0;
    }
    locals = own(executor, executor->running);
    if (locals == NULL) {
        return -ENOMEM;
    }
    locals->values[key] = value;
    return 0;
}
