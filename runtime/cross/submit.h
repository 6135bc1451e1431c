/* SPDX-License-Identifier: MIT */
/*
 * Submissions: functions that threads which are no shard hand to one.
 *
 * A list through nodes in the submitters' memory: they push with a CAS, the
 * owner takes all at once. The gate that keeps late ones out is in closing.h.
 *
 * Who waits for one sleeps on its word `done`, after having said so there by a CAS; whose
 * end finds that, by an exchange of the same word, wakes. One word, and each side one RMW:
 * its order decides.
 */
#ifndef RTI_CROSS_SUBMIT_H
#define RTI_CROSS_SUBMIT_H

#include "rt/start.h"

struct rti_executor;

struct rti_submissions {
    struct rt_submission *newest; /* atomic */
};

/* Any thread; the caller rings. */
void rti_submissions_push(struct rti_submissions *submissions, struct rt_submission *submission);

/* Make a task of each, oldest first; tell its submitter where that fails. On the owner. */
void rti_submissions_take(struct rti_submissions *submissions, struct rti_executor *executor);

#endif /* RTI_CROSS_SUBMIT_H */
