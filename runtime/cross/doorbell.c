/* SPDX-License-Identifier: MIT */
/* Doorbell: see doorbell.h. */
#include "cross/doorbell.h"

#include <errno.h>

#include "os/sys.h"

int rti_doorbell_init(struct rti_doorbell *doorbell, uint32_t senders)
{
    const uint32_t count = (senders + RTI_SENDERS_PER_WORD - 1) / RTI_SENDERS_PER_WORD;

    doorbell->count = count;
    doorbell->words = rti_sys_alloc(count * sizeof(*doorbell->words));
    doorbell->pending = rti_sys_alloc(count * sizeof(*doorbell->pending));
    if (doorbell->words == NULL || doorbell->pending == NULL) {
        rti_doorbell_fini(doorbell);
        return -ENOMEM;
    }
    return 0;
}

void rti_doorbell_fini(struct rti_doorbell *doorbell)
{
    rti_sys_free(doorbell->words);
    rti_sys_free(doorbell->pending);
    doorbell->words = NULL;
    doorbell->pending = NULL;
}

/* Not by a store: somebody may have rung since the word was set to SLEEPING. */
static void take_back(struct rti_doorbell *doorbell, uint32_t words)
{
    for (uint32_t i = 0; i < words; i++) {
        doorbell->pending[i] = rti_doorbell_take(doorbell, i);
    }
}

bool rti_doorbell_try_sleep(struct rti_doorbell *doorbell)
{
    for (uint32_t i = 0; i < doorbell->count; i++) {
        uint64_t nothing = doorbell->pending[i];

        /* pairs with the fetch_or in rti_doorbell_ring(): either it comes first and the CAS fails,
         * or it finds SLEEPING and wakes (D1) */
        if (nothing != 0 ||
            !__atomic_compare_exchange_n(&doorbell->words[i].bits, &nothing, RTI_DOORBELL_SLEEPS,
                                         false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
            take_back(doorbell, i);
            return false;
        }
    }
    return true;
}
