/* SPDX-License-Identifier: MIT */
/*
 * Waits for the kernel: an empty operation, a file.
 *
 * In most programs the kernel keeps operations at some stage, in which a cancel
 * finds them or does not, and lets them go one by one.
 */
#include "waits.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <liburing.h>

#include "support/sim.h"

static void maybe_hold(struct run *run, int opcode)
{
    static const enum sim_stage stages[] = { SIM_QUEUED, SIM_QUEUED, SIM_RUNNING, SIM_DONE };

    if (rand_chance(&run->rand, 700)) {
        sim_hold(opcode, stages[rand_below(&run->rand, 4)]);
    }
}

static void release_all(int opcode)
{
    sim_unhold();
    (void)sim_release(opcode, UINT32_MAX, SIM_NATURAL);
}

/* Nop */

static void nop_make(struct run *run)
{
    maybe_hold(run, IORING_OP_NOP);
}

static int nop_call(struct waiter *waiter, rt_time deadline)
{
    (void)waiter;
    return rt_nop(deadline);
}

static int nop_poll(struct waiter *waiter, struct rt_future *future, rt_time deadline)
{
    (void)waiter;
    return rt_poll_nop(future, deadline);
}

static bool nop_got(struct waiter *waiter, int result)
{
    (void)waiter;
    return result == 0;
}

static void nop_happen(struct run *run)
{
    (void)run;
    (void)sim_release(IORING_OP_NOP, 1, SIM_NATURAL);
}

static void nop_let_go(struct run *run)
{
    (void)run;
    release_all(IORING_OP_NOP);
}

static const struct kind nop_kind = {
    .name = "nop",
    .make = nop_make,
    .call = nop_call,
    .poll = nop_poll,
    .got = nop_got,
    .happen = nop_happen,
    .let_go = nop_let_go,
};

/* Files: each waiter has a part of its own. `model` is what the file must hold. */

#define PART_BYTES 24

static struct rt_file *file;
static unsigned char model[WAITERS_MAX * PART_BYTES];

static void file_make(struct run *run)
{
    for (size_t i = 0; i < sizeof(model); i++) {
        model[i] = (unsigned char)(i * 7 + 1);
    }
    sim_file_put("data", model, sizeof(model));
    T_CHECK(rt_file_open(&file, "data", O_RDWR, 0, RT_NEVER) == 0);
    (void)run;
}

static void check_file(void)
{
    size_t bytes;
    const void *content = sim_file_get("data", &bytes);

    T_CHECK(content != NULL && bytes == sizeof(model) && memcmp(content, model, bytes) == 0);
}

static void file_unmake(struct run *run)
{
    (void)run;
    check_file();
    T_CHECK(rt_file_close(file) == 0);
}

static void read_make(struct run *run)
{
    file_make(run);
    maybe_hold(run, IORING_OP_READ);
}

static void read_happen(struct run *run)
{
    (void)run;
    (void)sim_release(IORING_OP_READ, 1, SIM_NATURAL);
}

static void read_let_go(struct run *run)
{
    (void)run;
    release_all(IORING_OP_READ);
}

static uint64_t part_of(const struct waiter *waiter)
{
    return (uint64_t)waiter->number * PART_BYTES;
}

static int read_call(struct waiter *waiter, rt_time deadline)
{
    return (int)rt_file_read_at(file, waiter->bytes, PART_BYTES, part_of(waiter), deadline);
}

static int read_poll(struct waiter *waiter, struct rt_future *future, rt_time deadline)
{
    return rt_poll_file_read_at(future, file, waiter->bytes, PART_BYTES, part_of(waiter), deadline);
}

static bool read_got(struct waiter *waiter, int result)
{
    return result >= 1 && result <= PART_BYTES &&
           memcmp(waiter->bytes, model + part_of(waiter), (size_t)result) == 0;
}

static const struct kind read_kind = {
    .name = "file read",
    .make = read_make,
    .call = read_call,
    .poll = read_poll,
    .got = read_got,
    .happen = read_happen,
    .let_go = read_let_go,
    .unmake = file_unmake,
};

static void write_make(struct run *run)
{
    file_make(run);
    maybe_hold(run, IORING_OP_WRITE);
}

static void write_happen(struct run *run)
{
    (void)run;
    (void)sim_release(IORING_OP_WRITE, 1, SIM_NATURAL);
}

static void write_let_go(struct run *run)
{
    (void)run;
    release_all(IORING_OP_WRITE);
}

/* Each wait writes other bytes, so that one that wrote and did not say so is seen. */
static void fill_bytes(struct waiter *waiter)
{
    if (waiter->item != waiter->ticket + 1) {
        waiter->item = waiter->ticket + 1;
        memset(waiter->bytes, (int)(100 + waiter->ticket), PART_BYTES);
    }
}

static int write_call(struct waiter *waiter, rt_time deadline)
{
    fill_bytes(waiter);
    return (int)rt_file_write_at(file, waiter->bytes, PART_BYTES, part_of(waiter), deadline);
}

static int write_poll(struct waiter *waiter, struct rt_future *future, rt_time deadline)
{
    fill_bytes(waiter);
    return rt_poll_file_write_at(future, file, waiter->bytes, PART_BYTES, part_of(waiter),
                                 deadline);
}

static bool write_got(struct waiter *waiter, int result)
{
    if (result < 1 || result > PART_BYTES) {
        return false;
    }
    memcpy(model + part_of(waiter), waiter->bytes, (size_t)result);
    return true;
}

static const struct kind write_kind = {
    .name = "file write",
    .make = write_make,
    .call = write_call,
    .poll = write_poll,
    .got = write_got,
    .happen = write_happen,
    .let_go = write_let_go,
    .unmake = file_unmake,
};

const struct kind *const waits_io[] = { &nop_kind, &read_kind, &write_kind, NULL };
