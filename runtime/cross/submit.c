/* SPDX-License-Identifier: MIT */
/* Submissions: see submit.h. */
#include "cross/submit.h"

#include <errno.h>

#include "core/executor.h"
#include "core/fork.h"
#include "os/sys.h"

/* Of a submission's word `done`. */
enum rti_submission_state {
    UNDER_WAY, /* nobody sleeps for it: its end costs no system call */
    AWAITED,   /* its submitter sleeps, or has: to be woken */
    DONE,
};

void rti_submissions_push(struct rti_submissions *submissions, struct rt_submission *submission)
{
    struct rt_submission *newest = __atomic_load_n(&submissions->newest, __ATOMIC_RELAXED);

    do {
        submission->next = newest;
        /* pairs with the exchange in rti_submissions_take() */
    } while (!__atomic_compare_exchange_n(&submissions->newest, &newest, submission, true,
                                          __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

/* The submitter may free the node as soon as it sees that it is done. */
static void finish(struct rt_submission *submission, int result, int error)
{
    uint32_t *done = &submission->done;

    submission->result = result;
    submission->error = error;
    /* pairs with is_done(); and with the CAS there: who sleeps has said so before */
    if (__atomic_exchange_n(done, DONE, __ATOMIC_ACQ_REL) == AWAITED) {
        (void)rti_sys_futex_wake(done);
    }
}

static int run(void *arg)
{
    struct rt_submission *submission = arg;

    finish(submission, submission->fn(submission->arg), 0);
    return 0;
}

static struct rt_submission *reverse(struct rt_submission *newest)
{
    struct rt_submission *oldest = NULL;

    while (newest != NULL) {
        struct rt_submission *next = newest->next;

        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

void rti_submissions_take(struct rti_submissions *submissions, struct rti_executor *executor)
{
    static const struct rt_spawn_options options = { .size = sizeof(options), .name = "submitted" };
    struct rt_submission *submission;

    if (__atomic_load_n(&submissions->newest, __ATOMIC_RELAXED) == NULL) {
        return;
    }
    /* pairs with the CAS in rti_submissions_push() */
    submission = reverse(__atomic_exchange_n(&submissions->newest, NULL, __ATOMIC_ACQUIRE));
    while (submission != NULL) {
        struct rt_submission *next = submission->next;
        const int r = rti_task_spawn(executor, NULL, run, submission, &options, NULL);

        if (r < 0) {
            finish(submission, 0, r);
        }
        submission = next;
    }
}

/* Whether it is; else it is AWAITED from now on. */
static bool is_done(struct rt_submission *submission)
{
    uint32_t state = UNDER_WAY;

    /* pairs with the exchange in finish(), which comes before this or finds AWAITED */
    return !__atomic_compare_exchange_n(&submission->done, &state, AWAITED, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_ACQUIRE) &&
           state == DONE;
}

int rt_submission_wait(struct rt_submission *submission, int *result, rt_time deadline)
{
    const rt_time until = deadline < 0 ? 0 : deadline; /* the kernel refuses moments below 0 */

    rti_fork_check("rt_submission_wait");
    if (RTI_UNLIKELY(rti_current != NULL)) {
        rti_misuse("rt_submission_wait() was called from a task: it would block the shard");
    }
    while (!is_done(submission)) {
        const int r = rti_sys_futex_wait(&submission->done, AWAITED, until);

        if (r == -ETIMEDOUT) {
            return -ETIME;
        }
    }
    if (submission->error < 0) {
        return submission->error;
    }
    if (result != NULL) {
        *result = submission->result;
    }
    return 0;
}
