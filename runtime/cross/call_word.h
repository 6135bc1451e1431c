/* SPDX-License-Identifier: MIT */
/* Call word: the word of a call's record in which cancel meets start; see call.h. */
#ifndef RTI_CROSS_CALL_WORD_H
#define RTI_CROSS_CALL_WORD_H

#include <stdbool.h>
#include <stdint.h>

#include "rt/call.h"

#define RTI_CALL_CANCEL     1ull
#define RTI_CALL_STARTED    2ull
#define RTI_CALL_SLOT_SHIFT 32

/* Callee: the function waits, as the task in `slot`. Whether it was cancelled before. */
static inline bool rti_call_started(struct rt_call *call, uint32_t slot)
{
    const uint64_t mine = RTI_CALL_STARTED | (uint64_t)slot << RTI_CALL_SLOT_SHIFT;

    /* pairs with the fetch_or in rti_call_cancel() (K1) */
    return (__atomic_fetch_or(&call->word, mine, __ATOMIC_ACQ_REL) & RTI_CALL_CANCEL) != 0;
}

static inline bool rti_call_is_cancelled(struct rt_call *call)
{
    /* pairs with the fetch_or in rti_call_cancel(); the wake came after it (K4) */
    return (__atomic_load_n(&call->word, __ATOMIC_ACQUIRE) & RTI_CALL_CANCEL) != 0;
}

/* Caller: whether the function waits as a task already, and in which slot. */
static inline bool rti_call_cancel(struct rt_call *call, uint32_t *slot)
{
    /* pairs with the fetch_or in rti_call_started() (K1) */
    const uint64_t old = __atomic_fetch_or(&call->word, RTI_CALL_CANCEL, __ATOMIC_ACQ_REL);

    *slot = (uint32_t)(old >> RTI_CALL_SLOT_SHIFT);
    return (old & RTI_CALL_STARTED) != 0;
}

#endif /* RTI_CROSS_CALL_WORD_H */
